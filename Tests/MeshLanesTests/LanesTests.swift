import MeshLanes
import Testing

@Suite struct LanesTests {
    @Test(arguments: [1, 2, 4, 9], [0, 1, 2, 7, 8, 9, 1000])
    func everyPieceIsDoneOnceAndInItsPlace(count: Int, total: Int) {
        let pieces = Lanes(count).map(total, grain: 8) { Array($0) }
        #expect(pieces.flatMap { $0 } == Array(0..<total))
        #expect(pieces.count <= max(1, total / 8) && pieces.allSatisfy { !$0.isEmpty })
        #expect(total < 8 || pieces.allSatisfy { $0.count >= 8 })
    }

    @Test func oneLaneCutsNothing() {
        #expect(Lanes(1).map(1000, grain: 1) { $0.count } == [1000])
    }

    @Test func smallWorkIsCutWhereThatIsAskedFor() {
        let pieces = Lanes(2, greatestGrain: 1).map(6, grain: 1000) { $0.count }
        #expect(pieces == [1, 1, 1, 1, 1, 1])
    }

    @Test(arguments: [1, 2, 4])
    func twoThingsAreBothDone(count: Int) {
        let (first, second) = Lanes(count).both {
            1
        } _: {
            "two"
        }
        #expect(first == 1 && second == "two")
    }

    @Test(arguments: [1, 2, 4, 9], [0, 1, 7, 8, 1000])
    func oneThingIsDoneBesidePieces(count: Int, total: Int) {
        var changed = 0
        let (first, pieces) = Lanes(count).map(total, grain: 8) {
            changed += 1
            return "first"
        } _: {
            Array($0)
        }
        #expect(first == "first" && changed == 1)
        #expect(pieces.flatMap { $0 } == Array(0..<total))
        #expect(pieces.allSatisfy { !$0.isEmpty })
    }

    /// Work may be cut again within a piece.
    @Test func lanesNest() {
        let lanes = Lanes(4)
        let sums = lanes.map(64, grain: 1) { range in
            range.map { number in
                lanes.map(number, grain: 1) { $0.reduce(0, +) }.reduce(0, +)
            }.reduce(0, +)
        }
        let expected: Int = (0..<64).map { number in number * (number - 1) / 2 }.reduce(0, +)
        #expect(sums.reduce(0, +) == expected)
    }
}
