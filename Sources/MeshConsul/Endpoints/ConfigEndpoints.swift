import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/config`: config entries.
package struct ConfigEndpoints: EndpointGroup {
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
            Endpoint("/v1/config", ["PUT": put]),
            Endpoint("/v1/config/", ["GET": read, "DELETE": delete]),
        ]
    }

    // MARK: - reads

    @concurrent private func read(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (kind, name) = Self.parts(request.tail)
        guard ConfigEntry.Kind(rawValue: kind) != nil || ConfigEntry.carriedKinds.contains(kind)
        else { throw APIError(500, "invalid config entry kind: \(kind)") }
        guard let name else {
            let watch = Watch(.configEntries, .prefix("\(kind)/"))
            return try await queries.json(request, watching: watch) { state, _ in
                .array(
                    state.configEntries(kind: kind).filter { record in
                        authority.allows(Self.access(.read, record.entry.kind, record.entry.name))
                    }.map(\.json))
            }
        }
        try authority.require(Self.access(.read, kind, name))
        let key = ConfigEntry.Key(kind: kind, name: name)
        let watch = Watch(.configEntries, .key("\(key.kind)/\(key.name)"))
        return try await queries.answer(request, watching: watch) { state, _ in
            guard let record = state.configEntry(key) else {
                return APIResponse(
                    .text("Config entry not found for \"\(kind)\" / \"\(name)\""), status: 404)
            }
            return .json(record.json)
        }
    }

    private static func parts(_ tail: String) -> (kind: String, name: String?) {
        let parts = tail.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let name = parts.count > 1 ? String(parts[1]) : ""
        return (String(parts.first ?? ""), name.isEmpty ? nil : name)
    }

    /// Who may: entries of services go with the service, the others are an operator's.
    private static func access(_ kind: Access.Kind, _ entry: String, _ name: String) -> Access {
        switch ConfigEntry.Kind(rawValue: entry) {
        case .serviceDefaults, .serviceRouter, .serviceSplitter, .serviceResolver:
            Access(kind, .service, name)
        case .serviceIntentions: Access(kind, .intention, name)
        case .proxyDefaults: kind == .read ? Access(.read, .service) : Access(.write, .operator)
        // Who may read a service's traffic may know the gateways that it takes.
        case .ingressGateway, .terminatingGateway:
            kind == .read ? Access(.read, .service, name) : Access(.write, .operator)
        case nil: Access(kind, .operator)
        }
    }

    // MARK: - writes

    @concurrent private func put(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let cas = try Self.cas(request)
        let json: JSON
        do {
            json = try request.json()
        } catch {
            throw EntryRules.undecodable("\(error)")
        }
        guard case .object = json else {
            throw EntryRules.undecodable("the body must be an object, not \(json.kind)")
        }
        let entry = try backend.entry(json)
        try authority.require(Self.access(.write, entry.kind, entry.name))
        let datacenter = backend.node.datacenter
        let isWritten = try await backend.store.write { draft in
            guard try draft.putEntry(entry, cas: cas) else { return false }
            try EntryGuard.check(draft.state, after: entry, in: datacenter)
            return true
        }
        if isWritten { await backend.settle("\(entry.kind) \(entry.name) written over the API") }
        return .json(.bool(isWritten))
    }

    private static func cas(_ request: APIRequest) throws -> Index? {
        guard let text = request.query["cas"], !text.isEmpty else { return nil }
        guard let number = UInt64(text) else {
            throw APIError(400, "Bad request: Invalid value for cas: \(text)")
        }
        return Index(number)
    }

    @concurrent private func delete(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (kind, name) = Self.parts(request.tail)
        guard let name else {
            throw APIError(404, "Must provide both a kind and name to delete")
        }
        guard ConfigEntry.Kind(rawValue: kind) != nil || ConfigEntry.carriedKinds.contains(kind)
        else { throw APIError(500, "invalid config entry kind: \(kind)") }
        try authority.require(Self.access(.write, kind, name))
        let cas = try Self.cas(request)
        let key = ConfigEntry.Key(kind: kind, name: name)
        let datacenter = backend.node.datacenter
        let isGone = try await backend.store.write { draft in
            guard let present = draft.state.configEntry(key) else { return false }
            guard try draft.removeEntry(key, cas: cas) else { return false }
            try EntryGuard.check(draft.state, after: present.entry, in: datacenter)
            return true
        }
        if isGone { await backend.settle("\(kind) \(name) deleted over the API") }
        return .json(cas == nil ? [:] : .bool(isGone))
    }
}

extension ConsulBackend {
    /// An entry as it was sent, checked by Consul's rules and read by ours.
    func entry(_ json: JSON) throws -> ConfigEntry {
        try EntryRules.check(json)
        do {
            return try configEntry(json.bytes(pretty: false))
        } catch let failure as EntryFailure {
            guard failure.unknownKeys.isEmpty else {
                let list = failure.unknownKeys.map { "invalid config key \"\($0)\"" }
                throw EntryRules.undecodable(GoErrors.list(list))
            }
            throw EntryRules.undecodable(failure.message)
        }
    }
}

/// Why a document is no config entry.
package struct EntryFailure: Error, Sendable {
    package let unknownKeys: [String]
    package let message: String

    package init(unknownKeys: [String], message: String) {
        self.unknownKeys = unknownKeys
        self.message = message
    }
}
