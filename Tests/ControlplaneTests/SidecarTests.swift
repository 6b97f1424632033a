import MeshFilter
import MeshModel
import MeshTables
import Testing

@testable import MeshStore
@testable import controlplane

/// What the options of proxies and upstreams become.
@Suite struct SidecarTests {
    private func world(
        _ config: [String: DataValue] = [:], expose: DataValue? = nil,
        upstream: [String: DataValue] = [:]
    ) throws -> World {
        var world = World()
        var web = try service("web", port: 8000, sidecar: true)
        web.connect.sidecarService?.proxy.config = config
        web.connect.sidecarService?.proxy.expose = expose
        var api = try service("api", port: 8001, upstreams: ["web": 9191])
        api.connect.sidecarService?.proxy.upstreams[0].config = upstream
        world.services = [web, api]
        world.entries = [try http("web")]
        return world
    }

    @Test func theListenerIsWhereTheOptionsSay() throws {
        let plan = try world([
            "bind_address": .string("0.0.0.0"), "bind_port": .int(20_000),
            "handshake_timeout_ms": .int(1234), "local_request_timeout_ms": .int(77),
        ]).plan()
        #expect(plan.problems == [])
        let inbound = try #require(plan.listener("web-sidecar-proxy"))
        #expect(inbound.address.description == "0.0.0.0:20000")
        #expect(inbound.timeouts.handshake == 1234 && inbound.timeouts.request == 77)
        // Others dial what is registered.
        #expect(
            plan.target("web.default.dc1@api")?.endpoints.map(\.address.description)
                == ["127.0.0.1:21001"])
        #expect(try world().plan().listener("web-sidecar-proxy")?.timeouts.handshake == 10_000)
    }

    @Test func connectionsOfASidecarLastAsLongAsTheOptionsSay() throws {
        var world = try world(["max_connection_lifetime": .string("1h")])
        world.entries.append(
            .proxyDefaults(ProxyDefaults(config: ["max_connection_lifetime": .string("2h")])))
        let plan = try world.plan()
        #expect(plan.problems == [])
        #expect(plan.listener("web-sidecar-proxy")?.timeouts.lifetime == 3_600_000)
        let calling = plan.compiled.listeners.filter { $0.name.hasPrefix("api-sidecar-proxy") }
        #expect(calling.count == 2)
        #expect(calling.allSatisfy { $0.timeouts.lifetime == 7_200_000 })
        world.entries.removeLast()
        #expect(try world.plan().compiled.listeners.count { $0.timeouts.lifetime != 0 } == 1)
    }

    @Test func theApplicationIsWhereTheOptionsSay() throws {
        let config: [String: DataValue] = [
            "local_service_address": .string("localhost:8080"),
            "local_connect_timeout_ms": .int(70), "max_inbound_connections": .int(3),
        ]
        var world = try world(config)
        var target = try #require(try world.plan().target("local.web-sidecar-proxy"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8080"])
        #expect(target.connectTimeout == 70 && target.guarded?.maxConnections == 3)
        // The port of the registration itself is nearer.
        world.services[0].connect.sidecarService?.proxy.localServicePort = 8001
        target = try #require(try world.plan().target("local.web-sidecar-proxy"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:8001"])
    }

    @Test func whatIsSaidOfOneProxyOnlyIsNotADefault() throws {
        var world = try world()
        world.entries.append(
            .proxyDefaults(
                ProxyDefaults(config: [
                    "bind_port": .int(20_000), "external": .bool(true),
                    "local_service_address": .string("127.0.0.1:1"),
                    "handshake_timeout_ms": .int(55),
                ])))
        let plan = try world.plan()
        let inbound = try #require(plan.listener("web-sidecar-proxy"))
        #expect(inbound.address.description == "127.0.0.1:21001")
        #expect(inbound.timeouts.handshake == 55)
    }

    @Test func aForeignProxyHasNoListeners() throws {
        let plan = try world(["external": .bool(true)]).plan()
        #expect(plan.listener("web-sidecar-proxy") == nil)
        #expect(plan.problems == [])
        let target = try #require(plan.target("web.default.dc1@api"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:21001"])
        #expect(target.endpoints.allSatisfy { $0.tls != nil })
        let check = try #require(
            try world(["external": .bool(true)]).inventory.proxies.first {
                $0.id.text == "web-sidecar-proxy"
            }?.checks.first)
        #expect(check.tcp == "127.0.0.1:21001" && check.name == "Connect Sidecar Listening")
    }

    @Test func aProxyRegisteredByHandIsForeignUnlessItSaysOtherwise() throws {
        var world = World()
        var proxy = try service("web-proxy", port: 21_500)
        proxy.kind = .connectProxy
        proxy.proxy = ProxyDefinition(
            destinationServiceName: try ServiceName("web"), localServicePort: 8000)
        world.services = [try service("web", port: 8000), proxy]
        #expect(try world.plan().listener("web-proxy") == nil)
        world.services[1].proxy?.config = ["external": .bool(false)]
        #expect(try world.plan().listener("web-proxy")?.address.description == "127.0.0.1:21500")
    }

    @Test func limitsOfAnUpstreamAreItsOwn() throws {
        var world = try world(upstream: [
            "limits": .object(["max_connections": .int(5)]),
            "passive_health_check": .object(["max_failures": .int(2)]),
        ])
        world.services[1].connect.sidecarService?.proxy.upstreams.append(
            UpstreamDefinition(destinationName: try ServiceName("web"), localBindPort: 9192))
        let plan = try world.plan()
        let own = try #require(plan.target("web.default.dc1@api/127.0.0.1:9191")?.guarded)
        #expect(own.maxConnections == 5 && own.failures == 2)
        #expect(plan.target("web.default.dc1@api")?.guarded == nil)
    }

    /// The chain is the one of that datacenter; as long as it is not connected nobody is there.
    @Test func anUpstreamMayBeInAnotherDatacenter() throws {
        var world = try world()
        func ask(_ datacenter: String) throws -> (NodePlan, [String]) {
            world.services[1].connect.sidecarService?.proxy.upstreams[0].datacenter =
                try DatacenterName(datacenter)
            let plan = try world.plan()
            guard
                case .l7(let routes)? = plan.listener("api-sidecar-proxy:web:9191")?.kind,
                case .forward(let splits)? = routes.last?.action
            else {
                Issue.record("the listener is there, and understands requests")
                return (plan, [])
            }
            return (plan, splits.map(\.target))
        }
        let (own, near) = try ask("DC1")
        #expect(own.problems == [] && near == ["web.default.dc1@api"])
        let (other, far) = try ask("dc2")
        #expect(far == ["web.default.dc2@api"])
        let target = try #require(other.target("web.default.dc2@api"))
        #expect(target.endpoints == [] && target.sni.hasPrefix("web.default.dc2.internal."))
        #expect(target.expectedID.hasSuffix("/dc/dc2/svc/web"))
        #expect(
            other.problems.map(\.message) == [
                "the chain of \"web\" leads to \"web\" in datacenter \"dc2\", which is not "
                    + "connected: it has no instance there"
            ])
        // A failover of the chain may lead back home.
        world.services.append(try service("spare", port: 8002, sidecar: true))
        let failover = ServiceResolver.Failover(targets: [
            ServiceResolver.Redirect(
                service: try ServiceName("spare"), datacenter: try DatacenterName("dc1"))
        ])
        world.entries += [
            try http("spare"),
            .serviceResolver(
                ServiceResolver(name: try ServiceName("web"), failover: ["*": failover])),
        ]
        let (back, _) = try ask("dc2")
        #expect(back.target("web.default.dc2@api")?.failover == ["spare.default.dc1@api"])
        #expect(back.target("spare.default.dc1@api")?.endpoints.count == 1)
        #expect(back.problems.count == 1, "home is connected")
    }

    @Test func anUpstreamMayPassOnBytes() throws {
        let plan = try world(upstream: ["protocol": .string("tcp")]).plan()
        let outbound = try #require(plan.listener("api-sidecar-proxy:web:9191"))
        guard case .l4(let splits) = outbound.kind else {
            Issue.record("the listener is not l4")
            return
        }
        #expect(splits.map(\.target) == ["web.default.dc1@api/tcp"])
    }

    @Test func exposedPathsArePlain() throws {
        let expose = DataValue.object([
            "paths": .array([
                .object(["listener_port": .int(21_500), "path": .string("/health")]),
                .object([
                    "listener_port": .int(21_500), "path": .string("/metrics"),
                    "local_path_port": .int(9100),
                ]),
            ])
        ])
        let plan = try world(expose: expose).plan()
        let listener = try #require(plan.listener("web-sidecar-proxy:exposed:21500"))
        #expect(listener.role == .plain && listener.tls == nil)
        guard case .l7(let routes) = listener.kind else {
            Issue.record("the listener is not l7")
            return
        }
        #expect(routes.map(\.match.path) == [.exact("/health"), .exact("/metrics")])
        #expect(
            plan.target("local.web-sidecar-proxy:21500/metrics")?.endpoints
                .map(\.address.description) == ["127.0.0.1:9100"])
        let claims = try world(expose: expose).inventory.claims
        #expect(claims.contains(21_500))
    }

    @Test func aQueryBecomesATarget() throws {
        var world = try world()
        world.services[0].tags = ["v1"]
        world.services[1].connect.sidecarService?.proxy.upstreams[0] = UpstreamDefinition(
            destinationName: try ServiceName("find-web"), destinationType: .preparedQuery,
            localBindPort: 9191)
        var missing = try world.plan()
        #expect(missing.problems.map(\.message).contains { $0.contains("no prepared query") })
        #expect(missing.listener("api-sidecar-proxy:find-web:9191") != nil)
        world.queries = [
            PreparedQuery(
                id: "q1", name: "find-web",
                service: PreparedQuery.Service("web", onlyPassing: true, tags: ["v1", "!v2"]))
        ]
        let plan = try world.plan()
        #expect(plan.problems == [])
        let target = try #require(plan.target("query.q1.web@api"))
        #expect(target.endpoints.map(\.address.description) == ["127.0.0.1:21001"])
        #expect(target.endpoints.allSatisfy { !$0.takesWarnings && $0.tls != nil })
        #expect(target.checksIntentions && target.expectedID.hasSuffix("/svc/web"))
        world.queries[0].service.tags = ["v2"]
        missing = try world.plan()
        #expect(missing.target("query.q1.web@api")?.endpoints == [])
    }

    @Test func aQueryIsAnExpression() throws {
        var service = PreparedQuery.Service("web", tags: ["a", "!b\""])
        service.nodeMeta = ["site": "paris"]
        service.serviceMeta = ["version": "1"]
        #expect(
            PartCompiler.filter(of: service)
                == "\"a\" in Service.Tags and `b\"` not in Service.Tags and "
                + "Node.Meta[\"site\"] == \"paris\" and Service.Meta[\"version\"] == \"1\"")
        _ = try Filter(
            subset: ServiceResolver.Subset(filter: PartCompiler.filter(of: service)))
    }

    @Test func aPortThatCannotBeHadIsPassedOver() throws {
        var ports = SidecarPorts()
        let id = try ServiceID("a")
        #expect(ports.assign([id], range: 1...3, taken: [1]) { $0 != 2 } == [])
        #expect(ports.ports == [id: 3])
        var none = SidecarPorts()
        #expect(none.assign([id], range: 1...3, taken: []) { _ in false } == [id])
    }

    /// Each HTTP check has a port of its own.
    @Test func pathsOfChecksAreExposedWhereWanted() throws {
        var world = try world(expose: .object(["checks": .bool(true)]))
        world.services[0].connect.sidecarService?.port = 21_001
        world.services[1].connect.sidecarService?.port = 21_000
        world.services[0].checks = [
            CheckDefinition(http: "http://127.0.0.1:8000/health?full=1", interval: .seconds(1)),
            CheckDefinition(tcp: "127.0.0.1:8000", interval: .seconds(1)),
            CheckDefinition(http: "http://127.0.0.1:9000", interval: .seconds(1)),
        ]
        let records = world.services.map {
            ServiceRecord(definition: $0, origin: .api, createIndex: .zero, modifyIndex: .zero)
        }
        let wanted = Inventory.exposedChecks(records)
        #expect(wanted.map(\.text) == ["exposed:service:web:1", "exposed:service:web:3"])
        var ports = SidecarPorts()
        #expect(ports.assign(wanted, range: 21_500...21_501, taken: []).isEmpty)
        let inventory = Inventory(records, ports: ports)
        #expect(inventory.problems.isEmpty)
        let sidecar = inventory.proxies.first { $0.id.text == "web-sidecar-proxy" }
        #expect(
            ExposedPath.paths(sidecar?.proxy?.expose) == [
                ExposedPath(
                    listenerPort: 21_500, path: "/health", localPathPort: 8000, isFromCheck: true),
                ExposedPath(
                    listenerPort: 21_501, path: "/", localPathPort: 9000, isFromCheck: true),
            ])
        let problems = Inventory(records, ports: SidecarPorts()).problems.map(\.message)
        #expect(problems.count == 1 && problems[0].contains("ports.expose_min_port"))
    }

    /// Entries say it for sidecars that say nothing; a gRPC check asks for one path.
    @Test func entriesSayThatPathsOfChecksAreExposed() throws {
        var world = try world(expose: .object([:]))
        world.services[0].connect.sidecarService?.port = 21_001
        world.services[1].connect.sidecarService?.port = 21_000
        world.services[0].connect.sidecarService?.proxy.expose = nil
        world.services[0].checks = [
            CheckDefinition(grpc: "127.0.0.1:8000/shop", interval: .seconds(1)),
            CheckDefinition(grpc: "127.0.0.1:8000", grpcUseTLS: true, interval: .seconds(1)),
        ]
        let silent = world.services.map {
            ServiceRecord(definition: $0, origin: .api, createIndex: .zero, modifyIndex: .zero)
        }
        let name = world.services[0].name
        let expose = DataValue.object(["Checks": .bool(true)])
        var ports = SidecarPorts()
        for entry in [
            ConfigEntry.serviceDefaults(
                ServiceDefaults(name: name, serviceProtocol: .tcp, expose: expose)),
            .proxyDefaults(ProxyDefaults(expose: expose)),
        ] {
            ports.exposing = ExposeDefaults([entry])
            let ids = Inventory.exposedChecks(silent, ports.exposing)
            #expect(ids.map(\.text) == ["exposed:service:web:1"])
            #expect(ports.assign(ids, range: 21_500...21_501, taken: []).isEmpty)
            let inventory = Inventory(silent, ports: ports)
            let sidecar = inventory.proxies.first { $0.id.text == "web-sidecar-proxy" }
            #expect(
                ExposedPath.paths(sidecar?.proxy?.expose) == [
                    ExposedPath(
                        listenerPort: 21_500, path: "/grpc.health.v1.Health/Check",
                        localPathPort: 8000, isHTTP2: true, isFromCheck: true)
                ])
            #expect(
                inventory[world.services[0].id]?.exposedPorts == ["service:web:1": 21_500])
        }
        #expect(Inventory.exposedChecks(silent).isEmpty)
    }
}
