import MeshConsul
import MeshModel
import MeshStore
import Synchronization
import Testing

@Suite struct SessionGuardTests {
    private final class Facts: SessionFacts {
        let nodes = Mutex<Set<String>>(["lab"])
        let checks = Mutex<[String: SessionCheck]>([
            "serfHealth": SessionCheck(.passing), "web": SessionCheck(.passing),
        ])

        func checks(
            _ wanted: Set<String>, node: String
        ) async -> [String: SessionCheck]? {
            guard nodes.withLock({ $0.contains(node) }) else { return nil }
            return checks.withLock { $0.filter { wanted.contains($0.key) } }
        }
    }

    private func started() async throws -> (SQLiteStore, Facts, SessionGuard) {
        let store = try await SQLiteStore.inMemory()
        try await store.write { draft in
            try draft.putSession(Session(id: "plain", node: "lab", nodeChecks: ["serfHealth"]))
            try draft.putSession(
                Session(
                    id: "web", node: "lab", behavior: .delete, nodeChecks: ["serfHealth"],
                    serviceChecks: ["web"]))
            _ = try draft.lockKeyValue("k", [1], session: "web", now: .now)
        }
        let facts = Facts()
        return (store, facts, SessionGuard(store: store, facts: facts))
    }

    private func ids(_ store: SQLiteStore) -> [String] {
        store.snapshot.sessions().map(\.value.id)
    }

    @Test func aCriticalOrMissingCheckEndsItsSessions() async throws {
        for status in [CheckStatus.critical, nil] {
            let (store, facts, guarding) = try await started()
            await guarding.look()
            facts.checks.withLock { $0["web"] = SessionCheck(.warning) }
            await guarding.look()
            #expect(ids(store) == ["plain", "web"])
            facts.checks.withLock { $0["web"] = status.map { SessionCheck($0) } }
            await guarding.look()
            #expect(ids(store) == ["plain"])
            #expect(store.snapshot.keyValue("k") == nil)
        }
    }

    /// After a start a check is critical until it has run: that is not its session's end.
    @Test func aCheckThatHasNotRunEndsNothing() async throws {
        let (store, facts, guarding) = try await started()
        facts.checks.withLock { $0["web"] = SessionCheck(.critical, isProven: false) }
        await guarding.look()
        #expect(ids(store) == ["plain", "web"])
        facts.checks.withLock { $0["web"] = SessionCheck(.critical) }
        await guarding.look()
        #expect(ids(store) == ["plain"])
    }

    @Test func aNodeThatIsGoneEndsItsSessions() async throws {
        let (store, facts, guarding) = try await started()
        facts.nodes.withLock { $0 = [] }
        await guarding.look()
        #expect(ids(store) == [])
    }

    /// Without being asked, when health is told.
    @Test func itLooksWhenHealthChanges() async throws {
        let (store, facts, guarding) = try await started()
        let running = Task { await guarding.run() }
        facts.checks.withLock { $0["web"] = SessionCheck(.critical) }
        let before = store.index(of: Watch(.sessions))
        try await store.write { $0.note(.health, key: "web") }
        _ = try await store.wait(after: before, on: Watch(.sessions), upTo: .seconds(20))
        #expect(ids(store) == ["plain"])
        running.cancel()
        await running.value
    }
}
