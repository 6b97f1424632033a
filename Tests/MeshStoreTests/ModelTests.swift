import MeshModel
import MeshStore
import Testing

/// A store against a model that remembers everything, with random writes.
@Suite struct ModelTests {
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomWritesAndReopeningsAgreeWithTheModel(seed: UInt64) async throws {
        struct Refused: Error {}
        let folder = try Folder()
        var random = Generator(state: seed)
        var model: [String: [UInt8]] = [:]
        var store = try await open(folder)
        for step in 0..<300 {
            let key = "k\(Int.random(in: 0..<12, using: &random))"
            let value = [UInt8.random(in: 0..<4, using: &random)]
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                _ = try await store.write { try $0.putKeyValue(key, value) }
                model[key] = value
            case 5..<7:
                _ = try await store.write { $0.removeKeyValue(key) }
                model[key] = nil
            case 7:
                _ = await failure {
                    try await store.write { draft in
                        _ = draft.removeKeyValue(key)
                        _ = try draft.putKeyValue("other", value)
                        draft.removeKeyValues(prefix: "k")
                        throw Refused()
                    }
                }
            case 8:
                try await store.write { $0.removeKeyValues(prefix: "k1") }
                model = model.filter { !$0.key.hasPrefix("k1") }
            default:
                try await store.close()
                store = try await open(folder)
            }
            let present = store.snapshot.keyValues(prefix: "").map { ($0.key, $0.value) }
            try #require(
                Dictionary(uniqueKeysWithValues: present) == model, "seed \(seed), step \(step)")
        }
        try await store.close()
    }
}
