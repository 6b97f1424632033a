import MeshModel
import MeshTables
import Testing

@testable import controlplane

/// Load balancing of resolvers on its way into the plan.
@Suite struct BalancingTests {
    private func plan(
        _ balancer: LoadBalancer?, _ locality: LocalityPriority? = nil, node: Locality? = nil,
        instances: [Locality?] = [nil]
    ) throws -> TargetPlan {
        var world = World()
        world.services = try instances.enumerated().map { number, place in
            var made = try service("web", port: UInt16(8000 + number))
            made.id = try ServiceID("web-\(number)")
            made.locality = place
            return made
        }
        world.locality = node
        world.entries = [
            try http("web"),
            .serviceResolver(
                ServiceResolver(
                    name: try ServiceName("web"), loadBalancer: balancer,
                    prioritizeByLocality: locality)),
        ]
        world.listeners = [try listener("public", port: 80)]
        return try #require(try world.plan().target("web.default.dc1"))
    }

    @Test func whatAsksForNothingHasNoPlan() throws {
        for balancer in [nil, LoadBalancer(), LoadBalancer(policy: .roundRobin)] {
            let target = try plan(balancer)
            #expect(target.balance == .roundRobin && target.balancing == nil)
        }
        let least = try plan(LoadBalancer(policy: .leastRequest, choiceCount: 2))
        #expect(least.balance == .leastRequest && least.balancing == nil)
        let off = try plan(LoadBalancer(policy: .random), LocalityPriority(mode: .none))
        #expect(off.balance == .random && off.balancing == nil)
    }

    @Test func everyKeyArrives() throws {
        let ring = try plan(
            LoadBalancer(
                policy: .ringHash, minimumRingSize: 10, maximumRingSize: 20,
                hashPolicies: [
                    .init(field: .header, fieldValue: "X-User", terminal: true),
                    .init(field: .queryParameter, fieldValue: "Id"), .init(sourceIP: true),
                    .init(field: .cookie, fieldValue: "plain"),
                ], slowStart: .seconds(30)))
        #expect(ring.balance == .ringHash)
        #expect(
            ring.balancing
                == BalancingPlan(
                    minimumRing: 10, maximumRing: 20, slowStart: 30_000,
                    hashes: [
                        .init(.header("x-user"), terminal: true), .init(.query("Id")),
                        .init(.address), .init(.cookie("plain", attributes: "")),
                    ]))
        let maglev = try plan(LoadBalancer(policy: .maglev, tableSize: 251))
        #expect(maglev.balancing == BalancingPlan(tableSize: 251))
        let latency = try plan(LoadBalancer(policy: .latency, decay: .seconds(3)))
        #expect(latency.balance == .latency && latency.balancing == BalancingPlan(decay: 3_000))
        let least = try plan(LoadBalancer(policy: .leastRequest, choiceCount: 7))
        #expect(least.balancing == BalancingPlan(choices: 7))
    }

    @Test func cookiesHaveTheirAttributes() throws {
        func attributes(_ cookie: LoadBalancer.Cookie) throws -> String? {
            let target = try plan(
                LoadBalancer(
                    policy: .maglev,
                    hashPolicies: [.init(field: .cookie, fieldValue: "c", cookie: cookie)]))
            guard case .cookie("c", let text) = target.balancing?.hashes.first?.part else {
                return nil
            }
            return text
        }
        #expect(try attributes(.init()) == "")
        #expect(try attributes(.init(session: true)) == "; Path=/; HttpOnly; SameSite=Lax")
        #expect(
            try attributes(.init(ttl: .milliseconds(1500), path: "/a", sameSite: .strict))
                == "; Path=/a; Max-Age=2; HttpOnly; SameSite=Strict")
        #expect(
            try attributes(.init(session: true, sameSite: LoadBalancer.SameSite.none))
                == "; Path=/; HttpOnly; SameSite=None; Secure")
    }

    @Test func nearOnesStandFirst() throws {
        let here = Locality(region: "r1", zone: "a")
        let target = try plan(
            nil, LocalityPriority(mode: .failover), node: here,
            instances: [
                Locality(region: "r2", zone: "a"), Locality(region: "r1", zone: "b"), here, nil,
                Locality(region: "r1", zone: ""),
            ])
        #expect(target.balancing == BalancingPlan(healthyShare: 70))
        #expect(target.endpoints.map(\.instance) == ["web-2", "web-3", "web-1", "web-4", "web-0"])
        #expect(
            target.endpoints.map(\.distance)
                == [.sameZone, .sameZone, .sameRegion, .sameRegion, .elsewhere])
        let share = try plan(nil, LocalityPriority(mode: .failover, healthyShare: 40), node: here)
        #expect(share.balancing?.healthyShare == 40)
        // A node that does not say where it is has no far ones.
        let nowhere = try plan(nil, LocalityPriority(mode: .failover), instances: [here, nil])
        #expect(nowhere.endpoints.allSatisfy { $0.distance == .sameZone })
    }
}
