import MeshModel
import MeshStore
import Testing

@Suite struct SizeTests {
    /// A write into a large store costs what it changes, not what is there.
    @Test func aWriteAmongManyObjectsDoesNotCopyThem() async throws {
        func cost(objects: Int) async throws -> Duration {
            let store = try await SQLiteStore.inMemory()
            try await store.write { draft in
                for number in 0..<objects { _ = try draft.putKeyValue("k\(number)", [1]) }
            }
            var best = Duration.seconds(60)
            for round in 0..<5 as Range<UInt8> {
                let start = ContinuousClock.now
                for write in 0..<40 as Range<UInt8> {
                    _ = try await store.write { try $0.putKeyValue("one", [round, write]) }
                }
                best = min(best, ContinuousClock.now - start)
            }
            return best
        }
        let few = try await cost(objects: 10)
        let many = try await cost(objects: 40_000)
        #expect(many < few * 8, "\(few) with 10 objects, \(many) with 40,000")
    }
}
