import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// The record that decides about calls to a service. Services without intentions of their own
    /// share one, whose destination is `*`.
    func policy(for service: ServiceName) -> UInt32 {
        let destination = policies.hasOwn(service) ? service.folded : "*"
        if let index = policyIndexes[destination] { return index }
        let policy = policies.policy(for: service)
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
            let written = intention(index)
            out.intentions.append(written.record)
            hash.combine(written.hash)
        }
        record.fallback = UInt32.max
        if let fallback = policy.fallback {
            record.fallback = fallbackRecord(fallback)
            hash.combine(intention(fallback).hash)
        }
        record.key = hash.finish()
        out.policies.append(record)
        let index = UInt32(out.policies.count - 1)
        policyIndexes[destination] = index
        return index
    }

    func reportPolicyProblems() {
        for index in policies.repeated {
            let intention = policies.intentions[index]
            refuse(
                "the intention \(intention.source) => \(intention.destination) "
                    + "(\(intention.origin)) is there twice: remove one")
        }
    }

    /// An intention for any caller stands once, however many policies fall back to it.
    private func fallbackRecord(_ index: Int) -> UInt32 {
        if let written = fallbackIndexes[index] { return written }
        out.intentions.append(intention(index).record)
        let written = UInt32(out.intentions.count - 1)
        fallbackIndexes[index] = written
        return written
    }

    private func action(_ action: IntentionAction) -> UInt8 {
        UInt8((action == .allow ? ABI_INTENTION_ALLOW : ABI_INTENTION_DENY).rawValue)
    }

    private func intention(_ index: Int) -> WrittenIntention {
        if let written = writtenIntentions[index] { return written }
        let plan = policies.intentions[index]
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
        writtenIntentions[index] = written
        return written
    }

    private func write(_ plan: Permission, _ name: String, _ hash: inout StableHash) {
        var record = abi_permission()
        if plan.token != nil {
            refuse("\(name) asks for a token, which this version does not check: remove jwt")
        }
        record.action = action(plan.action)
        writePath(of: plan.http, name, kind: &record.path_kind, path: &record.path) {
            record.path_dfa = $0
        }
        record.methods = methods(plan.http.methods, name)
        record.matches = matches(of: plan.http, name)
        out.permissions.append(record)
        hash.combine(UInt64(record.action))
        hash.combine(UInt64(record.methods))
        hash.combine(plan.http)
    }
}

/// An intention's record, and the hash of all that it decides.
struct WrittenIntention {
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
