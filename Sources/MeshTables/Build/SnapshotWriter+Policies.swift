import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// Writes the policies of these services, or takes over what the build before wrote. Comes
    /// first: the part stands at the beginning of every section it has records in. Says whether
    /// policies are where they were. `table` is that of the intentions, if it is made already.
    mutating func writePolicies(for needed: PolicyPart.Needed, by table: PolicyTable?) -> Bool {
        if takeOverPolicies(for: needed) { return true }
        var part = PolicyPart(
            source: node.intentions, table: table ?? PolicyTable(node.intentions),
            defaultAction: action, needed: needed, providers: node.tokenProviders)
        report(part.table)
        var shared = SharedIntentions()
        if let intention = part.table.shared.fallback {
            shared.fallback = UInt32(out.intentions.count)
            out.intentions.append(written(intention, &shared).record)
        }
        part.indexes.reserveCapacity(needed.byTargets.count)
        out.policies.reserveCapacity(needed.byTargets.count)
        out.intentions.reserveCapacity(node.intentions.count)
        for service in [needed.byTargets, needed.byListeners].joined() {
            let destination = part.table.hasOwn(service) ? service : "*"
            guard part.indexes[destination] == nil else { continue }
            part.indexes[destination] = UInt32(out.policies.count)
            write(part.table.policy(for: service), destination, &shared)
        }
        part.shared = shared
        keep(part)
        return false
    }

    /// Leaves what stands in the sections now to the next build.
    private mutating func keep(_ written: PolicyPart) {
        var part = written
        part.policies = out.policies
        part.intentions = out.intentions
        part.permissions = out.permissions
        part.tokens = out.tokens
        part.tokenChecks = out.tokenChecks
        part.tokenPlaces = out.tokenPlaces
        part.matches = out.matches
        part.dfas = out.dfas
        part.blob = out.blob
        part.automata = automata
        part.expressions = memory.expressions.used
        memory.policies = part
    }

    /// Takes over the part of the build before; false, and nothing taken, where it is for other
    /// services or too much of the intentions is another.
    private mutating func takeOverPolicies(for needed: PolicyPart.Needed) -> Bool {
        guard var part = memory.policies else { return false }
        memory.policies = nil  // the only copy is written on
        guard part.needed == needed, part.defaultAction == action,
            part.providers == node.tokenProviders
        else { return false }
        if part.source != node.intentions {
            let (old, new) = Self.differing(part.source, node.intentions)
            guard old.count + new.count <= 64, old.allSatisfy(\.isPlain),
                let changed = part.table.replace(old, by: new), part.table.shared.isPlain
            else { return false }
            part.source = node.intentions
            for destination in changed.sorted() {
                guard replace(destination, in: &part) else { return false }
            }
        }
        out.policies = part.policies
        out.intentions = part.intentions
        out.permissions = part.permissions
        out.tokens = part.tokens
        out.tokenChecks = part.tokenChecks
        out.tokenPlaces = part.tokenPlaces
        out.matches = part.matches
        out.dfas = part.dfas
        out.blob = part.blob
        automata = part.automata
        memory.expressions.keep(part.expressions)
        memory.policies = part
        return true
    }

    /// What stands between the equal beginnings and the equal ends of two lists.
    private static func differing(
        _ old: [Intention], _ new: [Intention]
    ) -> (ArraySlice<Intention>, ArraySlice<Intention>) {
        let most = min(old.count, new.count)
        var first = 0
        while first < most, old[first] == new[first] { first += 1 }
        var last = 0
        while last < most - first, old[old.count - 1 - last] == new[new.count - 1 - last] {
            last += 1
        }
        return (old[first..<old.count - last], new[first..<new.count - last])
    }

    /// Writes the policy of one service anew, in its place. False where it has records in other
    /// sections too: these do not keep gaps.
    private mutating func replace(_ destination: String, in part: inout PolicyPart) -> Bool {
        // Nothing refers to the policy of a service that is not needed.
        guard let index = part.indexes[destination] else { return true }
        let policy = part.table.policy(for: destination)
        guard policy.isPlain else { return false }
        write(policy, destination, &part.shared)
        part.replace(Int(index), out.policies[0], out.intentions)
        out.policies = []
        out.intentions = []
        return true
    }

    private mutating func report(_ table: PolicyTable) {
        for intention in table.repeated {
            refuse(
                "the intention \(intention.source) => \(intention.destination) "
                    + "(\(intention.origin)) is there twice: remove one")
        }
    }

    private mutating func write(
        _ policy: PolicyTable.Policy, _ destination: String, _ shared: inout SharedIntentions
    ) {
        var record = abi_policy()
        var hash = StableHash()
        hash.combine(destination)
        hash.combine(node.intentionsDefault == .allow ? 1 : 0)
        record.destination = place(destination, "a service's name")
        record.default_action = action
        if !policy.exact.isEmpty {
            record.intentions = abi_ref(
                at: UInt32(out.intentions.count), count: UInt32(policy.exact.count))
        }
        for intention in policy.exact {
            let written = written(intention, &shared)
            out.intentions.append(written.record)
            hash.combine(written.hash)
        }
        record.fallback = UInt32.max
        if let intention = policy.fallback {
            let written = written(intention, &shared)
            hash.combine(written.hash)
            if intention.destination == .any {
                record.fallback = shared.fallback
            } else {
                record.fallback = UInt32(out.intentions.count)
                out.intentions.append(written.record)
            }
        }
        let all = policy.exact + [policy.fallback].compactMap(\.self)
        record.tokens = all.contains(where: \.asksTokens) ? 1 : 0
        record.key = hash.finish()
        out.policies.append(record)
    }

    private var action: UInt8 { action(node.intentionsDefault) }

    private func action(_ action: IntentionAction) -> UInt8 {
        UInt8((action == .allow ? ABI_INTENTION_ALLOW : ABI_INTENTION_DENY).rawValue)
    }

    private mutating func written(
        _ plan: Intention, _ shared: inout SharedIntentions
    ) -> WrittenIntention {
        let source = PolicyTable.source(plan)
        // Those of one destination are needed once; wildcard ones by many policies.
        let isShared = plan.destination == .any
        if isShared, let written = shared.written[source] { return written }
        var record = abi_intention()
        var hash = StableHash()
        record.source = place(source, "the source of an intention")
        hash.combine(source)
        record.destination = place(plan.destination.folded, "a destination")
        record.precedence = UInt8(plan.precedence)
        record.origin = place("\(plan.origin)", "the origin of an intention")
        record.closed = plan.token == nil ? 0 : 1
        hash.combine(UInt64(record.closed))
        if let list = plan.asked {
            let name = "intention \(plan.source) => \(plan.destination) (\(plan.origin))"
            if list.isEmpty { refuse("\(name) has no permissions: write one, or an action") }
            var records: [abi_permission] = []
            for asked in list { records.append(permission(asking: asked, name, &hash)) }
            record.action = UInt8(ABI_INTENTION_PERMISSIONS.rawValue)
            record.permissions = abi_ref(
                at: UInt32(out.permissions.count), count: UInt32(list.count))
            out.permissions += records
        } else if case .action(let value) = plan.effect {
            record.action = action(value)
            hash.combine(value == .allow ? 1 : 0)
        }
        let written = WrittenIntention(record: record, hash: hash.finish())
        if isShared { shared.written[source] = written }
        return written
    }

    private mutating func permission(
        asking asked: Intention.Asked, _ name: String, _ hash: inout StableHash
    ) -> abi_permission {
        let plan = asked.permission
        var record = abi_permission()
        record.action = action(plan.action)
        let path = path(of: plan.http, name)
        record.path_kind = path.kind
        record.path = path.text
        record.path_dfa = path.automaton
        record.methods = methods(plan.http.methods, name)
        record.matches = matches(of: plan.http, name)
        record.token = number(of: asked.tokens)
        hash.combine(UInt64(record.action))
        hash.combine(UInt64(record.methods))
        hash.combine(plan.http)
        for token in asked.tokens {
            for provider in token.providers { hash.combine(node.tokenProviders.key(of: provider)) }
            hash.combine(UInt64(token.providers.count))
        }
        return record
    }
}

/// Wildcard intentions that are written already: many policies have them.
struct SharedIntentions: Sendable {
    /// By source.
    var written: [String: WrittenIntention] = [:]
    /// The record of the one for any caller.
    var fallback = UInt32.max
}

/// An intention's record, and the hash of all that it decides.
struct WrittenIntention: Sendable {
    let record: abi_intention
    let hash: UInt64
}

extension StableHash {
    mutating func combine(_ match: HTTPMatch) {
        if let (key, text) = match.path?.keyed {
            combine(key)
            combine(text)
        }
        combine(match.caseInsensitive ? 1 : 0)
        for header in match.headers {
            combine(header.name.lowercased())
            combine(header.match)
            combine((header.invert ? 2 : 0) | (header.ignoreCase ? 1 : 0))
        }
        for parameter in match.query {
            combine(parameter.name)
            combine(parameter.match)
        }
    }

    private mutating func combine(_ match: TextMatch) {
        let (kind, text): (UInt64, String) =
            switch match {
            case .present: (0, "")
            case .exact(let text): (1, text)
            case .prefix(let text): (2, text)
            case .suffix(let text): (3, text)
            case .contains(let text): (4, text)
            case .regex(let text): (5, text)
            }
        combine(kind)
        combine(text)
    }
}
