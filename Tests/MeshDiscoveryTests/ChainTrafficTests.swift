import MeshModel
import Testing

@testable import MeshDiscovery

@Suite struct ChainTrafficTests {
    private func name(_ text: String) throws -> ServiceName { try ServiceName(text) }

    private func traffic(_ service: String, _ entries: [ConfigEntry]) throws -> ChainTraffic {
        ChainTraffic(
            try ChainCompiler.compile(
                name(service), in: try DatacenterName("dc1"), entries: ChainEntries(entries)))
    }

    private func http(_ services: String...) throws -> [ConfigEntry] {
        try services.map {
            .serviceDefaults(ServiceDefaults(name: try name($0), serviceProtocol: .http))
        }
    }

    @Test func aServiceWithoutEntriesGoesToAllItsInstances() throws {
        let traffic = try traffic("web", [])
        #expect(traffic.serviceProtocol == .tcp)
        #expect(traffic.problems.isEmpty)
        #expect(traffic.routes.count == 1)
        #expect(traffic.routes[0].entry == nil)
        #expect(traffic.routes[0].shares.map(\.target.id) == ["web.default.dc1"])
        #expect(traffic.routes[0].shares[0].resolver.connectTimeout == .seconds(5))
    }

    /// Most services are plain: no chain is made for them, and nobody can tell.
    @Test func aPlainServiceNeedsNoChain() throws {
        let (web, datacenter) = (try name("Web"), try DatacenterName("dc1"))
        var defaults: [ServiceDefaults?] = [nil]
        for spoken in [nil, ServiceProtocol.http, .tcp] {
            for gateway in [MeshGatewayMode.inherit, .local] {
                for sni in ["", "web.example.com"] {
                    defaults.append(
                        ServiceDefaults(
                            name: web, serviceProtocol: spoken, meshGateway: gateway,
                            externalSNI: sni))
                }
            }
        }
        let all = [
            nil, ProxyDefaults(config: ["protocol": .string("http")], meshGateway: .remote),
        ]
        for own in defaults {
            for proxy in all {
                let entries = ChainEntries(
                    [own.map { .serviceDefaults($0) }, proxy.map { .proxyDefaults($0) }]
                        .compactMap { $0 })
                var (asked, askedByChain): (Set<ServiceName>, Set<ServiceName>) = ([], [])
                let plain = try ChainTraffic.compile(
                    web, in: datacenter, entries: entries, asked: &asked)
                let chain = try ChainCompiler.compile(
                    web, in: datacenter, entries: entries, asked: &askedByChain)
                #expect(plain == ChainTraffic(chain))
                #expect(asked == [web] && askedByChain == [web])
            }
        }
    }

    /// The traffic of a service follows from the entries of those who are asked, and no others.
    @Test func whoIsAskedIsTold() throws {
        let datacenter = try DatacenterName("dc1")
        let entries: [ConfigEntry] = [
            .serviceRouter(
                ServiceRouter(
                    name: try name("web"),
                    routes: [
                        .init(
                            match: HTTPMatch(path: .prefix("/a")),
                            destination: .init(service: try name("admin")))
                    ])),
            .serviceResolver(
                ServiceResolver(name: try name("admin"), redirect: .init(service: try name("new")))),
            .serviceResolver(
                ServiceResolver(
                    name: try name("new"), failover: ["*": .init(service: try name("spare"))])),
            .serviceSplitter(
                ServiceSplitter(
                    name: try name("web"),
                    splits: [.init(weight: 50), .init(weight: 50, service: try name("canary"))])),
        ]
        var asked: Set<ServiceName> = []
        let spoken = try http("web", "admin", "new", "spare", "canary")
        _ = try ChainTraffic.compile(
            name("web"), in: datacenter, entries: ChainEntries(spoken + entries), asked: &asked)
        #expect(
            asked.map(\.text).sorted() == ["admin", "canary", "new", "spare", "web"])
        // Also of what cannot be had: it may be had when one of them changes.
        asked = []
        #expect(throws: MeshError.self) {
            try ChainTraffic.compile(
                name("web"), in: datacenter, entries: ChainEntries(entries), asked: &asked)
        }
        #expect(asked.map(\.text).contains("admin"))
    }

    @Test func routesAndSplitsComeInOrder() throws {
        let router = ServiceRouter(
            name: try name("web"),
            routes: [
                .init(
                    match: HTTPMatch(path: .prefix("/admin")),
                    destination: .init(service: try name("admin"), numRetries: 2))
            ])
        let splitter = ServiceSplitter(
            name: try name("web"),
            splits: [
                .init(weight: 90), .init(weight: 10, service: try name("canary")),
            ])
        let traffic = try traffic(
            "web",
            try http("web", "admin", "canary") + [
                .serviceRouter(router), .serviceSplitter(splitter),
            ])
        #expect(traffic.routes.map(\.number) == [1, 0])
        #expect(traffic.routes[0].match.path == .prefix("/admin"))
        #expect(traffic.routes[0].destination?.numRetries == 2)
        #expect(traffic.routes[0].shares.map(\.target.id) == ["admin.default.dc1"])
        #expect(traffic.routes[1].match.isEmpty)
        #expect(
            traffic.routes[1].shares.map { "\($0.weight) \($0.target.id)" } == [
                "9000 web.default.dc1", "1000 canary.default.dc1",
            ])
        #expect(traffic.routes[1].entry?.kind == "service-router")
    }

    @Test func otherDatacentersAreEmpty() throws {
        let resolver = ServiceResolver(
            name: try name("web"), defaultSubset: try SubsetName("v1"),
            subsets: ["v1": .init(filter: "Service.Meta.version == v1")],
            failover: ["*": .init(datacenters: [try DatacenterName("dc2")])])
        let found = try traffic("web", [.serviceResolver(resolver)])
        #expect(found.routes[0].shares[0].failover.map(\.datacenter.text) == ["dc2"])
        let messages = found.problems.filter { $0.severity == .warning }.map(\.message)
        #expect(
            messages == [
                "the chain of \"web\" leads to \"web\" in datacenter \"dc2\", which is not "
                    + "connected: it has no instance there"
            ])
        #expect(found.problems.count == messages.count)
    }

    @Test func peersAreRefused() throws {
        let resolver = ServiceResolver(
            name: try name("web"), redirect: .init(service: try name("api"), peer: "east"))
        #expect {
            _ = try traffic("web", [.serviceResolver(resolver)])
        } throws: { "\($0)".contains("leads to the peer \"east\"") }
    }

    @Test func aSubsetWithoutFilterIsEveryInstance() throws {
        let resolver = ServiceResolver(
            name: try name("web"), defaultSubset: try SubsetName("all"), subsets: ["all": .init()],
            connectTimeout: .seconds(2))
        let traffic = try traffic("web", [.serviceResolver(resolver)])
        #expect(traffic.problems.isEmpty)
        #expect(traffic.routes[0].shares[0].target.id == "all.web.default.dc1")
        #expect(traffic.routes[0].shares[0].target.connectTimeout == .seconds(2))
    }
}
