import MeshFilter
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/agent/service…` and `/v1/agent/health/…`: the services of this node.
package struct AgentServiceEndpoints: EndpointGroup {
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
            Endpoint("/v1/agent/services", ["GET": services]),
            Endpoint("/v1/agent/service/", ["GET": service]),
            Endpoint("/v1/agent/service/register", ["PUT": register]),
            Endpoint("/v1/agent/service/deregister/", ["PUT": deregister]),
            Endpoint("/v1/agent/service/maintenance/", ["PUT": maintain]),
            Endpoint("/v1/agent/health/service/id/", ["GET": healthByID]),
            Endpoint("/v1/agent/health/service/name/", ["GET": healthByName]),
        ]
    }

    private var datacenter: DatacenterName { backend.node.datacenter }

    // MARK: - reads

    @concurrent private func services(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let filter = try Filtering(request.query["filter"], over: .services)
        var found: [String: JSON] = [:]
        for instance in await backend.localInstances(.all)
        where authority.allows(Access(.read, .service, instance.definition.name.text)) {
            guard filter.chooses(FilteredService(instance.definition)) else { continue }
            found[instance.definition.id.text] = instance.agentJSON(datacenter: datacenter)
        }
        return .json(.map(found))
    }

    @concurrent private func service(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let id = request.tail
        guard !id.isEmpty else { throw APIError(400, "Missing service ID") }
        guard let known = await backend.localInstances(.id(id)).first else {
            // What is wrong with the request comes first, as with Consul.
            _ = try QueryOptions(request)
            throw APIError(404, "unknown service ID: \(id)")
        }
        // A proxy changes with its service and with what is said of either.
        let names = [known.definition.name.folded]
        return try await queries.hashed(
            request, watching: Watch([.services], .keys(Set(names)))
        ) { _ in
            guard let instance = await backend.localInstances(.id(id)).first else {
                throw APIError(404, "unknown service ID: \(id)")
            }
            try authority.require(Access(.read, .service, instance.definition.name.text))
            let bare = instance.agentJSON(datacenter: datacenter)
            let hash = ContentHash.of(bare)
            return (hash, .json(instance.agentJSON(datacenter: datacenter, hash: hash)))
        }
    }

    // MARK: - health

    @concurrent private func healthByID(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing serviceID") }
        guard let instance = await backend.localInstances(.id(request.tail)).first else {
            return Self.unknown(request, "ServiceId \(request.tail) not found")
        }
        try authority.require(Access(.read, .service, instance.definition.name.text))
        let status = await self.status([instance])
        return Self.answer(request, status, await health(instance))
    }

    @concurrent private func healthByName(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service Name") }
        try authority.require(Access(.read, .service, request.tail))
        let instances = await backend.localInstances(.named(request.tail))
            .sorted { $0.definition.id < $1.definition.id }
        guard !instances.isEmpty else {
            return Self.unknown(request, "ServiceName \(request.tail) Not Found", list: true)
        }
        var list: [JSON] = []
        for instance in instances { list.append(await health(instance)) }
        return Self.answer(request, await status(instances), .array(list))
    }

    /// The worst of the instances and of the node.
    private func status(_ instances: [LocalInstance]) async -> CheckStatus {
        let node = await backend.nodeChecks().map(\.status)
        return .aggregate(node + instances.flatMap { $0.checks.map(\.shown) })
    }

    private func health(_ instance: LocalInstance) async -> JSON {
        let node = backend.node.name.text
        let empty = CatalogCheck.emptyDefinition
        let own = instance.checks.map {
            $0.json(node: node, service: instance.definition, definition: empty).withoutType
        }
        let others = await backend.nodeChecks().map {
            $0.json(node: node, service: nil, definition: empty).withoutType
        }
        return [
            "AggregatedStatus": .string(await status([instance]).rawValue),
            "Service": instance.agentJSON(datacenter: datacenter),
            "Checks": .array(own + others),
        ]
    }

    /// Load balancers read the status: 200 is well, 429 warns, 503 is ill.
    private static func answer(
        _ request: APIRequest, _ status: CheckStatus, _ json: JSON
    ) -> APIResponse {
        let code =
            switch status {
            case .passing: 200
            case .warning: 429
            case .critical, .maintenance: 503
            }
        let isText = request.query["format"] == "text"
        return APIResponse(
            isText ? .bytes(Array(status.rawValue.utf8), type: "text/plain") : .json(json),
            status: code, headers: ["X-Consul-Reason": status.rawValue])
    }

    private static func unknown(
        _ request: APIRequest, _ reason: String, list: Bool = false
    ) -> APIResponse {
        let absent: JSON = ["AggregatedStatus": "critical", "Service": .null, "Checks": .null]
        let isText = request.query["format"] == "text"
        return APIResponse(
            isText ? .bytes(Array(reason.utf8), type: "text/plain") : .json(list ? [] : absent),
            status: 404, headers: ["X-Consul-Reason": reason])
    }

    // MARK: - writes

    @concurrent private func register(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let definition = try ServiceDecoding.service(request)
        try authority.requireAtAgent(Access(.write, .service, definition.name.text))
        let replaces = request.query["replace-existing-checks"].map { $0 != "false" } ?? false
        try await backend.store.write { draft in
            var definition = definition
            if let old = draft.state.service(definition.id)?.definition {
                // An operator's word holds until he takes it back.
                definition.maintenance = old.maintenance
                if !replaces { definition.keepChecks(of: old) }
            }
            try draft.putService(definition)
        }
        await backend.settle("service \(definition.name) registered over Consul's API")
        return .done
    }

    @concurrent private func deregister(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service ID") }
        guard let id = try? ServiceID(request.tail),
            let record = backend.store.snapshot.service(id)
        else { return .done }
        try authority.requireAtAgent(Access(.write, .service, record.definition.name.text))
        try await backend.store.write { try $0.removeService(id) }
        await backend.settle("service \(id) deregistered over Consul's API")
        return .done
    }

    @concurrent private func maintain(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service ID") }
        guard let text = request.query["enable"], !text.isEmpty else {
            throw APIError(400, "Missing value for enable")
        }
        guard let enable = GoBool.parse(text) else {
            throw APIError(400, "Invalid value for enable: \"\(text)\"")
        }
        guard let id = try? ServiceID(request.tail),
            let record = backend.store.snapshot.service(id)
        else { throw APIError(404, "No service registered with ID \"\(request.tail)\"") }
        try authority.requireAtAgent(Access(.write, .service, record.definition.name.text))
        let reason = request.query["reason"].nonEmpty ?? Self.usualReason
        try await backend.store.write { draft in
            guard var definition = draft.state.service(id)?.definition else { return }
            definition.maintenance = enable ? reason : nil
            try draft.putService(definition)
        }
        await backend.settle("maintenance of service \(id)")
        return .done
    }

    private static let usualReason =
        "Maintenance mode is enabled for this service, but no reason was provided. "
        + "This is a default message."
}

extension JSON {
    /// The agent does not tell the type here.
    fileprivate var withoutType: JSON {
        guard case .object(let members) = self else { return self }
        return .object(members.map { $0.name == "Type" ? Member("Type", "") : $0 })
    }
}

extension CatalogCheck {
    /// What the check counts for where statuses are brought together.
    var shown: CheckStatus { type == "maintenance" ? .maintenance : status }
}

extension ServiceDefinition {
    /// Keeps the checks that an earlier registration had and this one does not speak of.
    fileprivate mutating func keepChecks(of old: ServiceDefinition) {
        let own = Set(checks.compactMap(\.id))
        let others = old.checks.enumerated().map { index, check in
            var check = check
            check.id = check.identifier(service: old.id, index: index, count: old.checks.count)
            return check
        }
        checks += others.filter { !own.contains($0.id ?? "") }
    }
}

/// Truth values as Go reads them.
enum GoBool {
    /// `strconv.ParseBool`; nil for what is neither.
    static func parse(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}

/// The hash by which clients see that a result is another one (FNV-1a over its text): 16 digits
/// that mean nothing else.
enum ContentHash {
    static func of(_ json: JSON) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in json.bytes(pretty: false) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
