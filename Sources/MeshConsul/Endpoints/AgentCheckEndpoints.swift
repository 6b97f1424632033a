import MeshFilter
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/agent/check…`: the checks of this node and of its services.
package struct AgentCheckEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy

    package init(backend: any ConsulBackend, access: any AccessPolicy) {
        self.backend = backend
        self.access = access
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/agent/checks", ["GET": checks]),
            Endpoint("/v1/agent/check/register", ["PUT": register]),
            Endpoint("/v1/agent/check/deregister/", ["PUT": deregister]),
            Endpoint("/v1/agent/check/pass/", ["PUT": { try await report($0, .passing) }]),
            Endpoint("/v1/agent/check/warn/", ["PUT": { try await report($0, .warning) }]),
            Endpoint("/v1/agent/check/fail/", ["PUT": { try await report($0, .critical) }]),
            Endpoint("/v1/agent/check/update/", ["PUT": update]),
        ]
    }

    @concurrent private func checks(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let filter = try Filtering(request.query["filter"], over: .checks)
        let node = backend.node
        var found: [String: JSON] = [:]
        for instance in await backend.localInstances(.all)
        where authority.allows(Access(.read, .service, instance.definition.name.text)) {
            for check in instance.checks
            where filter.chooses(
                FilteredCheckRecord(check.filtered, of: instance.definition, on: node))
            {
                found[check.id] = check.json(node: node.name.text, service: instance.definition)
            }
        }
        if authority.allows(Access(.read, .node, node.name.text)) {
            for check in await backend.nodeChecks()
            where filter.chooses(NodeCheckRecord(check: check, node: node)) {
                found[check.id] = check.json(node: node.name.text, service: nil)
            }
        }
        return .json(.map(found))
    }

    @concurrent private func register(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (check, serviceID) = try Self.check(request)
        guard !serviceID.isEmpty else {
            try authority.requireAtAgent(Access(.write, .node, backend.node.name.text))
            try await backend.putNodeCheck(check)
            return .done
        }
        guard let id = try? ServiceID(serviceID),
            let record = backend.store.snapshot.service(id)
        else { throw APIError(500, "ServiceID \"\(serviceID)\" does not exist") }
        try authority.requireAtAgent(Access(.write, .service, record.definition.name.text))
        try await change(id, "check of service \(id) registered over Consul's API") { definition in
            definition.checks.removeAll { $0.id == check.id }
            definition.checks.append(check)
        }
        return .done
    }

    /// The check with the id that it will have, and the service that it is about.
    private static func check(
        _ request: APIRequest
    ) throws -> (check: CheckDefinition, service: String) {
        do {
            let fields = try Fields(request.json(), "CheckDefinition")
            let service = try fields.text("ServiceID")
            guard let name = try fields.optionalText("Name").nonEmpty else {
                throw APIError(400, "Missing check name")
            }
            var check = try CheckDefinition.registered(fields)
            check.id = check.id ?? name
            return (check, service)
        } catch let failure as JSONParser.Failure {
            throw APIError(400, "Request decode failed: \(failure)")
        } catch let failure as BodyFailure {
            throw APIError(400, "Request decode failed: \(failure.text)")
        }
    }

    private func change(
        _ id: ServiceID, _ cause: String,
        _ body: @escaping @Sendable (inout ServiceDefinition) -> Void
    ) async throws {
        try await backend.store.write { draft in
            guard var definition = draft.state.service(id)?.definition else { return }
            body(&definition)
            try draft.putService(definition.validated())
        }
        await backend.settle(cause)
    }

    @concurrent private func deregister(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let id = request.tail
        guard !id.isEmpty else { throw APIError(400, "Missing check ID") }
        let owner = await backend.localInstances(.all).first { instance in
            instance.parent == nil && instance.checks.contains { $0.id == id }
        }
        guard let owner else {
            try authority.requireAtAgent(Access(.write, .node, backend.node.name.text))
            _ = try await backend.removeNodeCheck(id)
            return .done
        }
        try authority.requireAtAgent(Access(.write, .service, owner.definition.name.text))
        try await change(owner.definition.id, "check \(id) deregistered over Consul's API") {
            let (service, count) = ($0.id, $0.checks.count)
            $0.checks = $0.checks.enumerated().filter { index, check in
                check.identifier(service: service, index: index, count: count) != id
            }.map(\.element)
        }
        return .done
    }

    // MARK: - reports

    private func report(
        _ request: APIRequest, _ status: CheckStatus, output: String? = nil
    ) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let id = request.tail
        guard !id.isEmpty else { throw APIError(400, "Missing check ID") }
        let owner = await backend.localInstances(.all).first { instance in
            instance.checks.contains { $0.id == id }
        }
        if let owner {
            try authority.requireAtAgent(Access(.write, .service, owner.definition.name.text))
        } else {
            try authority.requireAtAgent(Access(.write, .node, backend.node.name.text))
        }
        do {
            try await backend.report(check: id, status, output ?? request.query["note"] ?? "")
        } catch let error as MeshError where error.code == .notFound || error.code == .invalid {
            // Consul's own proxy looks for these words.
            throw APIError(500, "CheckID \"\(id)\" does not have associated TTL")
        }
        return .done
    }

    @concurrent private func update(_ request: APIRequest) async throws -> APIResponse {
        let status: String
        let output: String
        do {
            let fields = try Fields(request.json(), "checkUpdate")
            status = try fields.text("Status")
            output = try fields.text("Output")
            try fields.finish()
        } catch let failure as JSONParser.Failure {
            throw APIError(400, "Request decode failed: \(failure)")
        } catch let failure as BodyFailure {
            throw APIError(400, "Request decode failed: \(failure.text)")
        }
        guard let known = CheckStatus(rawValue: status), known != .maintenance else {
            throw APIError(400, "Invalid check status: '\(status)'")
        }
        return try await report(request, known, output: output)
    }
}

/// A check of a node, for filters.
struct NodeCheckRecord: FilterRecord {
    let check: CatalogCheck
    let node: NodeInfo

    func value(_ field: String) -> FilterValue {
        switch field {
        case "CheckID": .text(check.id)
        case "Name": .text(check.name)
        case "Node": .text(node.name.text)
        case "Notes": .text(check.notes)
        case "Output": .text(check.output)
        case "Status": .text(check.status.rawValue)
        case "Type": .text(check.type)
        case "ServiceTags": .texts([])
        default: .text("")
        }
    }
}
