import Foundation
import MeshConfig
import MeshModel
import Testing

@testable import MeshDiscovery

/// What Consul 1.9.8 compiled from the same entries.
@Suite struct ChainVectorTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Vectors/consul/discovery-chain")

    private typealias Object = [String: Any]

    private static func cases(_ file: String) throws -> [Object] {
        let data = try Data(contentsOf: folder.appendingPathComponent("\(file).json"))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [Object])
    }

    private static func entries(_ vector: Object) throws -> ChainEntries {
        let list = vector["config_entries"] as? [Any] ?? []
        var entries: [ConfigEntry] = []
        for entry in list {
            let bytes = try JSONSerialization.data(withJSONObject: entry)
            entries.append(
                try DocumentLoader.configEntries([UInt8](bytes), source: "vector").single())
        }
        return ChainEntries(entries)
    }

    @Test(arguments: ["default", "resolver", "failover", "splitter", "router", "loadbalancer"])
    func chainsAreThoseOfConsul(_ file: String) throws {
        var compared = 0
        for vector in try Self.cases(file) {
            let id = vector["id"] as? String ?? ""
            let expect = vector["expect"] as? Object
            guard let expected = (expect?["consul-1.9.8"] as? Object)?["chain"] as? Object,
                (vector["overrides"] as? Object)?.isEmpty ?? true
            else { continue }
            let evaluate = try #require(vector["evaluate"] as? Object)
            guard evaluate["namespace"] as? String == "default" else { continue }
            let chain = try ChainCompiler.compile(
                ServiceName(try #require(vector["service"] as? String)),
                in: DatacenterName(try #require(evaluate["datacenter"] as? String)),
                entries: Self.entries(vector))
            let domain = try TrustDomain(try #require(evaluate["trust_domain"] as? String))
            Self.compare(chain, expected, domain, id)
            compared += 1
        }
        #expect(compared > 0)
    }

    private static func compare(
        _ chain: DiscoveryChain, _ expected: Object, _ domain: TrustDomain, _ id: String
    ) {
        #expect(chain.serviceProtocol.rawValue == expected["Protocol"] as? String, "\(id)")
        #expect(chain.start == expected["StartNode"] as? String, "\(id)")
        let nodes = expected["Nodes"] as? [String: Object] ?? [:]
        let targets = expected["Targets"] as? [String: Object] ?? [:]
        #expect(Set(chain.nodes.keys) == Set(nodes.keys), "\(id)")
        #expect(Set(chain.targets.keys) == Set(targets.keys), "\(id)")
        for (key, node) in chain.nodes { compare(node, nodes[key] ?? [:], "\(id) \(key)") }
        for (key, target) in chain.targets {
            let other = targets[key] ?? [:]
            #expect(target.service.text == other["Service"] as? String, "\(id) \(key)")
            #expect((target.subsetName?.text ?? "") == other["ServiceSubset"] as? String ?? "")
            #expect(target.datacenter.text == other["Datacenter"] as? String, "\(id) \(key)")
            #expect(target.sni(in: domain) == other["SNI"] as? String, "\(id) \(key)")
            #expect(target.name(in: domain) == other["Name"] as? String, "\(id) \(key)")
            let subset = other["Subset"] as? Object
            #expect(target.subset.filter == subset?["Filter"] as? String ?? "", "\(id) \(key)")
            #expect(target.subset.onlyPassing == subset?["OnlyPassing"] as? Bool ?? false)
        }
    }

    private static func compare(_ node: DiscoveryChain.Node, _ other: Object, _ id: String) {
        switch node {
        case .router(let routes):
            let expected = other["Routes"] as? [Object] ?? []
            #expect(routes.map(\.next) == expected.map { $0["NextNode"] as? String ?? "" }, "\(id)")
        case .splitter(let legs, let balancer):
            let expected = other["Splits"] as? [Object] ?? []
            #expect(legs.map(\.next) == expected.map { $0["NextNode"] as? String ?? "" }, "\(id)")
            let weights = expected.map { Int((($0["Weight"] as? Double ?? 0) * 100).rounded()) }
            #expect(legs.map(\.weight) == weights, "\(id)")
            compare(balancer, other, "\(id)")
        case .resolver(let resolver):
            let expected = other["Resolver"] as? Object ?? [:]
            #expect(resolver.target == expected["Target"] as? String, "\(id)")
            #expect(resolver.isDefault == expected["Default"] as? Bool ?? false, "\(id)")
            #expect(
                resolver.connectTimeout
                    == (try? MeshDuration(expected["ConnectTimeout"] as? String ?? "")), "\(id)")
            let failover = expected["Failover"] as? Object
            #expect(resolver.failover == failover?["Targets"] as? [String] ?? [], "\(id)")
            compare(resolver.loadBalancer, other, "\(id)")
        }
    }

    private static func compare(_ balancer: LoadBalancer?, _ other: Object, _ id: String) {
        let expected = (other["LoadBalancer"] as? Object)?["Policy"] as? String
        #expect(balancer?.policy.rawValue ?? "" == expected ?? "", "\(id)")
    }

    @Test func contradictionsAreRefusedAsByConsul() throws {
        var compared = 0
        for vector in try Self.cases("graph-error") {
            let id = vector["id"] as? String ?? ""
            let expect = vector["expect"] as? Object
            let expected = (expect?["consul-1.9.8"] as? Object)?["error"] as? String
            let service = try ServiceName(try #require(vector["service"] as? String))
            let datacenter = try DatacenterName("dc1")
            let entries = try Self.entries(vector)
            do {
                _ = try ChainCompiler.compile(service, in: datacenter, entries: entries)
                Issue.record("\(id) was compiled")
            } catch {
                #expect("\(error)" == expected, "\(id)")
            }
            compared += 1
        }
        #expect(compared == 13)
    }

    /// Three nested splitters: Consul's weights differ from run to run, ours are the exact products.
    @Test func nestedWeightsAreExact() throws {
        func name(_ text: String) throws -> ServiceName { try ServiceName(text) }
        func splitter(_ own: String, _ legs: [(Double, String)]) throws -> ConfigEntry {
            .serviceSplitter(
                ServiceSplitter(
                    name: try name(own),
                    splits: try legs.map { .init(weight: $0.0, service: try name($0.1)) }))
        }
        let http = ConfigEntry.proxyDefaults(
            ProxyDefaults(config: ["protocol": .string("http")]))
        let entries = ChainEntries([
            http, try splitter("a", [(33.33, "b"), (66.67, "x")]),
            try splitter("b", [(33.33, "c"), (66.67, "y")]),
            try splitter("c", [(50, "z"), (50, "w")]),
        ])
        let chain = try ChainCompiler.compile(
            try name("a"), in: try DatacenterName("dc1"), entries: entries)
        guard case .splitter(let legs, _) = chain.nodes[chain.start] else {
            Issue.record("the chain does not start with a splitter")
            return
        }
        // 0.3333 * 0.3333 * 0.5 = 0.05554445; 0.3333 * 0.6667 = 0.22221111
        #expect(legs.map(\.weight) == [555, 555, 2222, 6667])
        #expect(chain.nodes.count == 5)
    }
}
