/// One path of the API and its methods.
package struct Endpoint: Sendable {
    package typealias Handler = @Sendable @concurrent (APIRequest) async throws -> APIResponse

    /// What is allowed unless an endpoint says otherwise. Registrations and entries are small.
    package static let usualBodyLimit = 1 << 20

    /// For example `/v1/status/leader`; one that ends in `/` has a name behind it, which may hold
    /// more slashes.
    let path: String
    /// In the order in which `Allow` names them.
    let methods: [(name: String, handler: Handler)]
    let bodyLimit: Int

    package init(
        _ path: String, bodyLimit: Int = Self.usualBodyLimit,
        _ methods: KeyValuePairs<String, Handler>
    ) {
        self.path = path
        self.bodyLimit = bodyLimit
        self.methods = methods.map { ($0.key, $0.value) }
    }

    /// As Consul writes it.
    var allow: String { (["OPTIONS"] + methods.map(\.name)).joined(separator: ",") }
}

/// Endpoints of one subject, for example the agent's. Each group stands in a file of its own.
package protocol EndpointGroup: Sendable {
    var endpoints: [Endpoint] { get }
}

/// Finds the endpoint of a path: the very path, else the longest that ends in `/` and begins it.
struct EndpointTable: Sendable {
    private let byPath: [String: Endpoint]

    init(_ groups: [any EndpointGroup]) {
        var byPath: [String: Endpoint] = [:]
        for endpoint in groups.flatMap(\.endpoints) {
            guard byPath.updateValue(endpoint, forKey: endpoint.path) == nil else {
                fatalError("two endpoints have the path \(endpoint.path)")
            }
        }
        self.byPath = byPath
    }

    var endpoints: [Endpoint] { byPath.values.sorted { $0.path < $1.path } }

    /// The endpoint with what stands behind its path.
    func find(_ path: String) -> (endpoint: Endpoint, tail: String)? {
        if let endpoint = byPath[path] { return (endpoint, "") }
        var end = path.endIndex
        while let slash = path[..<end].lastIndex(of: "/") {
            let prefix = String(path[...slash])
            if let endpoint = byPath[prefix] {
                return (endpoint, String(path[path.index(after: slash)...]))
            }
            end = slash
        }
        return nil
    }
}
