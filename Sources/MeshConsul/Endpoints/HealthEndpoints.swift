import MeshFilter
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/health/…`: who is well.
package struct HealthEndpoints: EndpointGroup {
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
            Endpoint("/v1/health/service/", ["GET": { try await instances($0, .service) }]),
            Endpoint("/v1/health/connect/", ["GET": { try await instances($0, .connect) }]),
            Endpoint("/v1/health/ingress/", ["GET": { try await instances($0, .ingress) }]),
            Endpoint("/v1/health/checks/", ["GET": checks]),
            Endpoint("/v1/health/node/", ["GET": node]),
            Endpoint("/v1/health/state/", ["GET": state]),
        ]
    }

    private enum Kind { case service, connect, ingress }

    // MARK: - instances

    private func instances(_ request: APIRequest, _ kind: Kind) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service name") }
        let filter = try Filtering(request.query["filter"], over: .instances)
        let name = request.tail
        let tags = request.query.all("tag")
        // Nodes are told with instances: a node that changes touches its services.
        let watch = Watch(
            [kind == .service ? .services : .proxies, .health], .keys([name.lowercased(), ""]))
        return try await queries.answer(request, watching: watch, .catalog) { state, options in
            guard let isPassing = Self.passing(request) else {
                return APIResponse(.text("Invalid value for ?passing"), status: 400)
            }
            let view = CatalogView(state: state, backend: backend)
            let found = await Self.selected(name, kind, in: view)
            let shown = found.filter { instance in
                let checks = instance.checks
                return authority.allows(Access(.read, .service, instance.definition.name.text))
                    && instance.place.has(options.nodeMeta)
                    && instance.definition.has(tags: tags)
                    && (!isPassing || checks.allSatisfy { $0.status == .passing })
                    && filter.chooses(
                        FilteredInstance(
                            instance.definition, on: instance.place.info,
                            checks: checks.map(\.filtered)))
            }
            let ordered = CatalogPlace.ordered(shown, near: options.near, own: backend.node)
            return .json(.array(ordered.map(\.healthJSON)))
        }
    }

    private static func selected(
        _ name: String, _ kind: Kind, in view: CatalogView
    ) async -> [CatalogInstance] {
        switch kind {
        case .service: return await view.instances(.named(name))
        case .connect: return await view.instances(.connect(name))
        case .ingress:
            let gateways = IngressEntries(view.state).gateways(for: name)
            return await view.instances(.all).filter {
                $0.definition.kind == .ingressGateway
                    && gateways.contains($0.definition.name.folded)
            }
        }
    }

    /// Whether only those that pass are wanted; nil when the value is none.
    private static func passing(_ request: APIRequest) -> Bool? {
        guard let text = request.query["passing"] else { return false }
        return text.isEmpty ? true : GoBool.parse(text)
    }

    // MARK: - checks

    @concurrent private func checks(_ request: APIRequest) async throws -> APIResponse {
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service name") }
        let watch = Watch([.services, .health], .keys([request.tail.lowercased()]))
        return try await list(request, watch) { view in
            await view.instances(.named(request.tail)).flatMap { instance in
                instance.instance.checks.map { Shown($0, instance.place, instance.definition) }
            }
        }
    }

    @concurrent private func node(_ request: APIRequest) async throws -> APIResponse {
        guard !request.tail.isEmpty else { throw APIError(400, "Missing node name") }
        let isOwn = request.tail.lowercased() == backend.node.name.text.lowercased()
        let watch =
            isOwn
            ? Watch([.services, .health, .nodes])
            : Watch(.nodes, .key(request.tail.lowercased()))
        return try await list(request, watch) { view in
            guard let place = await view.place(named: request.tail) else { return [] }
            return await Self.all(on: place, in: view)
        }
    }

    @concurrent private func state(_ request: APIRequest) async throws -> APIResponse {
        guard !request.tail.isEmpty else { throw APIError(400, "Missing check state") }
        let wanted = request.tail
        return try await list(request, Watch([.services, .health, .nodes])) { view in
            var all: [Shown] = []
            for place in await view.places() { all += await Self.all(on: place, in: view) }
            return all.filter { wanted == "any" || $0.check.status.rawValue == wanted }
        }
    }

    /// A check with the node and the service that it is about.
    private struct Shown: Sendable {
        let check: CatalogCheck
        let place: CatalogPlace
        let definition: ServiceDefinition?

        init(_ check: CatalogCheck, _ place: CatalogPlace, _ definition: ServiceDefinition?) {
            self.check = check
            self.place = place
            self.definition = definition
        }

        var json: JSON { check.json(node: place.info.name.text, service: definition) }

        var record: any FilterRecord {
            guard let definition else { return NodeCheckRecord(check: check, node: place.info) }
            return FilteredCheckRecord(check.filtered, of: definition, on: place.info)
        }
    }

    private static func all(on place: CatalogPlace, in view: CatalogView) async -> [Shown] {
        let own = place.checks.map { Shown($0, place, nil) }
        let others = await view.instances(on: place).flatMap { instance in
            instance.instance.checks.map { Shown($0, place, instance.definition) }
        }
        return (own + others).sorted { $0.check.id < $1.check.id }
    }

    private func list(
        _ request: APIRequest, _ watch: Watch,
        _ body: @escaping @Sendable (CatalogView) async -> [Shown]
    ) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let filter = try Filtering(request.query["filter"], over: .checks)
        return try await queries.json(request, watching: watch, .catalog) { state, options in
            let shown = await body(CatalogView(state: state, backend: backend))
            return .array(
                shown.filter { shown in
                    let access =
                        shown.definition.map { Access(.read, .service, $0.name.text) }
                        ?? Access(.read, .node, shown.place.info.name.text)
                    return authority.allows(access) && shown.place.has(options.nodeMeta)
                        && filter.chooses(shown.record)
                }.map(\.json))
        }
    }
}

/// What ingress-gateway entries say of services.
struct IngressEntries {
    private let entries: [IngressGateway]

    init(_ state: StoreState) {
        let kind = ConfigEntry.Kind.ingressGateway.rawValue
        entries = state.configEntries(kind: kind).compactMap { record in
            guard case .ingressGateway(let entry) = record.entry else { return nil }
            return entry
        }
    }

    /// The gateways that lead to a service, in lower case.
    func gateways(for service: String) -> Set<String> {
        guard let service = try? ServiceName(service) else { return [] }
        return Set(entries.filter { $0.leads(to: service) }.map(\.name.folded))
    }
}
