import Testing

@testable import MeshHealth

@Suite struct ShelfTests {
    private struct Thing: Identifiable, Equatable {
        let id: String
        var number: Int
    }

    @Test func whatIsPutIsFoundByItsName() {
        var shelf = Shelf<Thing>()
        #expect(shelf.isEmpty)
        #expect(shelf["a"] == nil)
        shelf.put(Thing(id: "a", number: 1))
        shelf.put(Thing(id: "b", number: 2))
        shelf.put(Thing(id: "a", number: 3))
        #expect(shelf["a"]?.number == 3)
        #expect(shelf["b"]?.number == 2)
        #expect(shelf.values.count == 2)
    }

    @Test func theLastOneAndTheOnlyOneCanBeRemoved() {
        var shelf = Shelf<Thing>()
        for (number, name) in ["a", "b", "c"].enumerated() {
            shelf.put(Thing(id: name, number: number))
        }
        for name in ["c", "nobody", "a", "b"] {
            shelf.remove(name)
            #expect(shelf[name] == nil)
        }
        #expect(shelf.isEmpty)
    }

    /// The same as a dictionary, whatever is done in whatever order.
    @Test(arguments: UInt64(1)..<20)
    func itIsADictionary(seed: UInt64) {
        var state = seed
        func random(_ count: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % count)
        }
        var shelf = Shelf<Thing>()
        var model: [String: Thing] = [:]
        for number in 0..<500 {
            let name = "n\(random(40))"
            if random(3) == 0 {
                shelf.remove(name)
                model[name] = nil
            } else {
                shelf.put(Thing(id: name, number: number))
                model[name] = Thing(id: name, number: number)
            }
            #expect(Set(shelf.names) == Set(model.keys))
            #expect(shelf.values.count == model.count)
            for value in shelf.values { #expect(model[value.id] == value) }
            for name in model.keys { #expect(shelf[name] == model[name]) }
        }
    }
}
