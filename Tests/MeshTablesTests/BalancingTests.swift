import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

/// Tables that requests are hashed into, and what `explain` says of them.
@Suite struct BalancingTests {
    private func members(_ weights: [Int], from: UInt64 = 0) -> [HashTables.Member] {
        weights.enumerated().map { HashTables.Member(key: from + UInt64($0), weight: $1) }
    }

    /// The part of the ring that leads to each.
    private func shares(ofRing slots: [UInt32], _ count: Int) -> [Double] {
        let points = slots.count / 2
        var shares = [Double](repeating: 0, count: count)
        for point in 0..<points {
            let before = point == 0 ? Int64(slots[points - 1]) - (1 << 32) : Int64(slots[point - 1])
            shares[Int(slots[points + point])] +=
                Double(Int64(slots[point]) - before) / Double(UInt64(1) << 32)
        }
        return shares
    }

    @Test func aRingIsSharedByWeight() {
        let weights = [1, 2, 3, 10]
        let ring = HashTables.ring(members(weights), minimum: 20_000, maximum: nil)
        let points = ring.count / 2
        #expect(points >= 20_000 && points <= 20_004)
        #expect(zip(ring.prefix(points), ring.prefix(points).dropFirst()).allSatisfy(<=))
        for (share, weight) in zip(shares(ofRing: ring, 4), weights) {
            let due = Double(weight) / 16
            #expect(share > due * 0.85 && share < due * 1.15, "\(weight): \(share)")
        }
        // Everyone is on it, however light and however small the ring.
        let small = HashTables.ring(members([1, 65535, 1]), minimum: 1, maximum: 2)
        #expect(Set(small.suffix(small.count / 2)) == [0, 1, 2])
        #expect(HashTables.ring([], minimum: nil, maximum: nil).isEmpty)
        let usual = HashTables.ring(members([1, 1]), minimum: nil, maximum: nil)
        #expect(usual.count == 2048)
    }

    /// Of a usual ring the points of others stay where they were.
    @Test func oneMoreOnTheRingMovesNobody() {
        func points(_ count: Int) -> Set<UInt64> {
            let ring = HashTables.ring(
                members(Array(repeating: 1, count: count)), minimum: 64 * count, maximum: nil)
            return Set(
                (0..<ring.count / 2).map {
                    UInt64(ring[$0]) << 32 | UInt64(ring[ring.count / 2 + $0])
                })
        }
        #expect(points(50).isSubset(of: points(51)))
    }

    @Test func aTableIsSharedByWeightToTheSlot() {
        for weights in [[1, 1, 1, 1], [5, 1, 3, 1], [1, 65535, 1, 9999]] {
            let table = HashTables.maglev(members(weights), size: 65_537)
            #expect(table.count == 65_537)
            let total = weights.reduce(0, +)
            for (number, weight) in weights.enumerated() {
                let slots = table.count { $0 == UInt32(number) }
                let due = 65_537 * weight / total
                #expect(abs(slots - due) <= 1, "\(weights) \(number): \(slots), \(due) due")
            }
        }
        #expect(HashTables.maglev(members([7]), size: 101).allSatisfy { $0 == 0 })
        #expect(HashTables.maglev([], size: 101).isEmpty)
    }

    @Test func oneMoreInTheTableMovesFew() {
        let ten = HashTables.maglev(members(Array(repeating: 1, count: 10)), size: 65_537)
        let eleven = HashTables.maglev(members(Array(repeating: 1, count: 11)), size: 65_537)
        let moved = zip(ten, eleven).count { $0 != $1 && $1 != 10 }
        #expect(moved < 65_537 / 12, "\(moved)")
    }

    /// Ten thousand of them, in time, and each with a place.
    @Test func tablesOfMany() {
        let many = members(Array(repeating: 1, count: 10_000))
        let ring = HashTables.ring(many, minimum: nil, maximum: nil)
        #expect(ring.count == 2 * 640_000)
        let table = HashTables.maglev(many, size: 65_537)
        #expect(Set(table).count == 10_000)
        let heavy = HashTables.maglev(
            members([65535] + Array(repeating: 1, count: 9_999)), size: 65_537)
        #expect(Set(heavy).count > 5_000)
        #expect(HashTables.tableSize(101, members: 10_000) == 65_537)
        #expect(HashTables.tableSize(65_537, members: 100_000) == 1_048_573)
        #expect(HashTables.tableSize(65_537, members: 262_144) == 1_048_573)
    }

    // MARK: - snapshots

    private func node(_ balance: TargetPlan.Balance, _ plan: BalancingPlan?) throws -> CompiledNode
    {
        var node = try Plans.small()
        node.targets[0].balance = balance
        node.targets[0].balancing = plan
        return node
    }

    private func detail(
        _ node: CompiledNode, headers: [ExplainedRequest.Header] = [], down: Set<UInt32> = []
    )
        throws -> String
    {
        let reader = try Plans.reader(node)
        let told = try Explainer(reader, overlay: { down.contains($0) ? 1 : 0 }).explain(
            ExplainedRequest(method: "GET", url: "http://a:8080/?id=7", headers: headers))
        return try #require(told.phases.last { $0.phase == .choose }).detail
    }

    @Test func explanationsNameTheEndpoint() throws {
        let plan = BalancingPlan(
            hashes: [
                .init(.cookie("cart", attributes: "; Path=/")), .init(.header("x-user")),
            ])
        let maglev = try node(.maglev, plan)
        let user = ExplainedRequest.Header(name: "X-User", value: "me")
        let cart = ExplainedRequest.Header(name: "cookie", value: "cart=1")
        let made = try detail(maglev, headers: [user])
        #expect(made.contains("maglev by a cookie that is made anew"))
        #expect(made.contains("the answer sets the cookie cart; Path=/"))
        let told = try detail(maglev, headers: [cart, user])
        #expect(told.contains("maglev by the header x-user leads to web-1800"))
        #expect(told.contains(" at place "))
        // The one that it leads to is down.
        let first: UInt32 = told.contains("leads to web-18000") ? 0 : 1
        let other = try detail(maglev, headers: [cart, user], down: [first])
        #expect(other.contains("leads to web-1800\(1 - first)"))
        #expect(other.contains("further than place"))
        let ring = try node(.ringHash, BalancingPlan(hashes: [.init(.query("id"))]))
        #expect(try detail(ring).contains("ring_hash by the parameter id leads to"))
        let address = try node(.ringHash, BalancingPlan(hashes: [.init(.address)]))
        #expect(try detail(address).contains("by chance: nothing of the request is there"))
    }

    @Test func explanationsNameThePolicy() throws {
        #expect(try detail(node(.roundRobin, nil)).hasSuffix("; in turn"))
        #expect(try detail(node(.random, nil)).hasSuffix("; by chance"))
        #expect(
            try detail(node(.leastRequest, BalancingPlan(choices: 5, slowStart: 30_000)))
                .hasSuffix("the least loaded of 5 by chance; weights grow over 30000 ms"))
        var tiers = try node(.latency, BalancingPlan(healthyShare: 70))
        tiers.targets[0].endpoints[1].distance = .elsewhere
        #expect(
            try detail(tiers).hasSuffix(
                "by locality: 100.0 % the same zone, 0.0 % the same region, 0.0 % elsewhere"))
    }

    @Test func numbersOutOfBoundsAreRefused() throws {
        for plan in [
            BalancingPlan(tableSize: 65_536), BalancingPlan(choices: 1),
            BalancingPlan(choices: 101), BalancingPlan(decay: 0), BalancingPlan(healthyShare: 0),
            BalancingPlan(healthyShare: 101), BalancingPlan(slowStart: .max),
            BalancingPlan(hashes: Array(repeating: .init(.address), count: 17)),
            BalancingPlan(hashes: [.init(.header("a b"))]),
            BalancingPlan(hashes: [.init(.cookie("c", attributes: "\r\n"))]),
            BalancingPlan(hashes: [.init(.query(""))]),
        ] {
            #expect(try !Plans.problems(node(.maglev, plan)).isEmpty, "\(plan)")
        }
        #expect(try Plans.problems(node(.maglev, nil)).count == 1)
        var unsorted = try node(.random, BalancingPlan(healthyShare: 70))
        unsorted.targets[0].endpoints[0].distance = .elsewhere
        #expect(try Plans.problems(unsorted).count == 1)
    }
}
