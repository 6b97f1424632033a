import MeshModel
import MeshTables
import Testing

@testable import controlplane

@Suite struct CompilerTests {
    private func pair() throws -> World {
        var world = World()
        world.services = [
            try service("web", port: 8000, sidecar: true),
            try service("api", port: 8001, upstreams: ["web": 9191]),
        ]
        world.entries = [try http("web")]
        return world
    }

    @Test func aPlainListenerDialsTheApplication() throws {
        var world = try pair()
        world.listeners = [try listener("public", port: 80)]
        let plan = try world.plan()
        #expect(plan.problems == [])
        let listener = try #require(plan.listener("public"))
        #expect(listener.role == .plain)
        #expect(listener.identity == nil && listener.intentionsOf == nil)
        let target = try #require(plan.target("web.default.dc1"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8000"])
        #expect(target.endpoints.allSatisfy { $0.tls == nil })
        #expect(!target.checksIntentions)
        #expect(plan.endpoints.present.map(\.id.text).contains("web"))
    }

    @Test func aListenerWithIdentityIsSubjectToIntentions() throws {
        var world = try pair()
        world.listeners = [try listener("edge", port: 80, identity: "edge")]
        let plan = try world.plan()
        let listener = try #require(plan.listener("edge"))
        #expect(listener.role == .outbound)
        #expect(listener.identity?.text == "edge")
        let target = try #require(plan.target("web.default.dc1@listener-edge"))
        #expect(target.checksIntentions)
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8000"])
    }

    @Test func tlsIsHandedOnByServerName() throws {
        var world = try pair()
        var edge = try listener("edge", port: 443, kind: .l4, service: nil)
        edge.sni = [
            .init(host: "web.test", service: try ServiceName("web")),
            .init(host: "*.api.test", service: try ServiceName("api")),
        ]
        world.listeners = [edge]
        let plan = try world.plan()
        #expect(plan.problems == [])
        guard case .serverName(let routes, nil) = try #require(plan.listener("edge")).kind else {
            Issue.record("another kind of listener")
            return
        }
        #expect(routes.map(\.host) == ["web.test", "*.api.test"])
        #expect(routes.map(\.rule).first == "listener edge, server name web.test")
        edge.service = try ServiceName("web")
        world.listeners = [edge]
        guard case .serverName(_, .some(let standard)) = try world.plan().listener("edge")?.kind
        else {
            Issue.record("another kind of listener")
            return
        }
        #expect(standard.map(\.target) == ["web.default.dc1/tcp"])
    }

    @Test func aSidecarHasItsTwoSides() throws {
        let plan = try pair().plan()
        #expect(plan.problems == [])
        let inbound = try #require(plan.listener("web-sidecar-proxy"))
        #expect(inbound.role == .inbound)
        #expect(inbound.identity?.text == "web" && inbound.intentionsOf?.text == "web")
        let server = plan.compiled.tls[try #require(inbound.tls).index]
        #expect(server.server && server.mesh && server.verify == .require)
        let local = try #require(plan.target("local.web-sidecar-proxy"))
        #expect(local.endpoints.map(\.address.description) == ["127.0.0.1:8000"])
        #expect(!local.checksIntentions)

        let outbound = try #require(plan.listener("api-sidecar-proxy:web:9191"))
        #expect(outbound.role == .outbound)
        #expect(outbound.address.description == "127.0.0.1:9191")
        #expect(outbound.identity?.text == "api" && outbound.intentionsOf == nil)
        #expect(outbound.tls == nil)
    }

    @Test func anInstanceWithASidecarIsDialledThere() throws {
        let plan = try pair().plan()
        let target = try #require(plan.target("web.default.dc1@api"))
        let endpoint = try #require(target.endpoints.first)
        #expect(endpoint.address.description == "127.0.0.1:21001")
        #expect(target.expectedID == "spiffe://test.consul/ns/default/dc/dc1/svc/web")
        #expect(target.sni == "web.default.dc1.internal.test.consul")
        let client = plan.compiled.tls[try #require(endpoint.tls).index]
        #expect(!client.server && client.mesh && client.verify == .require)
        #expect(client.certificates == [SecretPlan.leafID(of: try ServiceName("api"))])
    }

    @Test func anInstanceWithoutASidecarIsDialledAsItIs() throws {
        var world = try pair()
        world.services[0] = try service("web", port: 8000)
        let target = try #require(try world.plan().target("web.default.dc1@api"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8000"])
        #expect(target.endpoints.allSatisfy { $0.tls == nil })
        #expect(target.checksIntentions)
    }

    @Test(arguments: [(ServiceProtocol.http, true), (.tcp, false), (.http2, true), (.grpc, true)])
    func theProtocolDecidesTheKind(spoken: ServiceProtocol, isHTTP: Bool) throws {
        var world = try pair()
        world.entries = [
            .serviceDefaults(
                ServiceDefaults(name: try ServiceName("web"), serviceProtocol: spoken))
        ]
        let plan = try world.plan()
        for name in ["web-sidecar-proxy", "api-sidecar-proxy:web:9191"] {
            let listener = try #require(plan.listener(name))
            if case .l7 = listener.kind { #expect(isHTTP) } else { #expect(!isHTTP) }
            #expect(listener.timeouts.idle == (isHTTP ? 60_000 : 0))
            #expect(listener.via.isEmpty == !isHTTP)
        }
    }

    @Test func listenersOfOneNodeDifferInVia() throws {
        let names = try pair().plan().compiled.listeners.map(\.via).filter { !$0.isEmpty }
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy(HTTPToken.isToken))
    }

    @Test func routesKeepTheirOrder() throws {
        var world = try pair()
        let routes = [
            ListenerDefinition.Route(
                host: "*.Example.com", http: HTTPMatch(path: .prefix("/admin")),
                action: .respond(.init(status: 403, body: "no"))),
            ListenerDefinition.Route(action: .service(try ServiceName("web"))),
            ListenerDefinition.Route(
                host: "old.example.com",
                action: .redirect(.init(host: "www.example.com", status: 308))),
        ]
        world.listeners = [try listener("public", port: 80, service: "api", routes: routes)]
        guard case .l7(let made) = try #require(try world.plan().listener("public")).kind else {
            Issue.record("the listener is not l7")
            return
        }
        #expect(made.map(\.rule).count == 4)
        #expect(made[0].host == "*.example.com")
        #expect(
            made[0].action
                == .respond(status: 403, body: "no", contentType: "text/plain; charset=utf-8"))
        #expect(made[1].action == .forward(SplitPlan.all(to: "web.default.dc1")))
        #expect(
            made[2].action == .redirect(status: 308, scheme: "", host: "www.example.com", path: ""))
        #expect(made[3].action == .forward(SplitPlan.all(to: "api.default.dc1")))
    }

    @Test func twoListenersDoNotShareAnAddress() throws {
        var world = try pair()
        world.listeners = [
            try listener("one", port: 80), try listener("two", port: 80),
            try listener("three", port: 9191),
        ]
        let plan = try world.plan()
        #expect(plan.listener("one") != nil && plan.listener("two") == nil)
        #expect(plan.listener("three") != nil)
        #expect(plan.listener("api-sidecar-proxy:web:9191") == nil)
        #expect(plan.problems.count == 2)
        #expect(plan.problems.allSatisfy { $0.message.contains("is taken by") })
    }

    @Test func aNameWithoutAnAddressIsReportedAndLeftOut() throws {
        var world = try pair()
        world.services.append(try service("web", id: "web-2", port: 8002, address: "far.test"))
        world.listeners = [try listener("public", port: 80)]
        let plan = try world.plan()
        #expect(plan.problems.contains { $0.message.contains("far.test") })
        #expect(plan.target("web.default.dc1")?.endpoints.count == 1)
        world.addresses["far.test"] = "10.0.0.7"
        let known = try #require(try world.plan().target("web.default.dc1"))
        #expect(known.endpoints.map(\.address.description).contains("10.0.0.7:8002"))
    }

    @Test func bytesAndRequestsHaveTargetsOfTheirOwn() throws {
        var world = try pair()
        world.listeners = [
            try listener("public", port: 80), try listener("raw", port: 81, kind: .l4),
        ]
        let plan = try world.plan()
        #expect(plan.target("web.default.dc1")?.wireProtocol == .http1)
        #expect(plan.target("web.default.dc1/tcp")?.wireProtocol == .tcp)
    }

    @Test func aServiceWithoutInstancesHasAnEmptyTarget() throws {
        var world = World()
        world.listeners = [try listener("public", port: 80, service: "ghost")]
        #expect(try world.plan().target("ghost.default.dc1")?.endpoints == [])
    }

    @Test func theSamePlanComesOutAgain() throws {
        let state = try pair().state()
        #expect(NodeCompiler.compile(state).compiled == NodeCompiler.compile(state).compiled)
        #expect(NodeCompiler.compile(state).secrets == NodeCompiler.compile(state).secrets)
    }

    /// The data plane's own reader accepts what the compiler makes.
    @Test func theSnapshotIsSound() throws {
        var world = try pair()
        world.intentions = [
            Intention(
                source: .exact(try ServiceName("api")), destination: .exact(try ServiceName("web")),
                effect: .action(.allow))
        ]
        world.listeners = [
            try listener("public", port: 80), try listener("raw", port: 81, kind: .l4),
            try listener("edge", port: 82, identity: "edge"),
        ]
        var slots = SlotTables()
        var builder = SnapshotBuilder()
        let image = try builder.build(
            try world.plan().compiled,
            stamp: .init(generation: 7, secretsGeneration: 7, writtenAtMilliseconds: 1),
            slots: &slots)
        let reader = try SnapshotReader(image)
        #expect(reader.generation == 7)
        #expect(reader.listenerSlots.count == 6)
        #expect(reader.targetSlots.map(\.name).contains("web.default.dc1@api"))
    }
}
