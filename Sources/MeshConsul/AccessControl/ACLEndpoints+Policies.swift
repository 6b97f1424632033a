import MeshACL
import MeshModel
import MeshStore

extension ACLEndpoints {
    @concurrent func policies(_ request: APIRequest) async throws -> APIResponse {
        try await require(.read, request)
        return try await queries.json(request, watching: Watch(.policies)) { state, _ in
            .array(state.policies.map { json($0, state, showsRules: false) })
        }
    }

    @concurrent func policy(_ request: APIRequest) async throws -> APIResponse {
        let id = request.tail.lowercased()
        return try await read(request) { $0.policy(id) }
    }

    @concurrent func policyByName(_ request: APIRequest) async throws -> APIResponse {
        let name = request.tail
        return try await read(request) { $0.policy(named: name) }
    }

    private func read(
        _ request: APIRequest, _ find: @Sendable (StoreState) -> Stored<ACLPolicy>?
    ) async throws -> APIResponse {
        try await require(.read, request)
        return try await queries.json(request, watching: Watch(.policies)) { state, _ in
            guard let found = find(state) else { throw APIError.unknownToken }
            return json(found, state, showsRules: true)
        }
    }

    @concurrent func createPolicy(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        var policy = try readPolicy(request)
        guard policy.id.isEmpty else {
            throw APIError(500, "Cannot specify the ID field when creating a new policy")
        }
        policy.id = Self.newID()
        return try await keep(policy)
    }

    @concurrent func updatePolicy(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        let id = request.tail.lowercased()
        var policy = try readPolicy(request)
        guard policy.id.isEmpty || policy.id.lowercased() == id else {
            throw APIError(400, "Policy ID in URL and payload do not match")
        }
        guard let present = store.snapshot.policy(id) else {
            throw APIError(500, "cannot find policy \(id)")
        }
        guard id != ACLPolicy.managementID || policy.rules == present.value.rules else {
            throw APIError(
                500, "Changing the Rules for the builtin global-management policy is not permitted")
        }
        policy.id = id
        return try await keep(policy)
    }

    @concurrent func removePolicy(_ request: APIRequest) async throws -> APIResponse {
        try await require(.write, request)
        let id = request.tail.lowercased()
        guard id != ACLPolicy.managementID else {
            throw APIError(
                500, "Delete operation not permitted on the builtin global-management policy")
        }
        _ = try await store.write { $0.removePolicy(id) }
        return .json(true)
    }

    private func keep(_ policy: ACLPolicy) async throws -> APIResponse {
        try await inConsulsWords { try await store.write { try $0.putPolicy(policy) } }
        let state = store.snapshot
        guard let stored = state.policy(policy.id) else { throw APIError.unknownToken }
        return .json(json(stored, state, showsRules: true))
    }

    private func readPolicy(_ request: APIRequest) throws -> ACLPolicy {
        let prefix = "Bad request: Policy decoding failed: "
        let fields = try request.fields("ACLPolicy", orFail: prefix)
        let policy = try APIRequest.read(orFail: prefix) {
            let policy = ACLPolicy(
                id: try fields.text("ID"), name: try fields.text("Name"),
                description: try fields.text("Description"), rules: try fields.text("Rules"),
                datacenters: try fields.texts("Datacenters") ?? [])
            try fields.finish(
                besides: "Hash", "CreateIndex", "ModifyIndex", "Namespace", "Partition")
            return policy
        }
        guard !policy.name.isEmpty else { throw APIError(500, "Invalid Policy: no Name is set") }
        guard Self.isName(policy.name, limit: 128) else {
            throw APIError(
                500,
                "Invalid Policy: invalid Name. Only alphanumeric characters, '-' and '_' are "
                    + "allowed")
        }
        do {
            _ = try AccessRules(parsing: policy.rules)
        } catch {
            throw APIError(500, "Failed to parse ACL rules: \(error)")
        }
        return policy
    }

    static func isName(_ text: String, limit: Int) -> Bool {
        (1...limit).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private func json(
        _ stored: Stored<ACLPolicy>, _ state: StoreState, showsRules: Bool
    ) -> JSON {
        let policy = stored.value
        let content =
            "\(policy.name)\n\(policy.description)\n\(policy.datacenters)\n\(policy.rules)"
        return .members([
            "ID": .string(policy.id), "Name": .string(policy.name),
            "Description": .string(policy.description),
            "Rules": showsRules ? .string(policy.rules) : nil,
            "Datacenters": policy.datacenters.isEmpty ? nil : .texts(policy.datacenters),
            "Hash": .string(Base64.encoded(state.fingerprint(content))),
            "CreateIndex": .number(stored.createIndex.value),
            "ModifyIndex": .number(stored.modifyIndex.value),
        ])
    }
}
