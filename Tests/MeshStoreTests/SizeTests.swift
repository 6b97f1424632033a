import MeshModel
import Testing

@testable import MeshStore

@Suite struct SizeTests {
    /// Where the keys of a state stand in memory. Nobody holds them afterwards: that would make the
    /// next write copy them.
    private static func place(_ state: StoreState) -> UInt {
        unsafeBitCast(state.keyValues, to: UInt.self)
    }

    /// A write into a large store costs what it changes, not what is there: the dictionaries that
    /// writers work on, and those that readers see, are written on in their place.
    @Test func aWriteAmongManyObjectsDoesNotCopyThem() async throws {
        let store = try await SQLiteStore.inMemory()
        try await store.write { draft in
            for number in 0..<2000 { _ = try draft.putKeyValue("k\(number)", [0]) }
        }
        let seen = Self.place(store.snapshot)
        var worked: Set<UInt> = []
        for value in 1...20 as ClosedRange<UInt8> {
            let place = try await store.write { draft in
                _ = try draft.putKeyValue("k7", [value])
                return Self.place(draft.state)
            }
            worked.insert(place)
        }
        #expect(worked.count == 1)
        #expect(Self.place(store.snapshot) == seen)
        // Had it been copied, this would have told: a reader who holds a state keeps its own.
        let held = store.snapshot
        _ = try await store.write { try $0.putKeyValue("k7", [0]) }
        #expect(Self.place(store.snapshot) != seen)
        #expect(Self.place(held) == seen)
    }
}
