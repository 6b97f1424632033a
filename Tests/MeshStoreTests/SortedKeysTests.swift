import Testing

@testable import MeshStore

@Suite struct SortedKeysTests {
    /// The same as a filter over everything, whatever was put in and taken out.
    @Test func whatBeginsAlikeIsFoundAsByLookingAtEverything() {
        var generator = SeededGenerator(seed: 7)
        var keys = SortedKeys()
        var model: Set<String> = []
        for round in 0..<8000 {
            let key = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                ["a", "b", "/", "é", "z"].randomElement(using: &generator) ?? ""
            }.joined()
            if Bool.random(using: &generator) || round < 3000 {
                keys.insert(key)
                model.insert(key)
            } else {
                keys.remove(key)
                model.remove(key)
            }
            guard round % 400 == 0 else { continue }
            for prefix in ["", "a", "ab", "é", "z/", "zzzzzz", "~"] {
                let wanted = model.filter { $0.utf8.starts(with: prefix.utf8) }.sorted {
                    $0.utf8.lexicographicallyPrecedes($1.utf8)
                }
                #expect(keys.beginning(with: prefix) == wanted)
            }
        }
        for key in model { keys.remove(key) }
        #expect(keys.beginning(with: "") == [])
    }

    @Test func twoSpellingsOfOneLetterAreTwoKeys() {
        var keys = SortedKeys()
        keys.insert("\u{e9}")
        keys.insert("e\u{301}")
        #expect(keys.beginning(with: "").count == 2)
        keys.remove("\u{e9}")
        #expect(keys.beginning(with: "").map { Array($0.utf8) } == [Array("e\u{301}".utf8)])
    }
}

/// Numbers that are the same in every run.
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
