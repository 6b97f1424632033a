import Foundation
import MeshModel
import Testing

@testable import MeshFilter

/// What Consul 1.9.8 chose among the same instances, and what it said of mistakes.
@Suite struct VectorTests {
    private struct Vectors: Decodable {
        var instances: [Instance]
        var cases: [Case]
    }

    private struct Instance: Decodable {
        var id: String
        var node: String
        var node_meta: [String: String]
        var tags: [String]
        var meta: [String: String]
        var address: String
        var port: UInt16
        var status: CheckStatus
    }

    private struct Case: Decodable {
        var filter: String
        var endpoint: String
        var selected: [String]?
        var error: String?
    }

    private static let vectors: Vectors = {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Vectors/consul/filters.json")
        do {
            return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: path))
        } catch { fatalError("the vectors cannot be read: \(error)") }
    }()

    private func node(_ name: String, _ meta: [String: String]) throws -> NodeInfo {
        NodeInfo(
            name: try NodeName(name), datacenter: try DatacenterName("dc1"),
            address: "192.0.2.9", meta: meta)
    }

    private func service(_ instance: Instance) throws -> ServiceDefinition {
        ServiceDefinition(
            name: try ServiceName("fsvc"), id: try ServiceID(instance.id),
            address: instance.address, port: instance.port, tags: instance.tags,
            meta: instance.meta)
    }

    private func check(_ instance: Instance) -> FilteredCheck {
        FilteredCheck(id: "service:\(instance.id)", status: instance.status)
    }

    /// The records that an endpoint filters, each by what the vectors call it.
    private func records(
        _ endpoint: String
    ) throws -> (FilterSchema, [(id: String, record: any FilterRecord)]) {
        let instances = Self.vectors.instances
        switch endpoint {
        case "/v1/health/service/fsvc":
            return (
                .instances,
                try instances.map {
                    let node = try node($0.node, $0.node_meta)
                    return ($0.id, FilteredInstance(try service($0), on: node, checks: [check($0)]))
                }
            )
        case "/v1/catalog/service/fsvc":
            return (
                .catalogServices,
                try instances.map {
                    let node = try node($0.node, $0.node_meta)
                    return ($0.id, FilteredCatalogService(try service($0), on: node))
                }
            )
        case "/v1/catalog/nodes":
            var metas = ["ext-1": ["site": "elsewhere"]]
            for instance in instances { metas[instance.node] = instance.node_meta }
            return (
                .nodes,
                try metas.sorted { $0.key < $1.key }.map {
                    ($0.key, FilteredNode(try node($0.key, $0.value)))
                }
            )
        default:
            let isOfNode = endpoint.hasPrefix("/v1/health/node/")
            return (
                .checks,
                try instances.filter { !isOfNode || endpoint.hasSuffix($0.node) }.map {
                    let node = try node($0.node, $0.node_meta)
                    let check = check($0)
                    return (check.id, FilteredCheckRecord(check, of: try service($0), on: node))
                }
            )
        }
    }

    @Test func choicesAndMistakesAreThoseOfConsul() throws {
        let prefix = "Failed to create boolean expression evaluator: "
        #expect(Self.vectors.cases.count > 60)
        for vector in Self.vectors.cases {
            let (schema, records) = try records(vector.endpoint)
            do {
                let filter = try Filter(vector.filter, over: schema)
                let chosen = records.filter { filter.chooses($0.record) }.map(\.id)
                #expect(chosen == vector.selected, "\(vector.filter)")
            } catch {
                let said = prefix + error.description
                // Why a regular expression is none is said in our words.
                if let expected = vector.error, let end = expected.range(of: "parsing regexp: ") {
                    #expect(said.hasPrefix(expected[..<end.upperBound]), "\(vector.filter)")
                } else {
                    #expect(said == vector.error, "\(vector.filter)")
                }
            }
        }
    }
}
