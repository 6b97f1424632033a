import MeshModel
import MeshStore
import Synchronization
import Testing

@Suite struct WatchTests {
    private let store: SQLiteStore

    init() async throws { store = try await .inMemory() }

    private func put(_ key: String, _ value: UInt8) async throws {
        _ = try await store.write { try $0.putKeyValue(key, [value]) }
    }

    @Test func aWaiterIsWokenByItsObjectOnly() async throws {
        try await put("a", 1)
        let start = store.index(of: Watch(.keyValues, .key("a")))
        let waiter = Task { try await store.wait(after: start, on: Watch(.keyValues, .key("a"))) }
        try await put("b", 1)
        let definition = try service("a")
        try await store.write { try $0.putService(definition) }
        #expect(store.index(of: Watch(.keyValues, .key("a"))) == start)
        try await put("a", 2)
        let woken = try await waiter.value
        #expect(woken == store.snapshot.keyValue("a")?.modifyIndex)
        #expect(woken.value == start.value + 3)
    }

    @Test func aChangeThatHappenedAlreadyIsSeenAtOnce() async throws {
        try await put("a", 1)
        let index = try await store.wait(after: Index(0), on: Watch(.keyValues))
        #expect(index == store.snapshot.index)
    }

    @Test func anIndexIsNeverZero() {
        for topic in StoreTopic.allCases { #expect(store.index(topic) >= 1) }
    }

    @Test func aDeletedObjectsIndexGoesOn() async throws {
        try await put("dir/a", 1)
        try await put("dir/b", 1)
        let before = store.index(.keyValues, .key("dir/a"))
        let prefix = Watch(.keyValues, .prefix("dir/"))
        let start = store.index(of: prefix)
        let waiter = Task { try await store.wait(after: start, on: prefix) }
        _ = try await store.write { $0.removeKeyValue("dir/a") }
        #expect(try await waiter.value == store.snapshot.index)
        #expect(store.index(.keyValues, .key("dir/a")) > before)
        #expect(store.index(.keyValues, .key("dir/b")) == start.value)
        #expect(store.index(.keyValues, .prefix("dir/")) == store.snapshot.index.value)
    }

    @Test func manyDeletionsAreRememberedAsOneButNoneIsForgotten() async throws {
        try await put("kept", 1)
        let kept = store.index(.keyValues, .key("kept"))
        let absent = store.index(.keyValues, .key("gone-0"))
        for batch in 0..<10 {
            try await store.write { draft in
                for number in 0..<1000 {
                    _ = try draft.putKeyValue("gone-\(batch * 1000 + number)", [1])
                }
            }
            try await store.write { $0.removeKeyValues(prefix: "gone-") }
        }
        #expect(store.index(.keyValues, .key("gone-0")) > absent)
        #expect(store.index(.keyValues, .key("gone-9999")) == store.snapshot.index.value)
        #expect(store.index(.keyValues, .key("kept")) == kept)
    }

    @Test func intentionsAndServicesWakeByNameWhateverTheCase() async throws {
        let watches = [
            Watch(.intentions, .key("db")), Watch(.configEntries, .key("service-intentions/db")),
            Watch(.services, .key("db")), .everything,
        ]
        let one = try intention("web", "DB")
        let two = try service("Db")
        let start = store.snapshot.index
        try await store.write { draft in
            try draft.putIntention(one, replace: false)
            try draft.putService(two)
        }
        for watch in watches {
            #expect(try await store.wait(after: start, on: watch) == start.next)
        }
    }

    @Test func aRenamedServiceWakesThoseOfBothNames() async throws {
        let old = try service("old", id: "s1")
        let new = try service("new", id: "s1")
        try await store.write { try $0.putService(old) }
        let start = store.snapshot.index
        try await store.write { try $0.putService(new) }
        #expect(store.index(.services, .key("old")) == start.value + 1)
        #expect(store.index(.services, .key("new")) == start.value + 1)
    }

    @Test func notesWakeAndLeaveNothing() async throws {
        let start = store.snapshot.index
        let watch = Watch(.health, .key("web"))
        let waiter = Task { try await store.wait(after: start, on: watch) }
        try await store.write { $0.note(.health, key: "web") }
        #expect(try await waiter.value == start.next)
    }

    @Test func waitingEndsWithTheTaskAndWithTheLimit() async throws {
        let far = Index(1_000_000)
        let waiter = Task { try await store.wait(after: far, on: .everything) }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        let index = try await store.wait(after: far, on: .everything, upTo: .milliseconds(10))
        #expect(index == store.snapshot.index)
    }

    /// Whatever it is called by: topic, key, one of several keys, prefix. Those whom nothing
    /// concerns stay until their time is over.
    @Test func aChangeWakesThoseWhomItConcernsAndNobodyElse() async throws {
        try await put("dir/a", 1)
        let start = store.snapshot.index
        let concerned: [Watch.Scope] = [
            .all, .key("dir/a"), .keys(["x", "dir/a"]), .prefix(""), .prefix("d"), .prefix("dir/"),
            .prefix("dir/a"),
        ]
        let others: [Watch.Scope] = [
            .key("dir"), .keys(["x", "y"]), .prefix("dir/b"), .prefix("dir/aa"), .prefix("\u{e9}"),
        ]
        func wait(_ watch: Watch) -> Task<Index, any Error> {
            Task { try await store.wait(after: start, on: watch, upTo: .seconds(600)) }
        }
        let woken = concerned.map { wait(Watch(.keyValues, $0)) }
        let asleep = others.map { wait(Watch(.keyValues, $0)) } + [wait(Watch(.services))]
        // Those of this suite's other tests have stores of their own.
        while store.waiting < woken.count + asleep.count { await Task.yield() }
        try await put("dir/a", 2)
        for task in woken { #expect(try await task.value == start.next) }
        #expect(store.waiting == asleep.count)
        for task in asleep { task.cancel() }
        for task in asleep { _ = try? await task.value }
        #expect(store.waiting == 0)
    }

    /// Deadlines come in their order, whatever the order in which they were set.
    @Test func deadlinesAreKeptOneByOne() async throws {
        let far = Index(1_000_000)
        let start = ContinuousClock.now
        let ends = await withTaskGroup(of: Duration.self) { group in
            for milliseconds in [400, 20, 300, 100, 200, 20] {
                group.addTask {
                    _ = try? await store.wait(
                        after: far, on: .everything, until: start + .milliseconds(milliseconds))
                    return start.duration(to: .now) - .milliseconds(milliseconds)
                }
            }
            return await group.reduce(into: [Duration]()) { $0.append($1) }
        }
        #expect(ends.allSatisfy { $0 >= .zero })
        #expect(store.waiting == 0)
        // One that is over before it begins.
        let index = try await store.wait(after: far, on: .everything, until: start)
        #expect(index == store.snapshot.index)
    }

    /// Waiters that nobody waits for: woken once by a change or their deadline, at once when there
    /// is something already, and never when they are forgotten.
    @Test func aWaiterWithoutATaskIsCalledOnce() async throws {
        let calls = Mutex<[String: [Index]]>([:])
        let start = store.snapshot.index
        func wait(
            _ name: String, after index: Index, on watch: Watch,
            until deadline: ContinuousClock.Instant? = nil
        ) -> UInt64 {
            store.wait(after: index, on: watch, until: deadline) { told in
                calls.withLock { $0[name, default: []].append(told) }
            }
        }
        try await put("a", 1)
        let late = wait("late", after: start, on: Watch(.keyValues))
        #expect(calls.withLock { $0 } == ["late": [start.next]] && !store.forget(late))
        let now = store.snapshot.index
        let changed = wait("changed", after: now, on: Watch(.keyValues, .key("a")))
        let other = wait("other", after: now, on: Watch(.keyValues, .key("b")))
        let left = wait("left", after: now, on: Watch(.keyValues, .key("a")))
        _ = wait("due", after: now, on: Watch(.services), until: .now + .milliseconds(20))
        #expect(store.forget(left))
        try await put("a", 2)
        #expect(!store.forget(changed))
        while store.waiting > 1 { await Task.yield() }
        #expect(store.forget(other) && store.waiting == 0)
        try await put("a", 3)
        while calls.withLock({ $0["due"] }) == nil { await Task.yield() }
        #expect(
            calls.withLock { $0 } == ["late": [start.next], "changed": [now.next], "due": [start]])
    }

    @Test func aSlowReaderOfChangesSeesTheLast() async throws {
        let start = store.snapshot.index
        for value in 1...5 as ClosedRange<UInt8> { try await put("a", value) }
        var iterator = store.changes(on: Watch(.keyValues), after: start).makeAsyncIterator()
        #expect(await iterator.next() == Index(start.value + 5))
        let next = Task { [iterator] in
            var iterator = iterator
            return await iterator.next()
        }
        try await put("a", 6)
        #expect(await next.value == Index(start.value + 6))
    }

    @Test func everyWaiterOfManyIsWoken() async throws {
        let start = store.snapshot.index
        let woken = await withTaskGroup(of: Index?.self) { group in
            for _ in 0..<500 {
                group.addTask { try? await store.wait(after: start, on: Watch(.keyValues)) }
            }
            _ = try? await put("a", 1)
            return await group.reduce(into: [Index?]()) { $0.append($1) }
        }
        #expect(woken.count == 500 && woken.allSatisfy { $0 == start.next })
    }
}
