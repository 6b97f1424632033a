import Foundation
package import MeshIdentity
package import MeshModel
import Synchronization

/// The state store on SQLite: one file, one writer, all reads from memory.
package final class SQLiteStore: StateStore {
    /// What only the leader of the write queue touches, handed on under a lock. The leader takes
    /// the state out, so that its tables have one owner and are changed in place.
    private struct Working: Sendable {
        var state: StoreState?
        var reserved: UInt64
    }

    private let file: SQLiteFile
    private let board: Board
    private let writes = WriteQueue()
    private let working: Mutex<Working>

    /// Opens or makes the database. A write waits this long for another process that holds it.
    package static func open(
        path: String, key: SecretBytes, busyTimeout: Duration = .seconds(5)
    ) async throws -> SQLiteStore {
        let box = try SecretBox(key: key)
        return try await open(SQLiteFile(path: path, busyTimeout: busyTimeout), box: box)
    }

    /// A store that is gone with the process, for trying things out.
    package static func inMemory() async throws -> SQLiteStore {
        var generator = SystemRandomNumberGenerator()
        let key = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return try await open(SQLiteFile(), box: SecretBox(key: SecretBytes(key)))
    }

    private static func open(_ file: SQLiteFile, box: SecretBox) async throws -> SQLiteStore {
        let (state, reserved) = try file.load(box: box)
        let store = SQLiteStore(file: file, state: state, reserved: reserved)
        if state.installationID.isEmpty {
            let id = UUID().uuidString.lowercased()
            try await store.write { $0.putFact(Fact.installationID, id) }
        }
        return store
    }

    private init(file: SQLiteFile, state: StoreState, reserved: UInt64) {
        self.file = file
        self.board = Board(state)
        self.working = Mutex(Working(state: state, reserved: reserved))
    }

    package var snapshot: StoreState { board.snapshot }

    package func index(of watch: Watch) -> Index { board.index(of: watch) }

    package func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?
    ) async throws -> Index {
        try await board.wait(after: index, on: watch, until: deadline)
    }

    package func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?,
        _ wake: @escaping @Sendable (Index) -> Void
    ) -> UInt64 {
        board.wait(after: index, on: watch, until: deadline, wake)
    }

    package func forget(_ waiter: UInt64) -> Bool { board.forget(waiter) }

    package var waiting: Int { board.waiting }

    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (inout StoreDraft) throws -> Value
    ) async throws -> Value {
        let write = PendingWrite(body)
        await writes.run(write) { batch in await store(batch) }
        return try write.outcome()
    }

    package func close() async throws {
        // The lead excludes every other write; after the last one there is nothing to wait for.
        let write = PendingWrite { _ in }
        let result = Mutex<Result<Void, any Error>>(.success(()))
        await writes.run(write) { batch in
            await store(batch)
            let outcome = Result { try file.close() }
            result.withLock { $0 = outcome }
        }
        try result.withLock { $0 }.get()
    }

    /// Makes the writes one after the other, stores what they changed together, and shows it.
    private func store(_ batch: [any QueuedWrite]) async {
        let reserved = working.withLock { $0.reserved }
        var draft = StoreDraft(state: takeState())
        let before = draft.state.index
        var performed: [any QueuedWrite] = []
        var steps: [(index: Index, changes: ArraySlice<Change>)] = []
        for write in batch {
            let start = draft.changes.count
            guard write.perform(on: &draft) else { continue }
            performed.append(write)
            if draft.changes.count > start {
                steps.append((draft.state.index, draft.changes[start...]))
            }
        }
        do {
            let next = try await persist(draft.changes, upTo: draft.state.index, reserved: reserved)
            working.withLock { $0 = Working(state: draft.state, reserved: next) }
            board.publish(steps)
        } catch {
            let failure =
                error as? MeshError ?? MeshError(.system, "the write failed", cause: error)
            for write in performed { write.fail(failure) }
            draft.revert(to: 0, index: before)
            working.withLock { $0.state = draft.state }
        }
    }

    private func takeState() -> StoreState {
        working.withLock { working in
            guard let state = working.state.take() else {
                fatalError("two writers lead at the same time")
            }
            return state
        }
    }

    private func persist(
        _ changes: [Change], upTo index: Index, reserved: UInt64
    ) async throws -> UInt64 {
        if changes.isEmpty { return reserved }
        do {
            return try await file.persist(changes, upTo: index, reserved: reserved)
        } catch  where changes.allSatisfy(\.isVolatile) {
            // Nothing of this belongs on disk; only the reservation of indexes failed. Serving on
            // is worth more than an index that a crash might give a second time.
            return reserved
        }
    }
}
