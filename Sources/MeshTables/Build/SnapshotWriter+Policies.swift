import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// Writes the policies of these services, or takes over what the build before wrote. Comes
    /// first: the part stands at the beginning of every section it has records in.
    mutating func writePolicies(for needed: [String]) {
        let action = action(node.intentionsDefault)
        var before = memory.policies
        memory.policies = nil
        if let part = before, part.needed == needed, part.defaultAction == action,
            part.table.intentions == node.intentions
        {
            takeOver(part)
            return
        }
        let isSame = before?.table.intentions == node.intentions
        let table = isSame ? before?.table : nil
        before = nil
        var part = PolicyPart(
            table: table ?? PolicyTable(node.intentions), defaultAction: action, needed: needed)
        report(part.table)
        var cache = IntentionCache()
        part.indexes.reserveCapacity(needed.count)
        for service in needed {
            let destination = part.table.hasOwn(service) ? service : "*"
            guard part.indexes[destination] == nil else { continue }
            part.indexes[destination] = UInt32(out.policies.count)
            write(part.table.policy(for: service), of: part.table, destination, &cache)
        }
        part.policies = out.policies
        part.intentions = out.intentions
        part.permissions = out.permissions
        part.matches = out.matches
        part.dfas = out.dfas
        part.blob = out.blob
        part.automata = automata
        part.expressions = memory.expressions.used
        memory.policies = part
    }

    private mutating func takeOver(_ part: PolicyPart) {
        out.policies = part.policies
        out.intentions = part.intentions
        out.permissions = part.permissions
        out.matches = part.matches
        out.dfas = part.dfas
        out.blob = part.blob
        automata = part.automata
        memory.expressions.keep(part.expressions)
        memory.policies = part
    }

    private mutating func report(_ table: PolicyTable) {
        for index in table.repeated {
            let intention = table.intentions[index]
            refuse(
                "the intention \(intention.source) => \(intention.destination) "
                    + "(\(intention.origin)) is there twice: remove one")
        }
    }

    private mutating func write(
        _ policy: PolicyTable.Policy, of table: PolicyTable, _ destination: String,
        _ cache: inout IntentionCache
    ) {
        var record = abi_policy()
        var hash = StableHash()
        hash.combine(destination)
        hash.combine(node.intentionsDefault == .allow ? 1 : 0)
        record.destination = place(destination, "a service's name")
        record.default_action = action(node.intentionsDefault)
        if !policy.exact.isEmpty {
            record.intentions = abi_ref(
                at: UInt32(out.intentions.count), count: UInt32(policy.exact.count))
        }
        for index in policy.exact {
            let written = intention(index, of: table, &cache)
            out.intentions.append(written.record)
            hash.combine(written.hash)
        }
        record.fallback = UInt32.max
        if let index = policy.fallback {
            let written = intention(index, of: table, &cache)
            hash.combine(written.hash)
            // An intention for any caller stands once, however many policies fall back to it.
            if let known = cache.fallbacks[index] {
                record.fallback = known
            } else {
                record.fallback = UInt32(out.intentions.count)
                cache.fallbacks[index] = record.fallback
                out.intentions.append(written.record)
            }
        }
        record.key = hash.finish()
        out.policies.append(record)
    }

    private func action(_ action: IntentionAction) -> UInt8 {
        UInt8((action == .allow ? ABI_INTENTION_ALLOW : ABI_INTENTION_DENY).rawValue)
    }

    private mutating func intention(
        _ index: Int, of table: PolicyTable, _ cache: inout IntentionCache
    ) -> WrittenIntention {
        let plan = table.intentions[index]
        let isExact = plan.destination != .any
        // Those of one destination are needed once; wildcard ones by many policies.
        if !isExact, let written = cache.written[index] { return written }
        var record = abi_intention()
        var hash = StableHash()
        let source = PolicyTable.source(plan)
        record.source = place(source, "the source of an intention")
        hash.combine(source)
        switch plan.destination {
        case .any: record.destination = place("*", "a destination")
        case .exact(let name): record.destination = place(name.folded, "a destination")
        }
        record.precedence = UInt8(plan.precedence)
        record.origin = place("\(plan.origin)", "the origin of an intention")
        switch plan.effect {
        case .action(let value):
            record.action = action(value)
            hash.combine(value == .allow ? 1 : 0)
        case .permissions(let list):
            let name = "intention \(plan.source) => \(plan.destination) (\(plan.origin))"
            if list.isEmpty { refuse("\(name) has no permissions: write one, or an action") }
            record.action = UInt8(ABI_INTENTION_PERMISSIONS.rawValue)
            record.permissions = abi_ref(
                at: UInt32(out.permissions.count), count: UInt32(list.count))
            for permission in list { write(permission, name, &hash) }
        }
        let written = WrittenIntention(record: record, hash: hash.finish())
        if !isExact { cache.written[index] = written }
        return written
    }

    private mutating func write(_ plan: Permission, _ name: String, _ hash: inout StableHash) {
        var record = abi_permission()
        if plan.token != nil {
            refuse("\(name) asks for a token, which this version does not check: remove jwt")
        }
        record.action = action(plan.action)
        let path = path(of: plan.http, name)
        record.path_kind = path.kind
        record.path = path.text
        record.path_dfa = path.automaton
        record.methods = methods(plan.http.methods, name)
        record.matches = matches(of: plan.http, name)
        out.permissions.append(record)
        hash.combine(UInt64(record.action))
        hash.combine(UInt64(record.methods))
        hash.combine(plan.http)
    }
}

/// What one writing of policies has written already.
private struct IntentionCache {
    var written: [Int: WrittenIntention] = [:]
    var fallbacks: [Int: UInt32] = [:]
}

/// An intention's record, and the hash of all that it decides.
private struct WrittenIntention {
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
