import CMeshABI
import MeshLanes
import MeshModel
import MeshRegex

/// One build of a snapshot: the buffers, and what was already written.
struct SnapshotWriter {
    let node: CompiledNode
    let stamp: SnapshotBuilder.Stamp
    var slots: SlotTables
    var memory: SnapshotBuilder.Memory
    var out = SnapshotImage.Sections()
    var problems: [Problem] = []
    var trusts: [WrittenTrust] = []
    var automata: [CompiledRegex: UInt32] = [:]
    /// The numbers of what permissions ask of tokens.
    var tokenNumbers: [[TokenRequirement]: UInt32] = [:]

    /// In the order of records.
    var targetKeys: [UInt64] = []
    /// Routes that were written aside, by the keys of their listeners.
    var drafts: [UInt64: RouteDraft] = [:]
    private let lanes: Lanes
    var logIndexes: [AccessLogPlan: UInt32] = [:]
    var trafficIndexes: [TrafficPlan: UInt32] = [:]
    private var identityIndexes: [ServiceName: UInt32] = [:]

    init(
        node: CompiledNode, stamp: SnapshotBuilder.Stamp, slots: SlotTables,
        memory: SnapshotBuilder.Memory, lanes: Lanes = Lanes(1)
    ) {
        self.lanes = lanes
        self.node = node
        self.stamp = stamp
        self.slots = slots
        self.memory = memory
    }

    mutating func write() throws -> SnapshotImage {
        guard stamp.generation > 0 else {
            throw MeshError(.invalid, "a generation of 0 cannot be published")
        }
        var head = abi_snapshot()
        head.generation = stamp.generation
        head.secrets_generation = stamp.secretsGeneration
        head.written_at_ms = stamp.writtenAtMilliseconds
        head.trust_domain = place(node.trustDomain, "the trust domain")
        head.datacenter = place(node.datacenter, "the datacenter")
        head.node = place(node.node, "the node's name")
        writeTargetsAndPolicies()
        writeIdentities()
        writeLogs()
        writeListeners()
        checkLimits()
        if !problems.isEmpty { throw PlanError(problems) }
        out.text = memory.text.bytes
        out.guards = memory.guards
        let image = SnapshotImage(head: head, sections: out)
        guard image.size <= Int(LIMIT_SNAPSHOT_SIZE) else {
            throw PlanError([
                Problem(
                    .error,
                    "the snapshot would have \(image.size) bytes; \(LIMIT_SNAPSHOT_SIZE) are the "
                        + "limit: spread the services over more nodes")
            ])
        }
        return image
    }

    // MARK: - what every part uses

    mutating func refuse(_ message: String) {
        if problems.count < PlanError.limit { problems.append(Problem(.error, message)) }
    }

    /// The place of a text; `what` names it when it cannot be written.
    mutating func place(_ value: String, _ what: @autoclosure () -> String) -> abi_text {
        if let place = memory.text.place(value) { return place }
        refuse(
            "\(what()) has \(value.utf8.count) bytes or a NUL character: use at most "
                + "\(LIMIT_TEXT) bytes of text")
        return abi_text()
    }

    /// The record of the target with this key.
    func index(ofTargetKey key: UInt64) -> UInt32? {
        var low = 0
        var high = targetKeys.count
        while low < high {
            let middle = (low + high) / 2
            if targetKeys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low < targetKeys.count && targetKeys[low] == key ? UInt32(low) : nil
    }

    mutating func index(ofTarget id: String, _ what: @autoclosure () -> String) -> UInt32 {
        if let index = index(ofTargetKey: StableHash.of(id)) { return index }
        refuse("\(what()) names the target \"\(id)\", which does not exist")
        return 0
    }

    mutating func index(of tls: TLSRef?) -> UInt32 {
        guard let tls else { return UInt32.max }
        guard tls.index < node.tls.count else {
            refuse("a reference to TLS settings belongs to another plan")
            return UInt32.max
        }
        return UInt32(tls.index)
    }

    mutating func index(ofIdentity service: ServiceName?, _ what: @autoclosure () -> String)
        -> UInt32
    {
        guard let service else { return UInt32.max }
        if let index = identityIndexes[service] { return index }
        refuse("\(what()) calls as \(service), whose certificate this node does not have")
        return UInt32.max
    }

    /// The record of an automaton; equal ones stand once.
    mutating func index(of regex: CompiledRegex) -> UInt32 {
        if let index = automata[regex] { return index }
        if out.blob.count % 2 == 1 { out.blob.append(0) }
        let index = UInt32(out.dfas.count)
        out.dfas.append(
            abi_dfa(table: UInt64(out.blob.count), states: UInt32(regex.states), _pad0: 0))
        regex.append(to: &out.blob)
        automata[regex] = index
        return index
    }

    /// The record of an expression's automaton, or none with a problem.
    mutating func index(
        ofExpression pattern: String, ignoreCase: Bool, _ what: @autoclosure () -> String
    ) -> UInt32 {
        do {
            return index(of: try memory.expressions.compiled(pattern, ignoreCase: ignoreCase))
        } catch {
            refuse("\(what()): \(error)")
            return UInt32.max
        }
    }

    /// Weights scaled to the whole: shares by largest remainder, destinations of 0 left out.
    mutating func write(_ splits: [SplitPlan], _ what: @autoclosure () -> String) -> abi_ref {
        if splits.count == 1, (1...Int(ABI_SPLIT_TOTAL)).contains(splits[0].weight) {
            // As most are: all of it goes to one target.
            let target = index(ofTarget: splits[0].target, what())
            out.splits.append(
                abi_split(
                    weight: UInt32(ABI_SPLIT_TOTAL), target: target,
                    header_ops: write(splits[0].headerOps, what())))
            return abi_ref(at: UInt32(out.splits.count - 1), count: 1)
        }
        let used = splits.filter { $0.weight > 0 }
        let sum = used.reduce(0) { $0 + $1.weight }
        let whole = Int(ABI_SPLIT_TOTAL)
        guard !used.isEmpty, sum <= whole * whole else {
            refuse("\(what()) has nowhere to send its traffic: give a destination a weight")
            return abi_ref()
        }
        guard used.count <= LIMIT_SPLITS else {
            refuse("\(what()) has \(used.count) destinations; \(LIMIT_SPLITS) are the limit")
            return abi_ref()
        }
        var shares = used.map { max(1, $0.weight * whole / sum) }
        let byRemainder = used.indices.sorted {
            let left = used[$0].weight * whole % sum
            let right = used[$1].weight * whole % sum
            return left == right ? $0 < $1 : left > right
        }
        var missing = whole - shares.reduce(0, +)
        for index in byRemainder where missing > 0 {
            shares[index] += 1
            missing -= 1
        }
        // Shares that were raised to 1 are taken from the greatest.
        while missing < 0, let greatest = shares.indices.max(by: { shares[$0] < shares[$1] }) {
            shares[greatest] -= 1
            missing += 1
        }
        let at = UInt32(out.splits.count)
        for (split, share) in zip(used, shares) {
            out.splits.append(
                abi_split(
                    weight: UInt32(share), target: index(ofTarget: split.target, what()),
                    header_ops: write(split.headerOps, what())))
        }
        return abi_ref(at: at, count: UInt32(used.count))
    }

    // MARK: - sections

    private mutating func writeIdentities() {
        for identity in node.identities {
            guard identityIndexes[identity.service] == nil else {
                refuse("the identity of \(identity.service) is there twice")
                continue
            }
            guard identity.secret != 0 else {
                refuse("the identity of \(identity.service) has no secret")
                continue
            }
            identityIndexes[identity.service] = UInt32(out.identities.count)
            out.identities.append(
                abi_identity(
                    secret: identity.secret,
                    service: place(identity.service.folded, "a service's name"),
                    spiffe_id: place(identity.spiffeID, "the identity of \(identity.service)")))
        }
    }

    /// TLS settings, targets, and before all the policies: these are at the beginning of the
    /// sections that they share. What is new and there in great number is written aside.
    private mutating func writeTargetsAndPolicies() {
        let shapes = node.tls.map { TLSShape(server: $0.server, mesh: $0.mesh) }
        var before = memory.targets
        memory.targets = TargetSection()
        let changed = before.changes(to: node.targets, shapes)
        let (intentions, isFirst) = (node.intentions, memory.policies == nil)
        let (section, table) = lanes.both {
            changed == nil ? newSection(shapes) : nil
        } _: {
            isFirst ? PolicyTable(intentions) : nil
        }
        targetKeys = section?.keys ?? before.keys
        let needed = PolicyPart.Needed(
            byTargets: (changed == nil ? nil : memory.policies?.needed.byTargets)
                ?? servicesOfTargets(section?.order ?? before.order),
            byListeners: node.listeners.compactMap { $0.intentionsOf?.folded })
        let isDrafted = before.records.isEmpty && isWorthDrafts(section)
        var (areSame, aside) = WrittenAside.write(aside(isDrafted ? section : nil), lanes) {
            let areInPlace = writePolicies(for: needed, by: table)
            writeTLS()
            if isDrafted { return false }
            return writeTargets(shapes, changed, section, before: &before) && areInPlace
        }
        drafts = aside.routes
        if isDrafted, let section {
            if aside.targets.isEmpty {
                writeTargets(section, before: before)
            } else {
                moveTargets(section, &aside.targets)
            }
        }
        if !areSame { setPolicies() }
        out.targets = memory.targets.records
        out.endpoints = memory.targets.endpoints
        out.targetList = memory.targets.failover
        writeBalancers()
    }

    /// What is worth being written aside. It holds what it is written from: not for longer.
    private func aside(_ targets: TargetSection?) -> WrittenAside.Source {
        WrittenAside.Source(
            targets: targets.map {
                TargetDraft.Source(node: node, section: $0, stamp: stamp, slots: slots)
            }, routes: RouteDraft.wanted(node.listeners, but: memory.routes, lanes),
            targetKeys: targetKeys, stamp: stamp)
    }

    private func isWorthDrafts(_ section: TargetSection?) -> Bool {
        guard let section, lanes.count > 1 else { return false }
        return section.order.count >= lanes.grain(TargetDraft.fewest)
    }

    /// `before` are the targets of the build before, which are taken. Says whether they stand as
    /// they did.
    private mutating func writeTargets(
        _ shapes: [TLSShape], _ changed: [Int]?, _ section: TargetSection?,
        before: inout TargetSection
    ) -> Bool {
        if let changed {
            memory.targets = before
            before = TargetSection()  // the only copy is written on
            if takeOverTargets(changed) { return true }
        }
        writeTargets(section ?? newSection(shapes), before: before)
        return false
    }

    private mutating func newSection(_ shapes: [TLSShape]) -> TargetSection {
        let section = TargetSection(node.targets, shapes)
        for number in section.keys.indices.dropFirst()
        where section.keys[number] == section.keys[number - 1] {
            refuse("the target \(node.targets[section.order[number]].id) is there twice")
        }
        return section
    }

    /// Services that targets check the intentions of.
    private func servicesOfTargets(_ order: [Int]) -> [String] {
        order.lazy.map { node.targets[$0] }.filter(\.checksIntentions).map(\.service.folded)
    }

    private mutating func checkLimits() {
        for (what, count, limit) in [
            ("listeners", out.listeners.count, LIMIT_LISTENERS),
            ("routes", out.routes.count, LIMIT_ROUTES),
            ("targets", out.targets.count, LIMIT_TARGETS),
            ("endpoints", out.endpoints.count, LIMIT_ENDPOINTS),
            ("intentions", out.intentions.count, LIMIT_INTENTIONS),
            ("TLS settings", out.tls.count, LIMIT_TLS_CONTEXTS),
            ("access logs", out.logs.count, LIMIT_LOGS),
            ("rates", out.rates.count, LIMIT_RATES),
            ("addresses of redirected connections", out.originals.count, LIMIT_ORIGINALS),
            ("slots of server names", out.serverNames.count, LIMIT_SERVER_NAMES),
        ] where count > limit {
            refuse("\(count) \(what) on one node; \(limit) are the limit")
        }
    }
}
