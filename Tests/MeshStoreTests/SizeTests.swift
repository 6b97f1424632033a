import MeshModel
import MeshStore
import Testing

@Suite struct SizeTests {
    /// A write into a large store costs what it changes, not what is there.
    @Test func aWriteAmongManyObjectsDoesNotCopyThem() async throws {
        func store(objects: Int) async throws -> SQLiteStore {
            let store = try await SQLiteStore.inMemory()
            try await store.write { draft in
                for number in 0..<objects { _ = try draft.putKeyValue("k\(number)", [1]) }
            }
            return store
        }
        func cost(_ store: SQLiteStore, _ round: UInt8) async throws -> Duration {
            let start = ContinuousClock.now
            for write in 0..<10 as Range<UInt8> {
                _ = try await store.write { try $0.putKeyValue("one", [round, write]) }
            }
            return ContinuousClock.now - start
        }
        let small = try await store(objects: 10)
        let large = try await store(objects: 40_000)
        var (few, many) = (Duration.seconds(60), Duration.seconds(60))
        // In turn and the best of many: other programs take processors as they like.
        for round in 0..<40 as Range<UInt8> {
            few = min(few, try await cost(small, round))
            many = min(many, try await cost(large, round))
        }
        #expect(many < few * 8, "\(few) with 10 objects, \(many) with 40,000")
    }
}
