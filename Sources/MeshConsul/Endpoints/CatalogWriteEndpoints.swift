import MeshModel
import MeshStore

/// `/v1/catalog/register` and `/v1/catalog/deregister`: nodes that others speak for.
package struct CatalogWriteEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy

    package init(backend: any ConsulBackend, access: any AccessPolicy) {
        self.backend = backend
        self.access = access
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/catalog/register", ["PUT": register]),
            Endpoint("/v1/catalog/deregister", ["PUT": deregister]),
        ]
    }

    // MARK: - register

    @concurrent private func register(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let registration = try decoded(request) { try Registration($0) }
        try known(registration.datacenter)
        try registration.refuse()
        try refuseOwn(registration.node)
        let name = registration.node
        if let service = registration.service {
            try authority.require(Access(.write, .service, service.name.text))
        }
        if registration.isAboutNode {
            try authority.require(Access(.write, .node, name))
        }
        let isAnother = try await backend.store.write { draft in
            try draft.changeCatalogNode(name) { try registration.applied(to: $0, at: $1) }
        }
        if isAnother { await backend.settle("node \(name) registered in the catalog") }
        return .json(true)
    }

    /// This node speaks for itself: what the catalog has of it follows from what runs here.
    private func refuseOwn(_ name: String) throws {
        guard name.lowercased() == backend.node.name.text.lowercased() else { return }
        throw APIError(
            400,
            "node \(name) is this node: register its services with /v1/agent/service/register")
    }

    private func known(_ datacenter: String) throws {
        guard datacenter.isEmpty || datacenter == backend.node.datacenter.text else {
            throw APIError.unknownDatacenter
        }
    }

    private func decoded<Value>(
        _ request: APIRequest, _ body: (Fields) throws -> Value
    ) throws -> Value {
        do {
            return try body(Fields(request.json(), "RegisterRequest"))
        } catch let failure as JSONParser.Failure {
            throw APIError(400, "Request decode failed: \(failure)")
        } catch let failure as BodyFailure {
            throw APIError(400, "Request decode failed: \(failure.text)")
        } catch let error as MeshError {
            throw APIError(400, "\(error)")
        }
    }

    // MARK: - deregister

    @concurrent private func deregister(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (datacenter, name, service, check) = try decoded(request) { fields in
            let parts = try (
                fields.text("Datacenter"), fields.text("Node"), fields.text("ServiceID"),
                fields.text("CheckID")
            )
            try fields.finish(besides: "Address", "Namespace", "Partition", "Token")
            return parts
        }
        try known(datacenter)
        guard !name.isEmpty else { throw APIError(500, "Must provide node") }
        try refuseOwn(name)
        if let node = backend.store.snapshot.catalogNode(name)?.value {
            let owner = node.services.first { $0.definition.id.text == service }
            try authority.require(
                owner.map { Access(.write, .service, $0.definition.name.text) }
                    ?? Access(.write, .node, name))
        }
        let isAnother = try await backend.store.write { draft in
            draft.changeCatalogNode(name) { old, _ in
                guard var node = old, !service.isEmpty || !check.isEmpty else { return nil }
                if !service.isEmpty {
                    node.remove(service: service)
                } else {
                    node.remove(check: check)
                }
                return node
            }
        }
        if isAnother { await backend.settle("taken out of node \(name) of the catalog") }
        return .json(true)
    }
}

/// What one registration says.
private struct Registration {
    let datacenter: String
    let node: String
    let id: String
    let address: String
    let taggedAddresses: [String: String]
    let meta: [String: String]
    let service: ServiceDefinition?
    let checks: [CatalogNode.Check]
    let skipsNode: Bool

    var isAboutNode: Bool { !skipsNode || checks.contains { $0.service == nil } }

    init(_ fields: Fields) throws {
        datacenter = try fields.text("Datacenter")
        node = try fields.text("Node")
        id = try fields.text("ID")
        address = try fields.text("Address")
        taggedAddresses = try fields.textMap("TaggedAddresses") ?? [:]
        meta = try fields.textMap("NodeMeta") ?? [:]
        skipsNode = try fields.bool("SkipNodeUpdate")
        service = try fields.object("Service", "NodeService").map(CatalogDecoding.service)
        let single = try fields.object("Check", "HealthCheck").map { [$0] } ?? []
        let node = node
        checks = try (single + fields.objects("Checks", "HealthCheck")).map {
            try CatalogDecoding.check($0, on: node)
        }
        try fields.finish(besides: "Locality", "Namespace", "Partition", "PeerName", "Token")
    }

    func refuse() throws {
        guard !node.isEmpty else { throw APIError(500, "Must provide node") }
        guard !address.isEmpty || skipsNode else {
            throw APIError(500, "Must provide address if SkipNodeUpdate is not set")
        }
        do { _ = try NodeName(node) } catch { throw APIError(400, "\(error)") }
    }

    /// The node with what was said; what is equal keeps its indexes.
    func applied(to old: CatalogNode?, at index: Index) throws -> CatalogNode {
        var result = try old ?? CatalogNode(name: NodeName(node), address: address)
        if !skipsNode || old == nil {
            result.id = id
            result.address = address
            result.taggedAddresses = taggedAddresses
            result.meta = meta
        }
        if let service { result.put(service, at: index) }
        for check in checks { try result.put(check, at: index) }
        return result
    }
}
