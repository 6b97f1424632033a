import Foundation
import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshSidecar
import MeshTables
import Testing

@testable import controlplane

/// Plans of a sidecar whose mesh an agent has told.
@Suite struct AgentCompilerTests {
    private static let home = "dc1"

    private func registration(
        _ upstreams: [UpstreamDefinition], port: UInt16 = 21000
    ) throws -> Registration {
        let web = try ServiceName("web")
        return Registration(
            definition: ServiceDefinition(
                name: try ServiceName("web-proxy"), id: try ServiceID("web-proxy"),
                kind: .connectProxy, address: "127.0.0.1", port: port,
                proxy: ProxyDefinition(
                    destinationServiceName: web, localServicePort: 8080, upstreams: upstreams)),
            service: web)
    }

    private func upstream(
        _ name: String, _ port: UInt16, config: [String: DataValue] = [:]
    ) throws -> UpstreamDefinition {
        UpstreamDefinition(
            destinationName: try ServiceName(name), localBindPort: port, config: config)
    }

    private func view(
        _ registration: Registration, _ ways: [MeshView.Way?],
        protocol serviceProtocol: ServiceProtocol = .tcp
    ) throws -> MeshView {
        var generator = SystemRandomNumberGenerator()
        let authority = World.authority
        let leaf = try authority.issue(
            SpiffeID(
                trustDomain: authority.trustDomain, datacenter: try DatacenterName(Self.home),
                service: registration.service), now: Date(), using: &generator)
        let root = DataValue.object([
            "ID": .string(authority.active.id),
            "RootCert": .string(PEM.certificates([authority.active.certificateDER])),
        ])
        let roots = try MeshRoots(
            AgentJSON(
                .object([
                    "TrustDomain": .string(authority.trustDomain.text), "Roots": .array([root]),
                ]), "roots"))
        return MeshView(
            registration: registration, roots: roots, leaf: leaf, serviceProtocol: serviceProtocol,
            intentions: [], intentionsDefault: .deny, ways: ways)
    }

    private func way(
        _ name: String, in datacenter: String = home, ports: [UInt16], http: Bool = false,
        host: String = "10.0.0.2", weight: Int = 1
    ) throws -> MeshView.Way {
        var chain = Chains.plain(
            try ServiceName(name), in: try DatacenterName(datacenter), timeout: .seconds(5))
        chain.serviceProtocol = http ? .http : .tcp
        let endpoints = ports.map {
            MeshEndpoint(
                instance: "\(name)-proxy", node: "n\($0)", host: host, port: $0, weight: weight)
        }
        return MeshView.Way(
            chain: chain,
            endpoints: Dictionary(chain.targets.keys.map { ($0, endpoints) }) { first, _ in first },
            speaksHTTP: http)
    }

    private func plan(_ view: MeshView, _ addresses: [String: String] = [:]) throws -> NodePlan {
        NodeCompiler.compile(AgentStates.merge(view, into: try World().state(), addresses))
    }

    @Test func upstreamsLeadToWhatTheAgentHasTold() throws {
        let plan = try plan(
            view(
                registration([upstream("db", 9191)]), [way("db", ports: [1000, 1001], weight: 7)]))
        #expect(plan.problems == [])
        let listener = try #require(plan.listener("web-proxy:db:9191"))
        #expect(listener.role == .outbound)
        guard case .l4(let splits) = listener.kind else {
            Issue.record("another kind of listener")
            return
        }
        let split = try #require(splits.first)
        let target = try #require(plan.target(split.target))
        #expect(target.endpoints.map(\.address.description) == ["10.0.0.2:1000", "10.0.0.2:1001"])
        #expect(target.endpoints.allSatisfy { $0.tls != nil && $0.weight == 7 })
        #expect(target.expectedID == "spiffe://test.consul/ns/default/dc/dc1/svc/db")
        #expect(target.sni == "db.default.dc1.internal.test.consul")
        // The other side decides: its rules are not known here.
        #expect(!target.checksIntentions)
    }

    /// Addresses stand for services that the agent has told, one instance alone where its proxy
    /// says so.
    @Test func aTransparentProxyReachesWhatTheAgentHasTold() throws {
        var registration = try registration([])
        registration.definition.proxy?.mode = ProxyMode.transparent.rawValue
        registration.definition.proxy?.transparentProxy = TransparentProxy(
            outboundListenerPort: 15_002)
        var view = try view(registration, [])
        let way = try way("db", ports: [1000, 1001], http: true)
        let places = way.endpoints.values.flatMap { $0 }.map { endpoint in
            CalledPlace(
                instance: "db-\(endpoint.port)", virtual: ["240.0.0.1", "fd00::1", "no address"],
                address: HostPort(host: "10.0.0.9", port: endpoint.port),
                isDirect: endpoint.port == 1001,
                endpoint: endpoint)
        }
        view.reached = MeshView.Reached(
            services: [
                .init(
                    upstream: UpstreamDefinition(destinationName: try ServiceName("db")),
                    places: places, way: way)
            ], isClosed: true)
        let plan = try plan(view)
        #expect(plan.problems == [])
        let outer = try #require(plan.listener("web-proxy:outbound"))
        #expect(outer.address.description == "127.0.0.1:15002")
        guard case .redirected(let table, nil) = outer.kind else {
            Issue.record("another kind of listener")
            return
        }
        let db = "web-proxy:outbound:db"
        #expect(
            Set(table.map { "\($0.address):\($0.port) \($0.listener)" }) == [
                "240.0.0.1:0 \(db)", "10.0.0.9:1000 \(db)", "10.0.0.9:1001 \(db):db-1001",
            ])
        #expect(plan.listener("web-proxy:outbound6") != nil)
        func ports(_ name: String) throws -> [String] {
            guard case .l7(let routes) = try #require(plan.listener(name)).kind,
                case .forward(let splits)? = routes.first?.action
            else { return [] }
            return try #require(plan.target(splits[0].target)).endpoints.map(\.address.description)
        }
        #expect(try ports(db) == ["10.0.0.2:1000", "10.0.0.2:1001"])
        #expect(try ports("\(db):db-1001") == ["10.0.0.2:1001"])
        let target = try #require(plan.compiled.targets.first { $0.service.text == "db" })
        #expect(target.expectedID == "spiffe://test.consul/ns/default/dc/dc1/svc/db")
    }

    @Test func otherDatacentersProveOtherIdentities() throws {
        let plan = try plan(
            view(registration([upstream("db", 9191)]), [way("db", in: "dc2", ports: [1000])]))
        #expect(plan.problems == [])
        let target = try #require(plan.compiled.targets.first { $0.service.text == "db" })
        #expect(target.expectedID == "spiffe://test.consul/ns/default/dc/dc2/svc/db")
        #expect(target.endpoints.count == 1)
    }

    @Test func theConnectTimeoutOfAnUpstreamIsKept() throws {
        let plan = try plan(
            view(
                registration([
                    upstream("db", 9191, config: ["connect_timeout_ms": .double(1234)])
                ]), [way("db", ports: [1000])]))
        let target = try #require(plan.compiled.targets.first { $0.service.text == "db" })
        #expect(target.connectTimeout == 1234)
    }

    @Test func whatIsNotKnownYetIsToldAndLeavesTheOthers() throws {
        let plan = try plan(
            view(
                registration([upstream("db", 9191), upstream("cache", 9192)]),
                [nil, way("cache", ports: [2000])]))
        #expect(plan.listener("web-proxy:db:9191") == nil)
        #expect(plan.listener("web-proxy:cache:9192") != nil)
        #expect(plan.problems.count == 1)
        #expect(plan.problems.first?.message.contains("db:9191") == true)
    }

    @Test func theServiceBehindIsServedAsItSpeaks() throws {
        let bytes = try plan(view(registration([]), []))
        guard case .l4 = try #require(bytes.listener("web-proxy")).kind else {
            Issue.record("bytes are passed on as requests")
            return
        }
        let requests = try plan(view(registration([]), [], protocol: .http))
        let listener = try #require(requests.listener("web-proxy"))
        guard case .l7 = listener.kind else {
            Issue.record("requests are passed on as bytes")
            return
        }
        #expect(listener.intentionsOf?.text == "web")
        #expect(listener.tls != nil)
        #expect(requests.compiled.intentionsDefault == .deny)
    }

    @Test func withoutAPortNobodyComesIn() throws {
        let plan = try plan(
            view(registration([upstream("db", 9191)], port: 0), [way("db", ports: [1])]))
        #expect(plan.compiled.listeners.map(\.name) == ["web-proxy:db:9191"])
        #expect(plan.problems == [])
    }

    @Test func hostNamesAreLookedUp() throws {
        let view = try view(
            registration([upstream("db", 9191)]), [way("db", ports: [1000], host: "db.test")])
        #expect(AgentStates.hosts(view) == ["db.test"])
        let unknown = try plan(view)
        #expect(unknown.problems.first?.message.contains("db.test") == true)
        let known = try plan(view, ["db.test": "10.9.9.9"])
        let target = try #require(known.compiled.targets.first { $0.service.text == "db" })
        #expect(target.endpoints.map(\.address.description) == ["10.9.9.9:1000"])
    }

    @Test func requestsAreToldApartWhereTheChainSaysSo() throws {
        let plan = try plan(
            view(registration([upstream("db", 9191)]), [way("db", ports: [1000], http: true)]))
        guard case .l7(let routes) = try #require(plan.listener("web-proxy:db:9191")).kind else {
            Issue.record("requests are passed on as bytes")
            return
        }
        #expect(routes.count == 1)
        #expect(routes[0].retries > 0)
        let target = try #require(plan.compiled.targets.first { $0.service.text == "db" })
        #expect(target.wireProtocol == .http1)
    }
}

/// What the command line asks for.
@Suite struct SidecarOptionsTests {
    @Test(arguments: [
        ("web:9191", "web", "127.0.0.1:9191", UpstreamDefinition.DestinationType.service),
        ("web.service:9191", "web", "127.0.0.1:9191", .service),
        ("near.query:9191", "near", "127.0.0.1:9191", .preparedQuery),
        ("web:127.0.0.2:80", "web", "127.0.0.2:80", .service),
        ("web:[::1]:80", "web", "[::1]:80", .service),
        ("web::80", "web", "0.0.0.0:80", .service),
    ])
    func upstreams(
        text: String, name: String, bind: String, type: UpstreamDefinition.DestinationType
    ) throws {
        let read = try SidecarOptions.upstream(text)
        #expect(read.destinationName.text == name)
        #expect(read.localBind == bind)
        #expect(read.destinationType == type)
    }

    @Test(arguments: ["web", "web:", ":80", "web:0", "web:x", "web:host.test:80", "we b:80"])
    func wrongUpstreams(text: String) {
        #expect(throws: MeshError.self) { try SidecarOptions.upstream(text) }
    }

    @Test func oneOfThreeWays() throws {
        #expect(try SidecarOptions(proxyID: "p").wanted([:]) == .proxyID("p"))
        #expect(try SidecarOptions(sidecarFor: "s").wanted([:]) == .sidecarFor("s"))
        #expect(try SidecarOptions().wanted(["CONNECT_PROXY_ID": "e"]) == .proxyID("e"))
        #expect(try SidecarOptions().wanted(["CONSUL_PROXY_ID": "f"]) == .proxyID("f"))
        #expect(try SidecarOptions().wanted(["CONNECT_SIDECAR_FOR": "g"]) == .sidecarFor("g"))
        #expect(
            try SidecarOptions(sidecarFor: "s").wanted(["CONNECT_PROXY_ID": "e"])
                == .sidecarFor("s"))
        let given = try SidecarOptions(
            service: "web", serviceAddress: "127.0.0.1:80", listen: ":21000"
        ).wanted([:])
        guard case .given(let registration) = given else {
            Issue.record("another proxy")
            return
        }
        #expect(registration.definition.address == "0.0.0.0")
        #expect(registration.definition.proxy?.localServicePort == 80)
    }

    @Test(arguments: [
        SidecarOptions(), SidecarOptions(sidecarFor: "a", proxyID: "b"),
        SidecarOptions(service: "a"), SidecarOptions(service: "a", listen: ":1"),
        SidecarOptions(service: "a", serviceAddress: ":1"),
        SidecarOptions(sidecarFor: "a", listen: ":1"),
        SidecarOptions(proxyID: "a", upstreams: ["b:1"]),
        SidecarOptions(service: "a", upstreams: ["b:1", "c:1"]),
        SidecarOptions(service: "a b", upstreams: ["b:1"]),
    ])
    func whatCannotBe(options: SidecarOptions) {
        #expect(throws: MeshError.self) { try options.wanted([:]) }
    }

    @Test func foldersOfSeveralSidecarsAreApart() {
        let folder = StateFolder.standard("a/b c", ["HOME": "/home/x", "XDG_STATE_HOME": "/s"])
        #expect(!folder.contains("a/b"))
        #expect(folder.hasSuffix("sidecar-a-b-c"))
    }
}
