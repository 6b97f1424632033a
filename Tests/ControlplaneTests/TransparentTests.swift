import MeshModel
import MeshTables
import Testing

@testable import controlplane

/// Proxies that connections are redirected to.
@Suite struct TransparentTests {
    private func world(_ entries: ConfigEntry..., mode: String? = "transparent") throws -> World {
        var world = World()
        var shop = try service("shop", port: 8000, sidecar: true)
        shop.connect.sidecarService?.proxy.mode = mode
        var web = try service("web", port: 8001, sidecar: true, address: "10.0.0.1")
        web.taggedAddresses = [
            "virtual": TaggedAddress(address: "240.0.0.1", port: 80),
            "consul-virtual": TaggedAddress(address: "fd00::1"),
            "lan": TaggedAddress(address: "10.0.0.9"),
        ]
        var other = try service("web", id: "web-2", port: 8001, sidecar: true, address: "10.0.0.2")
        other.connect.sidecarService?.proxy.transparentProxy = TransparentProxy(
            dialedDirectly: true)
        world.services = [shop, web, other, try service("outside", port: 9000)]
        world.entries = [try http("web")] + entries
        return world
    }

    /// The addresses of a listener, each with the listener that it stands for.
    private func table(_ plan: NodePlan, _ name: String) throws -> [String: String] {
        guard case .redirected(let originals, let other) = try #require(plan.listener(name)).kind
        else {
            Issue.record("\(name) is no listener for redirected connections")
            return [:]
        }
        let pairs = originals.map { ("\(AddressPlan.ip($0.address, port: $0.port))", $0.listener) }
        return Dictionary(pairs + [("*", other ?? "")]) { first, _ in first }
    }

    private let outbound = "shop-sidecar-proxy:outbound"

    @Test func addressesStandForServices() throws {
        let plan = try world().plan()
        #expect(plan.problems == [])
        let web = "\(outbound):web"
        let shop = "\(outbound):shop"
        #expect(
            try table(plan, outbound) == [
                "240.0.0.1:0": web, "10.0.0.1:8001": web, "10.0.0.2:8001": "\(web):web-2",
                "127.0.0.1:8000": shop, "*": "\(outbound):elsewhere",
            ])
        #expect(
            try table(plan, "\(outbound)6") == ["[fd00::1]:0": web, "*": "\(outbound):elsewhere"])
        #expect(plan.listener(outbound)?.address.description == "127.0.0.1:15001")
        #expect(plan.listener("\(outbound)6")?.address.description == "[::1]:15001")
        let inner = try #require(plan.listener(web))
        #expect(inner.behind == outbound && inner.role == .outbound)
        #expect(inner.identity?.text == "shop")
        guard case .l7 = inner.kind else {
            Issue.record("a service that speaks HTTP has no routes")
            return
        }
        let whole = try #require(plan.target("web.default.dc1@shop"))
        #expect(whole.endpoints.count == 2)
        let single = try #require(plan.target("web-2.only.web.default.dc1@shop"))
        #expect(single.endpoints.map(\.instance) == ["web-2"])
        #expect(single.endpoints.allSatisfy { $0.tls != nil })
        #expect(single.expectedID.hasSuffix("/svc/web"))
    }

    @Test func whoCallsElsewhereCallsThereInPlainText() throws {
        let plan = try world().plan()
        let inner = try #require(plan.listener("\(outbound):elsewhere"))
        #expect(inner.role == .plain && inner.identity == nil)
        let target = try #require(plan.target("original-destination@shop-sidecar-proxy"))
        #expect(target.endpoints.map(\.address) == [.original])
        #expect(target.endpoints.allSatisfy { $0.tls == nil })
    }

    @Test func theMeshMayForbidToCallElsewhere() throws {
        let fields: [String: DataValue] = [
            "TransparentProxy": .object(["MeshDestinationsOnly": .bool(true)])
        ]
        let entry = ConfigEntry.other(OtherEntry(kind: "mesh", name: "mesh", fields: fields))
        let plan = try world(entry).plan()
        #expect(try table(plan, outbound)["*"] == "")
        #expect(plan.listener("\(outbound):elsewhere") == nil)
    }

    @Test func theMostExactModeHolds() throws {
        let name = try ServiceName("shop")
        let usual = ConfigEntry.proxyDefaults(
            ProxyDefaults(mode: "transparent", outboundListenerPort: 15_009))
        let direct = ConfigEntry.serviceDefaults(ServiceDefaults(name: name, mode: "direct"))
        var world = try world(usual, direct, mode: nil)
        world.services.removeAll { $0.name.text == "web" }  // on the same port as the other
        #expect(try world.plan().listener(outbound) == nil)
        world.entries.removeLast()
        #expect(try world.plan().listener(outbound)?.address.description == "127.0.0.1:15009")
        world.services[0].connect.sidecarService?.proxy.mode = "direct"
        #expect(try world.plan().listener(outbound) == nil)
    }

    @Test func anAddressStandsForOneService() throws {
        var world = try world()
        var late = try service("zoo", port: 8002, sidecar: true, address: "10.0.0.3")
        late.taggedAddresses = ["virtual": TaggedAddress(address: "240.0.0.1")]
        world.services.append(late)
        let plan = try world.plan()
        #expect(try table(plan, outbound)["240.0.0.1:0"] == "\(outbound):web")
        #expect(
            plan.problems.map(\.message) == [
                "\(outbound):zoo: 240.0.0.1 stands for \(outbound):web already"
            ])
    }

    /// Addresses that the store gives lead to services, those without instances too.
    @Test func givenAddressesStandForServices() throws {
        var world = try world()
        world.virtualAddresses = ["web": "240.0.0.9", "shop": "240.0.0.8", "canary": "240.0.0.7"]
        let canary = ServiceResolver(
            name: try ServiceName("canary"),
            redirect: ServiceResolver.Redirect(service: try ServiceName("web")))
        world.entries += [try http("canary"), .serviceResolver(canary)]
        let plan = try world.plan()
        #expect(plan.problems == [])
        let table = try table(plan, outbound)
        #expect(table["240.0.0.9:0"] == "\(outbound):web")
        #expect(table["240.0.0.1:0"] == "\(outbound):web", "what is written down holds, too")
        #expect(table["240.0.0.8:0"] == "\(outbound):shop")
        let name = try #require(table["240.0.0.7:0"])
        guard case .l7(let routes) = try #require(plan.listener(name)).kind,
            case .forward(let splits) = try #require(routes.last).action
        else {
            Issue.record("the way of canary is its chain's")
            return
        }
        #expect(splits.map(\.target) == ["web.default.dc1@shop"])
    }

    /// Where there is no room for all, those that intentions let the caller call come first.
    @Test func whoMayBeCalledComesFirst() throws {
        var world = try world()
        for number in 0..<600 {
            var one = try service(
                "s\(1000 + number)", port: 9000, sidecar: true,
                address: "10.1.\(number / 256).\(number % 256)")
            one.connect.sidecarService?.port = 21_000
            world.services.append(one)
        }
        func allow(_ destination: String, _ action: IntentionAction = .allow) throws -> Intention {
            Intention(
                source: try NamePattern("shop"), destination: try NamePattern(destination),
                effect: .action(action))
        }
        for place in 1...2 { world.services[place].connect.sidecarService?.port = 21_000 }
        world.intentions = [try allow("s1599"), try allow("web")]
        let plan = try world.plan()
        #expect(plan.problems.map(\.message).filter { $0.contains("not reached") } == [])
        let last = "10.1.2.87:9000"
        #expect(try table(plan, outbound)[last] == "\(outbound):s1599")
        #expect(
            try table(plan, outbound).values.contains("\(outbound):beyond"), "nobody calls those")
        // Then others, as they may be called.
        var compiler = NodeCompiler()
        _ = compiler.compile(try world.state())
        world.intentions = [try allow("*"), try allow("s1599", .deny)]
        let other = compiler.compile(try world.state())
        #expect(try table(other, outbound)[last] == "\(outbound):beyond")
        #expect(other.problems.contains { $0.message.contains("are not reached") })
    }

    @Test func theMostExactIntentionSaysWhoMayBeCalled() throws {
        func intention(_ source: String, _ destination: String, _ effect: Intention.Effect) throws
            -> Intention
        {
            Intention(
                source: try NamePattern(source), destination: try NamePattern(destination),
                effect: effect)
        }
        let (shop, web) = (try ServiceName("shop"), try ServiceName("Web"))
        let rules = [
            try intention("*", "*", .action(.allow)), try intention("shop", "*", .action(.deny)),
            try intention("*", "web", .permissions([])),
            try intention("SHOP", "web", .action(.deny)),
        ]
        let expected = [true, false, true, false]
        for count in 1...rules.count {
            let implicit = ImplicitUpstreams(Array(rules[..<count]), byDefault: .deny)
            #expect(implicit.covers(shop, web) == expected[count - 1], "\(count)")
        }
        #expect(ImplicitUpstreams([], byDefault: .allow).covers(shop, web))
        #expect(!ImplicitUpstreams([], byDefault: .deny).covers(shop, web))
    }

    /// Services for which there is no room are closed, not called in plain text.
    @Test func whatHasNoRoomIsClosed() throws {
        var world = try world()
        for number in 0..<600 {
            world.services.append(
                try service(
                    "s\(number)", port: 9000, sidecar: true,
                    address: "10.1.\(number / 256).\(number % 256)"))
        }
        world.ports = SidecarPorts()
        let range = world.services.indices.dropFirst()
        for place in range { world.services[place].connect.sidecarService?.port = 21_000 }
        world.intentions = [
            Intention(source: .any, destination: .any, effect: .action(.allow))
        ]
        let plan = try world.plan()
        let behind = plan.compiled.listeners.filter { $0.behind != nil }
        #expect(behind.count <= OriginalPlan.greatestListeners)
        #expect(plan.problems.contains { $0.message.contains("are not reached") })
        let beyond = try #require(plan.listener("\(outbound):beyond"))
        guard case .l4(let splits) = beyond.kind else {
            Issue.record("it understands requests")
            return
        }
        #expect(plan.target(splits[0].target)?.endpoints == [])
        #expect(try table(plan, outbound).values.contains("\(outbound):beyond"))
    }

    /// A plan that is brought up to date is the plan that is made anew.
    @Test func otherInstancesAreFollowed() throws {
        var compiler = NodeCompiler()
        var world = try world()
        var state = try world.state()
        _ = compiler.compile(state)
        world.services.append(
            try service("web", id: "web-3", port: 8001, sidecar: true, address: "10.0.0.3"))
        let mesh = state.mesh
        state = try world.state()
        state.mesh = mesh
        let followed = compiler.compile(state)
        #expect(followed.compiled == NodeCompiler.compile(state).compiled)
        #expect(try table(followed, outbound)["10.0.0.3:8001"] == "\(outbound):web")
    }
}
