import Foundation
import MeshHTTP
import MeshModel
import MeshStore
import MeshTelemetry

extension ACLEndpoints {
    /// What stands in place of a secret: it was told when the token was made, and is not kept.
    private static let hiddenSecret = "<hidden>"
    private static let decodingFailed = "Bad request: Token decoding failed: "

    // MARK: - reading

    @concurrent func tokens(_ request: APIRequest) async throws -> APIResponse {
        try await require(.read, request)
        let policy = request.query["policy"]?.lowercased()
        return try await queries.json(request, watching: Watch([.tokens, .policies])) { state, _ in
            .array(
                state.tokens.filter { policy == nil || $0.value.policies.contains(policy ?? "") }
                    .map { json($0, state, secret: nil, isListed: true) })
        }
    }

    @concurrent func token(_ request: APIRequest) async throws -> APIResponse {
        try await require(.read, request)
        let accessor = request.tail.lowercased()
        return try await queries.json(request, watching: Watch([.tokens, .policies])) { state, _ in
            guard let found = state.token(accessor: accessor) else { throw APIError.unknownToken }
            return json(found, state, secret: Self.hiddenSecret)
        }
    }

    /// Whoever shows a token may know what it is; he has its secret already.
    @concurrent func ownToken(_ request: APIRequest) async throws -> APIResponse {
        let secret = request.token
        return try await queries.json(request, watching: Watch([.tokens, .policies])) { state, _ in
            let holder = try access.holder(of: secret, state)
            return json(
                holder, state, secret: secret.isEmpty ? ACLToken.anonymousSecret : secret)
        }
    }

    /// A token that was just written.
    func shown(_ accessor: String, secret: String?, withID: Bool = false) throws -> JSON {
        let state = store.snapshot
        guard let found = state.token(accessor: accessor) else { throw APIError.unknownToken }
        return json(found, state, secret: secret ?? Self.hiddenSecret, withID: withID)
    }

    // MARK: - writing

    @concurrent func createToken(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        let (token, secret) = try readToken(request, present: nil)
        let kept = secret ?? Self.newID()
        try await inConsulsWords {
            try await store.write { draft in
                guard draft.state.token(accessor: token.accessorID) == nil else {
                    throw APIError(500, "Invalid Token: AccessorID is already in use")
                }
                guard draft.state.token(secret: kept) == nil else {
                    throw APIError(500, "Invalid Token: SecretID is already in use")
                }
                try draft.putToken(token, secret: kept)
            }
        }
        return .json(try shown(token.accessorID, secret: kept))
    }

    @concurrent func updateToken(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        if request.tail.hasSuffix("/clone") { return try await clone(request) }
        let accessor = request.tail.lowercased()
        // What is no document is told first, whomever it is about.
        _ = try request.fields("ACLToken", orFail: Self.decodingFailed)
        guard let present = store.snapshot.token(accessor: accessor) else {
            throw APIError(500, "Cannot find token \(GoText.quoted(accessor))")
        }
        let (token, secret) = try readToken(request, present: present.value)
        if let secret,
            store.snapshot.token(secret: secret)?.value.accessorID.lowercased() != accessor
        {
            throw APIError(500, "Changing a tokens SecretID is not permitted")
        }
        try await inConsulsWords { try await store.write { try $0.putToken(token) } }
        return .json(try shown(accessor, secret: secret))
    }

    private func clone(_ request: APIRequest) async throws -> APIResponse {
        let accessor = String(request.tail.dropLast("/clone".count)).lowercased()
        guard let present = store.snapshot.token(accessor: accessor) else {
            throw APIError.unknownToken
        }
        guard accessor != ACLToken.anonymousID else {
            throw APIError(403, "Permission denied: the anonymous token cannot be cloned")
        }
        var copy = present.value
        copy.accessorID = Self.newID()
        copy.created = now()
        if !request.body.isEmpty {
            let prefix = Self.decodingFailed
            let fields = try request.fields("ACLToken", orFail: prefix)
            let text = try APIRequest.read(orFail: prefix) { try fields.text("Description") }
            if !text.isEmpty { copy.description = text }
        }
        let (token, secret) = (copy, Self.newID())
        try await store.write { try $0.putToken(token, secret: secret) }
        return .json(try shown(token.accessorID, secret: secret))
    }

    @concurrent func removeToken(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        let accessor = request.tail.lowercased()
        guard accessor != ACLToken.anonymousID else {
            throw APIError(500, "Delete operation not permitted on the anonymous token")
        }
        let own = try access.holder(of: request.token, store.snapshot).value.accessorID
        guard accessor != own.lowercased() else {
            throw APIError(
                500, "Deletion of the request's authorization token is not permitted")
        }
        _ = try await store.write { $0.removeToken(accessor: accessor) }
        return .json(true)
    }

    // MARK: - documents

    private func readToken(
        _ request: APIRequest, present: ACLToken?
    ) throws -> (token: ACLToken, secret: String?) {
        let prefix = Self.decodingFailed
        let fields = try request.fields("ACLToken", orFail: prefix)
        let accessor = try APIRequest.read(orFail: prefix) { try fields.text("AccessorID") }
        let secret = try APIRequest.read(orFail: prefix) { try fields.text("SecretID") }
        for (text, name) in [(accessor, "AccessorID"), (secret, "SecretID")]
        where !text.isEmpty && text != Self.hiddenSecret && !Self.isUUID(text) {
            throw APIError(500, "Invalid Token: \(name) is not a valid UUID")
        }
        if let present, !accessor.isEmpty, accessor.lowercased() != present.accessorID.lowercased()
        {
            throw APIError(400, "Token Accessor ID in URL and payload do not match")
        }
        var token = ACLToken(
            accessorID: present?.accessorID
                ?? (accessor.isEmpty ? Self.newID() : accessor),
            created: present?.created ?? now(), expires: present?.expires)
        token.policies = try policies(of: fields, prefix)
        try APIRequest.read(orFail: prefix) {
            token.description = try fields.text("Description")
            token.isLocal = try fields.bool("Local")
            token.serviceIdentities = try fields.objects("ServiceIdentities", "ACLServiceIdentity")
                .map {
                    ACLToken.ServiceIdentity(
                        serviceName: try $0.text("ServiceName"),
                        datacenters: try $0.texts("Datacenters") ?? [])
                }
            token.nodeIdentities = try fields.objects("NodeIdentities", "ACLNodeIdentity").map {
                ACLToken.NodeIdentity(
                    nodeName: try $0.text("NodeName"), datacenter: try $0.text("Datacenter"))
            }
            if present == nil, let span = try fields.duration("ExpirationTTL"), span > .zero {
                token.expires = token.created.addingTimeInterval(
                    Double(span.nanoseconds) / 1_000_000_000)
            }
            try Self.finish(fields)
        }
        try check(token)
        return (token, secret.isEmpty || secret == Self.hiddenSecret ? nil : secret)
    }

    /// A token is often sent as it was told; there are no roles here.
    private static func finish(_ fields: Fields) throws {
        guard try fields.objects("Roles", "ACLTokenRoleLink").isEmpty else {
            throw APIError(500, "there are no roles here: give tokens policies or identities")
        }
        try fields.finish(
            besides: "ID", "Type", "Rules", "AuthMethod", "ExpirationTime", "CreateTime", "Hash",
            "CreateIndex", "ModifyIndex", "Legacy", "Namespace", "Partition", "ExpirationTTL")
    }

    private func check(_ token: ACLToken) throws {
        for identity in token.serviceIdentities {
            guard !identity.serviceName.isEmpty else {
                throw APIError(
                    500, "Service identity is missing the service name field on this token")
            }
            guard (try? ServiceName(identity.serviceName)) != nil else {
                throw APIError(
                    500,
                    "Service identity \(GoText.quoted(identity.serviceName)) has an invalid name. "
                        + "Only lowercase alphanumeric characters, '-' and '_' are allowed")
            }
        }
        for identity in token.nodeIdentities {
            guard !identity.nodeName.isEmpty, !identity.datacenter.isEmpty else {
                throw APIError(
                    500, "Node identity is missing the node name or datacenter field on this token")
            }
        }
    }

    /// By id or by name; each must be there.
    private func policies(of fields: Fields, _ prefix: String) throws -> [String] {
        let links = try APIRequest.read(orFail: prefix) {
            try fields.objects("Policies", "ACLTokenPolicyLink").map {
                (try $0.text("ID"), try $0.text("Name"))
            }
        }
        let state = store.snapshot
        var ids: [String] = []
        for (id, name) in links {
            let found = id.isEmpty ? state.policy(named: name) : state.policy(id.lowercased())
            guard let found else {
                throw APIError(
                    500,
                    id.isEmpty
                        ? "No such ACL policy with name \(GoText.quoted(name))"
                        : "No such ACL policy with ID \(GoText.quoted(id))")
            }
            if !ids.contains(found.value.id) { ids.append(found.value.id) }
        }
        return ids
    }

    static func isUUID(_ text: String) -> Bool {
        text.utf8.count == 36 && UUID(uuidString: text) != nil
    }

    private func json(
        _ stored: Stored<ACLToken>, _ state: StoreState, secret: String?, withID: Bool = false,
        isListed: Bool = false
    ) -> JSON {
        let token = stored.value
        let links = token.policies.compactMap { id -> JSON? in
            state.policy(id).map { ["ID": .string(id), "Name": .string($0.value.name)] }
        }
        let services = token.serviceIdentities.map { identity -> JSON in
            .members([
                "ServiceName": .string(identity.serviceName),
                "Datacenters": identity.datacenters.isEmpty ? nil : .texts(identity.datacenters),
            ])
        }
        let nodes = token.nodeIdentities.map { identity -> JSON in
            [
                "NodeName": .string(identity.nodeName),
                "Datacenter": .string(identity.datacenter),
            ]
        }
        // Everybody knows the one of those who show none.
        let isAnonymous = token.accessorID == ACLToken.anonymousID
        let shown = secret == Self.hiddenSecret && isAnonymous ? ACLToken.anonymousSecret : secret
        let content =
            "\(token.description)\n\(token.policies)\n\(services)\n\(nodes)\n\(token.isLocal)"
        return .members([
            "ID": withID ? secret.map { .string($0) } : nil,
            "AccessorID": .string(token.accessorID), "SecretID": shown.map { .string($0) },
            "Description": .string(token.description),
            "Policies": links.isEmpty ? nil : .array(links),
            "ServiceIdentities": services.isEmpty ? nil : .array(services),
            "NodeIdentities": nodes.isEmpty ? nil : .array(nodes), "Local": .bool(token.isLocal),
            "ExpirationTime": token.expires.map { .string(Self.text($0)) },
            "CreateTime": .string(Self.text(token.created)),
            "Hash": .string(Base64.encoded(state.fingerprint(content))),
            "CreateIndex": .number(stored.createIndex.value),
            "ModifyIndex": .number(stored.modifyIndex.value),
            "Legacy": isListed ? false : nil,
        ])
    }

    private static func text(_ date: Date) -> String {
        let milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded())
        return WallTime(
            secondsSinceEpoch: milliseconds / 1000, milliseconds: Int(milliseconds % 1000)
        ).description
    }
}
