import MeshModel
import MeshStore
import Testing

@Suite struct TransactionTests {
    private let store: SQLiteStore
    private let now = ContinuousClock.now

    init() async throws {
        store = try await .inMemory()
        try await store.write { draft in
            try draft.putSession(Session(id: "s", node: "lab"))
            _ = try draft.putKeyValue("a", [1])
        }
    }

    private func run(_ operations: KeyValueOperation...) async throws -> [KeyValueRecord] {
        let now = now
        return try await store.write { try $0.transact(operations, now: now) }
    }

    private func errors(_ operations: KeyValueOperation...) async -> [String] {
        let now = now
        do {
            _ = try await store.write { try $0.transact(operations, now: now) }
            return []
        } catch let failure as TransactionFailure {
            return failure.items.map { "\($0.operation): \($0.what)" }
        } catch {
            return ["\(error)"]
        }
    }

    @Test func aTransactionReadsItsOwnWrites() async throws {
        let before = store.snapshot.index
        let pairs = try await run(
            .init(.set, "x", value: [7], flags: 3), .init(.get, "x"),
            .init(.lock, "x", value: [8], session: "s"), .init(.checkSession, "x", session: "s"),
            .init(.getTree, ""), .init(.delete, "a"), .init(.checkNotExists, "a"),
            .init(.getOrEmpty, "a", flags: 5), .init(.unlock, "x", value: [9], session: "s"))
        #expect(pairs.map(\.key) == ["x", "x", "x", "x", "a", "x", "a", "x"])
        #expect(pairs.map(\.value) == [[], [7], [], [], [1], [8], [], []])
        #expect(store.snapshot.index.value == before.value + 1)
        #expect(store.snapshot.keyValue("x")?.value == [9])
        #expect(store.snapshot.keyValue("x")?.lockIndex == 1)
        #expect(store.snapshot.keyValue("a") == nil)
    }

    @Test func oneFailureTakesBackEverythingAndAllAreNamed() async throws {
        let before = store.snapshot
        let index = before.keyValue("a")?.modifyIndex ?? .zero
        #expect(
            await errors(
                .init(.set, "x", value: [1]), .init(.cas, "a", index: index.next),
                .init(.get, "gone"), .init(.deleteTree, ""), .init(.checkNotExists, "x"))
                == [
                    "1: failed to set key \"a\", index is stale", "2: key \"gone\" doesn't exist",
                ])
        #expect(store.snapshot.keyValues(prefix: "") == before.keyValues(prefix: ""))
        #expect(store.snapshot.index == before.index)
    }

    @Test func everyVerbSaysWhatIsWrong() async throws {
        let index = try #require(store.snapshot.keyValue("a")).modifyIndex
        #expect(
            await errors(
                .init(.deleteCAS, "a", index: index.next), .init(.checkNotExists, "a"),
                .init(.checkIndex, "a", index: index.next), .init(.checkIndex, "b"),
                .init(.checkSession, "a", session: "s"), .init(.checkSession, "b"),
                .init(.unlock, "a", session: "s"), .init(.lock, "a", session: "t"),
                .init(.lock, "a"), .init(.set, ""))
                == [
                    "0: failed to delete key \"a\", index is stale", "1: key \"a\" exists",
                    "2: failed index check for key \"a\", current modify index \(index) != "
                        + "\(index.next)",
                    "3: failed to check index, key \"b\" doesn't exist",
                    "4: failed session check for key \"a\", current session \"\" != \"s\"",
                    "5: failed to check session, key \"b\" doesn't exist",
                    "6: failed to unlock key \"a\", lock isn't held, or is held by another session",
                    "7: invalid session \"t\"", "8: missing session",
                    "9: a key has 1 to 4096 bytes",
                ])
    }

    @Test func aLockThatIsHeldOrDelayedFails() async throws {
        let now = now
        try await store.write { draft in
            try draft.putSession(Session(id: "other", node: "lab"))
            try draft.putSession(Session(id: "past", node: "lab", lockDelay: .seconds(5)))
            _ = try draft.lockKeyValue("held", [], session: "other", now: now)
            _ = try draft.lockKeyValue("late", [], session: "past", now: now)
            draft.endSession("past", now: now)
        }
        #expect(
            await errors(
                .init(.lock, "held", session: "s"), .init(.lock, "late", session: "s"))
                == [
                    "0: failed to lock key \"held\", lock is already held",
                    "1: failed to lock key \"late\" due to lock delay",
                ])
    }

    @Test func deletingWhatIsNotThereSucceedsAlsoByIndex() async throws {
        #expect(
            try await run(.init(.delete, "gone"), .init(.deleteCAS, "gone", index: Index(9)))
                .isEmpty)
    }
}
