import MeshModel
import MeshStore
import Testing

@Suite struct SessionTests {
    private let store: SQLiteStore
    private let start = ContinuousClock.now

    init() async throws { store = try await .inMemory() }

    private func make(
        _ id: String, delay: Int64 = 0, behavior: Session.Behavior = .release, ttl: String = "",
        checks: [String] = []
    ) async throws {
        let session = Session(
            id: id, node: "lab", lockDelay: .seconds(delay), behavior: behavior, ttl: ttl,
            nodeChecks: checks)
        try await store.write { try $0.putSession(session) }
    }

    private func lock(_ key: String, _ session: String, at second: Int = 0) async throws -> Bool {
        let now = start.advanced(by: .seconds(second))
        return try await store.write { draft in
            try draft.lockKeyValue(key, Array(session.utf8), session: session, now: now)
        }
    }

    private func unlock(_ key: String, _ session: String) async throws -> Bool {
        try await store.write { try $0.unlockKeyValue(key, [], session: session) }
    }

    private func end(_ id: String, at second: Int = 0) async throws -> Bool {
        let now = start.advanced(by: .seconds(second))
        return try await store.write { $0.endSession(id, now: now) }
    }

    @Test func oneSessionHoldsAKeyAtATime() async throws {
        try await make("a")
        try await make("b")
        #expect(try await lock("k", "a"))
        let first = try #require(store.snapshot.keyValue("k"))
        #expect(first.session == "a" && first.lockIndex == 1)
        #expect(try await lock("k", "a"))
        #expect(store.snapshot.keyValue("k") == first, "an equal value keeps the index")
        #expect(try await lock("k", "b") == false)
        #expect(try await unlock("k", "b") == false)
        _ = try await store.write { try $0.putKeyValue("k", [9]) }
        #expect(store.snapshot.keyValue("k")?.session == "a")
        #expect(try await unlock("k", "a"))
        #expect(try await unlock("k", "a") == false)
        #expect(try await lock("k", "b"))
        #expect(store.snapshot.keyValue("k")?.lockIndex == 2)
    }

    @Test func aSessionMustBeThere() async throws {
        #expect(
            await failure { try await lock("k", "gone") }?.message == "invalid session \"gone\"")
        #expect(await failure { try await lock("k", "") }?.message == "missing session")
        #expect(await failure { try await unlock("k", "") }?.message == "missing session")
        #expect(store.snapshot.keyValue("k") == nil)
    }

    @Test func anEndedSessionLetsGoOrDeletes() async throws {
        try await make("a")
        try await make("b", behavior: .delete)
        for key in ["1", "2"] { #expect(try await lock(key, "a")) }
        #expect(try await lock("3", "b"))
        let before = store.index(.keyValues, .key("1"))
        #expect(try await end("a"))
        #expect(store.snapshot.keyValue("1")?.session == nil)
        #expect(store.snapshot.keyValue("1")?.lockIndex == 1)
        #expect(store.index(.keyValues, .key("1")) > before)
        #expect(try await end("b"))
        #expect(store.snapshot.keys(prefix: "") == ["1", "2"])
        #expect(try await end("a") == false)
        #expect(store.snapshot.sessions().isEmpty)
    }

    @Test func nobodyGetsAKeyDuringTheLockDelay() async throws {
        try await make("a", delay: 15)
        try await make("b")
        #expect(try await lock("k", "a"))
        #expect(try await end("a"))
        #expect(store.snapshot.isDelayed("k", now: start))
        #expect(try await lock("k", "b", at: 14) == false)
        #expect(try await lock("k", "b", at: 15))
        #expect(try await lock("other", "b"))
    }

    @Test func aDelayIsTakenBackWithItsWrite() async throws {
        struct Refused: Error {}
        try await make("a", delay: 15)
        #expect(try await lock("k", "a"))
        let start = start
        await #expect(throws: Refused.self) {
            try await store.write { draft in
                draft.endSession("a", now: start)
                throw Refused()
            }
        }
        #expect(store.snapshot.session("a") != nil)
        #expect(store.snapshot.keyValue("k")?.session == "a")
        #expect(!store.snapshot.isDelayed("k", now: start))
    }

    @Test func aLockDelayHasABound() {
        #expect(Session(id: "a", node: "lab").lockDelay == .seconds(15))
        #expect(Session(id: "a", node: "lab", lockDelay: .seconds(60)).lockDelay == .seconds(60))
        #expect(Session(id: "a", node: "lab", lockDelay: .seconds(61)).lockDelay == .seconds(60))
    }

    @Test(arguments: [
        ("", true), ("0s", true), ("9s", false), ("10s", true), ("24h", true), ("86401s", false),
    ])
    func timesToLiveHaveBounds(ttl: String, fits: Bool) async throws {
        let refusal = await failure { try await make("a", ttl: ttl) }
        #expect((refusal == nil) == fits)
        #expect((store.snapshot.session("a") != nil) == fits)
    }

    @Test func theTextOfABadTimeToLiveIsConsuls() async throws {
        #expect(
            await failure { try await make("a", ttl: "1s") }?.message
                == "Invalid Session TTL '1000000000', must be between [10s=24h0m0s]")
        try await make("a")
        #expect(await failure { try await make("a") }?.code == .conflict)
    }

    @Test func aCriticalCheckEndsTheSessionsThatDependOnIt() async throws {
        try await make("a", checks: ["serfHealth"])
        try await make("b", checks: ["disk"])
        try await make("c")
        let start = start
        try await store.write { $0.endSessions(node: "other", check: "disk", now: start) }
        #expect(store.snapshot.sessions().count == 3)
        try await store.write { $0.endSessions(node: "lab", check: "disk", now: start) }
        #expect(store.snapshot.sessions(node: "lab").map(\.value.id) == ["a", "c"])
        try await store.write { $0.endSessions(node: "lab", now: start) }
        #expect(store.snapshot.sessions().isEmpty)
    }

    @Test func sessionsAndLocksSurviveARestart() async throws {
        let folder = try Folder()
        let first = try await open(folder)
        let session = Session(
            id: "a", name: "é", node: "lab", lockDelay: .seconds(1), behavior: .delete,
            ttl: "90s", nodeChecks: ["serfHealth"], serviceChecks: ["web"])
        let start = start
        try await first.write { draft in
            try draft.putSession(session)
            _ = try draft.lockKeyValue("k", [1], flags: 7, session: "a", now: start)
        }
        try await first.close()
        let second = try await open(folder)
        #expect(second.snapshot.session("a") == first.snapshot.session("a"))
        #expect(second.snapshot.session("a")?.value == session)
        #expect(second.snapshot.keyValue("k") == first.snapshot.keyValue("k"))
        _ = try await second.write { $0.endSession("a", now: start) }
        #expect(second.snapshot.keyValue("k") == nil)
        try await second.close()
    }
}

@Suite struct SessionTimerTests {
    private let start = ContinuousClock.now

    private func at(_ second: Int) -> ContinuousClock.Instant {
        start.advanced(by: .seconds(second))
    }

    @Test func aSessionEndsAtTwiceItsTime() {
        var timers = SessionTimers()
        let session = Session(id: "a", node: "lab", ttl: "10s")
        timers.follow([session, Session(id: "b", node: "lab")], now: start)
        #expect(timers.next == at(20))
        #expect(timers.ended(now: at(19)) == [])
        #expect(timers.ended(now: at(20)) == ["a"])
        timers.renew(session, now: at(15))
        #expect(timers.ended(now: at(34)) == [])
        #expect(timers.ended(now: at(35)) == ["a"])
    }

    @Test func followingDoesNotRenewAndForgetsWhatIsGone() {
        var timers = SessionTimers()
        let session = Session(id: "a", node: "lab", ttl: "10s")
        timers.follow([session], now: start)
        timers.follow([session], now: at(10))
        #expect(timers.next == at(20))
        timers.follow([], now: at(10))
        #expect(timers.next == nil)
        #expect(timers.ended(now: at(100)) == [])
    }

    @Test func aKeeperKeepsWhatIsRenewedAndKnown() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = SessionKeeper(store: store)
        try await store.write { try $0.putSession(Session(id: "a", node: "lab", ttl: "10s")) }
        #expect(keeper.renew("a")?.value.id == "a")
        #expect(keeper.renew("b") == nil)
    }
}
