import MeshModel
import MeshTables
import Testing

@testable import controlplane

@Suite struct GatewayCompilerTests {
    private func gateway(_ name: String, _ kind: ServiceKind, port: UInt16 = 0) throws
        -> ServiceDefinition
    {
        ServiceDefinition(
            name: try ServiceName(name), kind: kind, address: "127.0.0.1", port: port)
    }

    private func world(_ entries: ConfigEntry...) throws -> World {
        var world = World()
        world.services = [
            try service("web", port: 8000, sidecar: true),
            try service("billing", port: 9000),
            try service("api", port: 8001, upstreams: ["billing": 9191]),
            try gateway("edge", .ingressGateway),
            try gateway("exit", .terminatingGateway, port: 8443),
        ]
        world.entries = [try http("web")] + entries
        return world
    }

    private func ingress(
        _ services: [IngressGateway.Service], _ spoken: ServiceProtocol = .http
    ) throws -> ConfigEntry {
        .ingressGateway(
            IngressGateway(
                name: try ServiceName("edge"),
                listeners: [.init(port: 8080, serviceProtocol: spoken, services: services)]))
    }

    private func terminating(_ name: String, _ services: String...) throws -> ConfigEntry {
        .terminatingGateway(
            TerminatingGateway(
                name: try ServiceName(name),
                services: try services.map { .init(name: try NamePattern($0)) }))
    }

    @Test func anIngressDialsSidecarsAsItself() throws {
        let entry = try ingress([.init(name: try NamePattern("web"), hosts: ["a.test"])])
        let plan = try world(entry).plan()
        #expect(plan.problems == [])
        let listener = try #require(plan.listener("edge:8080"))
        #expect(listener.role == .outbound)
        #expect(listener.identity?.text == "edge")
        guard case .l7(let routes) = listener.kind else {
            Issue.record("another kind of listener")
            return
        }
        #expect(routes.map(\.host) == ["a.test"])
        let target = try #require(plan.target("web.default.dc1@edge"))
        #expect(target.checksIntentions)
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:21001"])
        #expect(target.endpoints.allSatisfy { $0.tls != nil })
    }

    @Test func theWildcardMeansServicesOfTheMeshThatSpeakHTTP() throws {
        let plan = try world(ingress([.init(name: .any)])).plan()
        guard case .l7(let routes) = try #require(plan.listener("edge:8080")).kind else {
            Issue.record("another kind of listener")
            return
        }
        #expect(routes.map(\.host) == ["web.ingress.consul", "web.ingress.dc1.consul"])
    }

    @Test(arguments: [ServiceProtocol.http, .http2, .grpc])
    func aServiceThatSpeaksNoHTTPIsReported(_ spoken: ServiceProtocol) throws {
        let plan = try world(ingress([.init(name: try NamePattern("billing"))], spoken)).plan()
        #expect(plan.problems.count == 1)
        #expect(
            plan.problems[0].message.hasSuffix(
                "billing speaks tcp, the listener \(spoken.rawValue): write its protocol into "
                    + "service-defaults billing"))
    }

    @Test func ceilingsOfTheEntryHold() throws {
        let plan = try world(
            ingress([
                .init(
                    name: try NamePattern("web"), hosts: ["a.test"],
                    limits: UpstreamLimits(maxConnections: 7))
            ])
        ).plan()
        let target = plan.compiled.targets.first { $0.id.hasPrefix("web.default.dc1@edge") }
        #expect(target?.guarded?.maxConnections == 7)
    }

    @Test func callersReachALinkedServiceThroughTheGateway() throws {
        let direct = try world().plan()
        #expect(
            direct.target("billing.default.dc1@api/tcp")?.endpoints.map(\.address.description)
                == ["127.0.0.1:9000"])
        let plan = try world(terminating("exit", "billing")).plan()
        #expect(plan.problems == [])
        let target = try #require(plan.target("billing.default.dc1@api/tcp"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8443"])
        #expect(target.endpoints.allSatisfy { $0.tls != nil })
        #expect(target.sni == "billing.default.dc1.internal.test.consul")
        #expect(target.expectedID.hasSuffix("/svc/billing"))
        let listener = try #require(plan.listener("exit"))
        guard case .gateway(let routes) = listener.kind else {
            Issue.record("another kind of listener")
            return
        }
        #expect(listener.role == .inbound && listener.intentionsOf == nil)
        #expect(routes.map(\.host) == ["billing.default.dc1.internal.test.consul"])
        let outside = try #require(plan.target("billing.default.dc1@gateway-exit/tcp"))
        #expect(outside.checksIntentions)
        #expect(outside.endpoints.map(\.address.description) == ["127.0.0.1:9000"])
        #expect(outside.endpoints.allSatisfy { $0.tls == nil })
    }

    @Test func requestsAreUnderstoodWhereTheServiceSpeaksHTTP() throws {
        let id = "billing.default.dc1@gateway-exit"
        for (spoken, wire) in [
            (ServiceProtocol.http, TargetPlan.WireProtocol.http1), (.http2, .http2),
            (.grpc, .http2),
        ] {
            let entry = ServiceDefaults(
                name: try ServiceName("billing"), serviceProtocol: spoken)
            let plan = try world(
                terminating("exit", "billing"), .serviceDefaults(entry)
            ).plan()
            #expect(plan.problems == [])
            let target = try #require(plan.target(id))
            #expect(target.wireProtocol == wire && target.checksIntentions)
            guard case .gateway(let routes) = try #require(plan.listener("exit")).kind else {
                Issue.record("another kind of listener")
                return
            }
            #expect(routes.count == 1 && routes[0].retries > 0)
        }
        #expect(try world(terminating("exit", "billing")).plan().target(id) == nil)
    }

    @Test func theWildcardMeansServicesOutsideTheMesh() throws {
        let plan = try world(terminating("exit", "*")).plan()
        guard case .gateway(let routes) = try #require(plan.listener("exit")).kind else {
            Issue.record("another kind of listener")
            return
        }
        #expect(routes.map(\.host) == ["billing.default.dc1.internal.test.consul"])
    }

    @Test func theFirstGatewayByNameStandsForAService() throws {
        let entries = [try terminating("z", "billing"), try terminating("exit", "billing")]
        let links = GatewayLinks.gateways(entries, try world().inventory)
        #expect(links == [try ServiceName("billing"): try ServiceName("exit")])
    }

    @Test func aMissingFileLeavesTheServiceOut() throws {
        let entry = ConfigEntry.terminatingGateway(
            TerminatingGateway(
                name: try ServiceName("exit"),
                services: [.init(name: try NamePattern("billing"), caFile: "/nowhere")]))
        let plan = try world(entry).plan()
        #expect(plan.problems.map(\.message) == ["exit: billing: /nowhere: it was not read yet"])
    }
}
