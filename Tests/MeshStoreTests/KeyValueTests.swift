import MeshModel
import MeshStore
import Testing

@Suite struct KeyValueTests {
    private let store: SQLiteStore

    init() async throws { store = try await .inMemory() }

    private func put(
        _ key: String, _ value: [UInt8] = [1], flags: UInt64 = 0, cas: UInt64? = nil
    ) async throws -> Bool {
        try await store.write {
            try $0.putKeyValue(key, value, flags: flags, cas: cas.map { Index($0) })
        }
    }

    @Test func anEqualPairKeepsItsIndex() async throws {
        #expect(try await put("k", [1], flags: .max))
        let first = try #require(store.snapshot.keyValue("k"))
        #expect(first.flags == .max)
        #expect(try await put("k", [1], flags: .max))
        #expect(store.snapshot.keyValue("k") == first)
        #expect(try await put("k", [1], flags: 0))
        let second = try #require(store.snapshot.keyValue("k"))
        #expect(second.modifyIndex > first.modifyIndex)
        #expect(second.createIndex == first.createIndex)
    }

    @Test func compareAndSetFollowsTheIndex() async throws {
        #expect(try await put("k", [1], cas: 1) == false)
        #expect(try await put("k", [1], cas: 0))
        #expect(try await put("k", [2], cas: 0) == false)
        let index = try #require(store.snapshot.keyValue("k")).modifyIndex
        #expect(try await put("k", [2], cas: index.value - 1) == false)
        #expect(try await put("k", [2], cas: index.value))
        #expect(try await store.write { $0.removeKeyValue("k", cas: index) } == false)
        let last = try #require(store.snapshot.keyValue("k")).modifyIndex
        #expect(try await store.write { $0.removeKeyValue("k", cas: last) })
        #expect(try await store.write { $0.removeKeyValue("k") })
        #expect(store.snapshot.keyValue("k") == nil)
    }

    @Test func ofManyCallersThatCompareOneWins() async throws {
        let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask { try await put("lock", [UInt8(number)], cas: 0) }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(wins == 1)
    }

    @Test func keysAreListedByPrefixAndSeparator() async throws {
        for key in ["a", "a/1", "a/2/x", "a/2/y", "a/b", "b", "ä"] { _ = try await put(key) }
        let state = store.snapshot
        #expect(state.keys(prefix: "") == ["a", "a/1", "a/2/x", "a/2/y", "a/b", "b", "ä"])
        #expect(state.keys(prefix: "", separator: "/") == ["a", "a/", "b", "ä"])
        #expect(state.keys(prefix: "a/", separator: "/") == ["a/1", "a/2/", "a/b"])
        #expect(state.keys(prefix: "x").isEmpty)
        #expect(state.keyValues(prefix: "a/2").map(\.key) == ["a/2/x", "a/2/y"])
        try await store.write { $0.removeKeyValues(prefix: "a/") }
        #expect(store.snapshot.keys(prefix: "") == ["a", "b", "ä"])
    }

    /// Two spellings of é are two keys; Swift's own comparison takes them for one.
    @Test func keysAreTheirBytes() async throws {
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        #expect(try await put(composed, [1]))
        #expect(try await put(decomposed, [2], cas: 0))
        #expect(store.snapshot.keyValue(composed)?.value == [1])
        #expect(store.snapshot.keyValue(decomposed)?.value == [2])
        #expect(store.snapshot.keyValues(prefix: "cafe").map(\.value) == [[2]])
        #expect(
            store.snapshot.keys(prefix: "caf", separator: "\u{301}").map { $0.utf8.count } == [
                6, 5,
            ])
        #expect(try await store.write { $0.removeKeyValue(composed) })
        #expect(store.snapshot.keyValue(decomposed)?.value == [2])
    }

    @Test(arguments: [
        (KeyValueLimits.valueBytes - 1, true), (KeyValueLimits.valueBytes, true),
        (KeyValueLimits.valueBytes + 1, false),
    ])
    func valuesHaveALimit(size: Int, fits: Bool) async throws {
        let refusal = await failure { try await put("k", [UInt8](repeating: 7, count: size)) }
        #expect((refusal == nil) == fits)
    }

    @Test(arguments: [
        (0, false), (1, true), (KeyValueLimits.keyBytes, true),
        (KeyValueLimits.keyBytes + 1, false),
    ])
    func keysHaveALimit(size: Int, fits: Bool) async throws {
        let refusal = await failure { try await put(String(repeating: "k", count: size)) }
        #expect((refusal == nil) == fits)
    }
}
