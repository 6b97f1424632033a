import CMeshABI
import CMeshBase

/// The tables that endpoints are found in by a hash. Pure: the same endpoints make the same table
/// on every node.
enum HashTables {
    struct Member: Hashable, Sendable {
        let key: UInt64
        let weight: Int
    }

    /// Points that an endpoint of usual weight has on a ring nobody has said anything about.
    static let pointsEach = 64

    /// A ring: the places of all points, growing, then their owners.
    ///
    /// An endpoint has points in proportion to its weight, one at least, and always begins with the
    /// same ones: an endpoint more or less moves nothing but its own part.
    static func ring(_ members: [Member], minimum: Int?, maximum: Int?) -> [UInt32] {
        let total = members.reduce(0) { $0 + $1.weight }
        guard total > 0 else { return [] }
        let most = Int(LIMIT_RING_POINTS) - members.count
        let wanted = minimum ?? max(1024, pointsEach * members.count)
        let size = min(wanted, maximum ?? most, most)
        var points: [UInt64] = []
        points.reserveCapacity(size + members.count)
        for (owner, member) in members.enumerated() {
            let start = scatter(member.key)
            let share = (size * member.weight + total / 2) / total
            for number in 0..<UInt64(max(1, share)) {
                points.append((scatter(start &+ number) & ~0xffff_ffff) | UInt64(owner))
            }
        }
        points.sort()
        return points.map { UInt32($0 >> 32) } + points.map { UInt32(truncatingIfNeeded: $0) }
    }

    /// A table after Maglev (Eisenbud and others, 2016, 3.4): endpoints take slots in turn, each in
    /// an order of its own, and turns come by weight.
    static func maglev(_ members: [Member], size: Int) -> [UInt32] {
        guard let first = members.first else { return [] }
        let size = tableSize(size, members: members.count)
        let free = UInt32.max
        var slots = [UInt32](repeating: free, count: size)
        var places = members.map { Int(scatter($0.key) % UInt64(size)) }
        let steps = members.map { Int(scatter(~$0.key) % UInt64(size - 1)) + 1 }
        var turns = Turns(members.map(\.weight))
        let isEven = members.allSatisfy { $0.weight == first.weight }
        for turn in 0..<size {
            let member = isEven ? turn % members.count : turns.next()
            var place = places[member]
            while slots[place] != free {
                place += steps[member]
                if place >= size { place -= size }
            }
            slots[place] = UInt32(member)
            places[member] = place
        }
        return slots
    }

    /// At least four slots for each.
    static func tableSize(_ wanted: Int, members: Int) -> Int {
        if wanted >= members * 4 { return wanted }
        return [65_537, 262_147, Int(LIMIT_MAGLEV_SLOTS)].first { $0 >= members * 4 }
            ?? Int(LIMIT_MAGLEV_SLOTS)
    }

    /// Neighbours in, strangers out.
    static func scatter(_ number: UInt64) -> UInt64 {
        hash_finish(hash_finish(number &* 0x9e37_79b9_7f4a_7c15 &+ 1))
    }

    /// Whose turn it is when all take turns by weight: the one whose next turn is due first, in a
    /// heap.
    private struct Turns {
        private var due: [(time: Double, member: Int)]
        private let pause: [Double]

        init(_ weights: [Int]) {
            pause = weights.map { 1 / Double($0) }
            due = pause.enumerated().map { ($1 / 2, $0) }
            due.sort { $0 < $1 }  // a sorted list is a heap
        }

        mutating func next() -> Int {
            let member = due[0].member
            due[0].time += pause[member]
            var place = 0
            while true {
                var least = place
                for child in [2 * place + 1, 2 * place + 2]
                where child < due.count && due[child] < due[least] {
                    least = child
                }
                if least == place { return member }
                due.swapAt(place, least)
                place = least
            }
        }
    }
}
