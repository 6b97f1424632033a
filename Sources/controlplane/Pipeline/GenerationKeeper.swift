import Foundation
import MeshIdentity
import MeshModel
import MeshStore

/// Numbers of snapshots: they only grow, over restarts of control plane and data plane.
///
/// Numbers are reserved in the store in blocks, so that a publication costs no write to disk. A
/// store that cannot be written does not stop publications: an adopted data plane tells its own
/// number.
actor GenerationKeeper {
    private static let block: UInt64 = 1000

    private let store: any StateStore
    private let board: ProblemBoard
    private var last: UInt64
    private var reserved: UInt64

    init(store: any StateStore, board: ProblemBoard) throws {
        self.store = store
        self.board = board
        reserved = try NodeRecord.generation.load(store.snapshot) ?? 0
        last = reserved
    }

    /// The number of the next snapshot, above that of whatever runs.
    func next(above running: UInt64) async -> UInt64 {
        last = max(last, running) + 1
        let next = last
        if next > reserved { await extend() }
        return next
    }

    /// Reserves more numbers when they run out, so that nobody has to wait for the disk who needs
    /// one.
    func reserve() async {
        if last + Self.block / 2 > reserved { await extend() }
    }

    private func extend() async {
        let wanted = max(last, reserved) + Self.block
        do {
            try await store.write { try NodeRecord.generation.save(wanted, &$0) }
            reserved = max(reserved, wanted)
            board.clear(.store, "generations")
        } catch {
            board.set(.store, "generations", "snapshot numbers are not stored: \(error)")
        }
    }
}

/// Small values that the control plane keeps for itself in the store.
struct NodeRecord<Value: Codable & Sendable>: Sendable {
    let name: String

    func load(_ state: StoreState) throws -> Value? {
        guard let bytes = try state.secret(name) else { return nil }
        return try JSONDecoder().decode(Value.self, from: Data(bytes.exposed))
    }

    func save(_ value: Value, _ draft: inout StoreDraft) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try draft.putSecret(name, SecretBytes(try encoder.encode(value)))
    }
}

extension NodeRecord<UInt64> {
    static var generation: NodeRecord { NodeRecord(name: "node/generation") }
}

extension NodeRecord<[String: UInt16]> {
    static var sidecarPorts: NodeRecord { NodeRecord(name: "node/sidecar-ports") }
}
