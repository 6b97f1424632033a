import MeshHTTP
package import MeshModel
import MeshStore
import Synchronization

/// `/v1/coordinate`: where nodes are in a map of round trips. Nothing is measured here; what a
/// client writes of this node is told until the process ends.
package struct CoordinateEndpoints: EndpointGroup {
    private final class Told: Sendable {
        let own = Mutex<JSON?>(nil)
    }

    private let queries: Queries
    private let access: any AccessPolicy
    private let node: NodeInfo
    private let told = Told()

    package init(queries: Queries, access: any AccessPolicy, node: NodeInfo) {
        self.queries = queries
        self.access = access
        self.node = node
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/coordinate/datacenters", ["GET": datacenters]),
            Endpoint("/v1/coordinate/nodes", ["GET": nodes]),
            Endpoint("/v1/coordinate/node/", ["GET": nodes]),
            Endpoint("/v1/coordinate/update", ["PUT": update]),
        ]
    }

    /// Vivaldi's before anything was measured.
    private static let unmeasured: JSON = [
        "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": .double(1.5), "Adjustment": 0,
        "Height": .double(0.00001),
    ]

    private func own(_ name: String) -> JSON {
        [
            "Node": .string(name), "Segment": "",
            "Coord": told.own.withLock { $0 } ?? Self.unmeasured,
        ]
    }

    private var wideName: String { "\(node.name).\(node.datacenter)" }

    @concurrent private func datacenters(_ request: APIRequest) async throws -> APIResponse {
        .json([
            [
                "Datacenter": .string(node.datacenter.text), "AreaID": "wan",
                "Coordinates": [own(wideName)],
            ]
        ])
    }

    @concurrent private func nodes(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let isShown = authority.allows(Access(.read, .node, node.name.text))
        let asked = request.tail.lowercased()
        let name = asked == wideName.lowercased() ? wideName : node.name.text
        return try await queries.answer(request, watching: Watch(.coordinates)) { _, _ in
            guard isShown, asked.isEmpty || asked == name.lowercased() else {
                return APIResponse(
                    asked.isEmpty ? .json([]) : .none, status: asked.isEmpty ? 200 : 404)
            }
            return .json([own(name)])
        }
    }

    @concurrent private func update(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let prefix = "Request decode failed: "
        let fields = try request.fields("CoordinateUpdateRequest", orFail: prefix)
        let (name, coordinate) = try APIRequest.read(orFail: prefix) {
            let (name, inside) = try (fields.text("Node"), fields.object("Coord", "Coordinate"))
            try fields.finish(besides: "Datacenter", "Segment", "Partition", "Token")
            return (name, try Self.coordinate(inside))
        }
        try await access.authority(of: request.token).require(Access(.write, .node, name))
        guard [node.name.text.lowercased(), wideName.lowercased()].contains(name.lowercased())
        else { throw APIError(500, "Unknown node \(GoText.quoted(name))") }
        told.own.withLock { $0 = coordinate }
        try await queries.store.write { $0.note(.coordinates, key: "") }
        return .json(true)
    }

    private static func coordinate(_ fields: Fields?) throws -> JSON {
        guard let fields, case .array(let vector)? = fields.value("Vec"), vector.count == 8,
            vector.allSatisfy(\.isNumber)
        else { throw BodyFailure("a coordinate has eight dimensions") }
        func number(_ name: String) throws -> JSON {
            guard let json = fields.value(name) else { return 0 }
            guard json.isNumber else {
                throw fields.mismatch(name, json, "float64")
            }
            return json
        }
        return [
            "Vec": .array(vector), "Error": try number("Error"),
            "Adjustment": try number("Adjustment"), "Height": try number("Height"),
        ]
    }
}

extension JSON {
    fileprivate var isNumber: Bool { kind == "number" }
}
