import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import MeshTables
import MeshWorkers

/// What the workers run although something else is wanted: a generation that somebody went back to.
struct Pin: Sendable {
    /// The plan that is held.
    enum Held: Sendable {
        case plan(CompiledNode)
        /// The control plane was restarted and what the generation held is not kept: the file that
        /// the workers run.
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

    /// What is wrong with a file that asks for tokens of whom nobody knows.
    var unjudgedTokens: String {
        "generation \(generation) is pinned, but what it held is not kept: tokens of providers "
            + "that have changed since are refused; meshctl generations resume ends that"
    }

    /// Renewed ones where there are some; those that only the held plan names go on as they were.
    func secrets(renewedBy wanted: [SecretPlan]) -> [SecretPlan] {
        let known = Set(wanted.map(\.id))
        return wanted + secrets.filter { !known.contains($0.id) }
    }
}

extension DataPlaneLink.Files {
    /// A snapshot that runs, as another generation and with these secrets.
    init(again bytes: [UInt8], _ generation: UInt64, _ secrets: [SecretPlan]) throws {
        let stamp = SnapshotBuilder.Stamp(
            generation: generation, secretsGeneration: generation,
            writtenAtMilliseconds: Date().milliseconds)
        guard let again = RestampedSnapshot(bytes, stamp: stamp) else {
            throw MeshError(.corrupt, "the pinned snapshot cannot be published again")
        }
        let snapshot = try SharedMemory.sealed(
            name: "ringmesh-snapshot", size: again.bytes.count
        ) { $0.copyBytes(from: again.bytes) }
        self.init(
            generation: generation, snapshot: snapshot, secretsGeneration: generation,
            secrets: try SharedMemory.sealed(secrets, generation))
    }
}

extension SharedMemory {
    /// A sealed file of secrets.
    static func sealed(_ secrets: [SecretPlan], _ generation: UInt64) throws -> Descriptor {
        let region = try SecretsBuilder(secrets, generation: generation)
        return try sealed(name: "ringmesh-secrets", size: region.size) { region.write(into: $0) }
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
