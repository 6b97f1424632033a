import MeshFilter
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/catalog/…` that reads: nodes and services, this node's and registered ones.
package struct CatalogEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy
    let queries: Queries

    package init(backend: any ConsulBackend, access: any AccessPolicy, queries: Queries) {
        self.backend = backend
        self.access = access
        self.queries = queries
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/catalog/datacenters", ["GET": datacenters]),
            Endpoint("/v1/catalog/nodes", ["GET": nodes]),
            Endpoint("/v1/catalog/node/", ["GET": { try await node($0, asList: false) }]),
            Endpoint("/v1/catalog/node-services/", ["GET": { try await node($0, asList: true) }]),
            Endpoint("/v1/catalog/services", ["GET": services]),
            Endpoint("/v1/catalog/service/", ["GET": { try await service($0, connect: false) }]),
            Endpoint("/v1/catalog/connect/", ["GET": { try await service($0, connect: true) }]),
        ]
    }

    @concurrent private func datacenters(_ request: APIRequest) async throws -> APIResponse {
        .json([.string(backend.node.datacenter.text)])
    }

    @concurrent private func nodes(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let filter = try Filtering(request.query["filter"], over: .nodes)
        return try await queries.json(request, watching: Watch(.nodes), .catalog) {
            state, options in
            let places = await CatalogView(state: state, backend: backend).places()
            return .array(
                places.filter { place in
                    authority.allows(Access(.read, .node, place.info.name.text))
                        && place.has(options.nodeMeta)
                        && filter.chooses(FilteredNode(place.info))
                }.map(\.json))
        }
    }

    private func node(_ request: APIRequest, asList: Bool) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing node name") }
        let name = request.tail.lowercased()
        let filter = try Filtering(request.query["filter"], over: .services)
        let isOwn = name == backend.node.name.text.lowercased() || name == backend.nodeID
        let watch = isOwn ? Watch([.services, .nodes]) : Watch(.nodes, .key(name))
        return try await queries.json(request, watching: watch, .catalog) { state, _ in
            let view = CatalogView(state: state, backend: backend)
            guard let place = await view.place(named: name),
                authority.allows(Access(.read, .node, place.info.name.text))
            else { return asList ? ["Node": .null, "Services": []] : .null }
            let instances = await view.instances(on: place).filter {
                authority.allows(Access(.read, .service, $0.definition.name.text))
                    && filter.chooses(FilteredService($0.definition))
            }
            let services: JSON =
                asList
                ? .array(instances.map(\.serviceJSON))
                : .object(instances.map { .init($0.definition.id.text, $0.serviceJSON) })
            return ["Node": place.json, "Services": services]
        }
    }

    @concurrent private func services(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        return try await queries.json(request, watching: Watch([.services, .nodes]), .catalog) {
            state, options in
            var tags: [String: Set<String>] = [:]
            for instance in await CatalogView(state: state, backend: backend).instances(.all)
            where instance.place.has(options.nodeMeta) {
                let name = instance.definition.name.text
                guard authority.allows(Access(.read, .service, name)) else { continue }
                tags[name, default: []].formUnion(instance.definition.tags)
            }
            return .map(tags.mapValues { .texts($0.sorted()) })
        }
    }

    private func service(_ request: APIRequest, connect: Bool) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service name") }
        let filter = try Filtering(request.query["filter"], over: .catalogServices)
        let selection: CatalogSelection = connect ? .connect(request.tail) : .named(request.tail)
        let key = request.tail.lowercased()
        let watch = Watch(connect ? .proxies : .services, .key(key))
        let tags = request.query.all("tag")
        return try await queries.json(request, watching: watch, .catalog) { state, options in
            let found = await CatalogView(state: state, backend: backend).instances(selection)
            let shown = found.filter { instance in
                authority.allows(Access(.read, .service, instance.definition.name.text))
                    && instance.place.has(options.nodeMeta)
                    && instance.definition.has(tags: tags)
                    && filter.chooses(
                        FilteredCatalogService(instance.definition, on: instance.place.info))
            }
            return .array(CatalogPlace.sorted(shown, near: options.near, own: backend.node))
        }
    }
}

extension CatalogPlace {
    /// Whether the node's meta holds all of these.
    func has(_ meta: [String: String]) -> Bool {
        meta.allSatisfy { info.meta[$0.key] == $0.value }
    }

    /// Nothing measures distances: instances of the node that was named come first, all others
    /// keep their order.
    static func isNear(_ instance: CatalogInstance, _ near: String, _ own: NodeInfo) -> Bool {
        let name = near == "_agent" ? own.name.text : near
        return instance.place.info.name.text.lowercased() == name.lowercased()
    }

    static func ordered(
        _ instances: [CatalogInstance], near: String, own: NodeInfo
    ) -> [CatalogInstance] {
        guard !near.isEmpty else { return instances }
        return instances.filter { isNear($0, near, own) }
            + instances.filter { !isNear($0, near, own) }
    }

    fileprivate static func sorted(
        _ instances: [CatalogInstance], near: String, own: NodeInfo
    ) -> [JSON] {
        ordered(instances, near: near, own: own).map(\.flatJSON)
    }
}

extension ServiceDefinition {
    /// Whether all of these are among the tags, whatever their case.
    func has(tags wanted: [String]) -> Bool {
        let own = Set(tags.map { $0.lowercased() })
        return wanted.allSatisfy { $0.isEmpty || own.contains($0.lowercased()) }
    }
}
