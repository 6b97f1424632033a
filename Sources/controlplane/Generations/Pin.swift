import MeshModel
import MeshStore
import MeshTables

/// What the workers run although something else is wanted: a generation that somebody went back to.
struct Pin: Sendable {
    /// The plan that is held.
    enum Held: Sendable {
        case plan(CompiledNode)
        /// The control plane was restarted meanwhile: the file that the workers run.
        case file([UInt8])
    }

    /// The number that was asked for.
    var generation: UInt64
    var held: Held
    /// Secrets that the held plan may name and the wanted one does not any more.
    var secrets: [SecretPlan]
    /// What has changed since, and waits.
    var waiting = ChangeCauses()

    /// The plan that is held, with secrets and keys of issuers as they are now; nil: it is a file.
    func plan(renewedBy wanted: NodePlan) -> NodePlan? {
        guard case .plan(let compiled) = held else { return nil }
        var plan = wanted
        plan.compiled = compiled
        plan.compiled.renewKeySets(from: wanted.compiled)
        plan.secrets = secrets(renewedBy: wanted.secrets)
        return plan
    }

    /// Renewed ones where there are some; those that only the held plan names go on as they were.
    func secrets(renewedBy wanted: [SecretPlan]) -> [SecretPlan] {
        let known = Set(wanted.map(\.id))
        return wanted + secrets.filter { !known.contains($0.id) }
    }
}

extension NodeRecord<UInt64> {
    /// The generation that is pinned; 0: none.
    static var pinned: NodeRecord { NodeRecord(name: "node/pinned-generation") }
}

/// Keeps over a restart that a generation is pinned.
struct PinKeeper: Sendable {
    let store: any StateStore

    /// What was pinned before a restart; nil: nothing.
    func load() throws -> UInt64? {
        try NodeRecord.pinned.load(store.snapshot).flatMap { $0 == 0 ? nil : $0 }
    }

    func save(_ generation: UInt64?) async throws {
        try await store.write { try NodeRecord.pinned.save(generation ?? 0, &$0) }
    }
}
