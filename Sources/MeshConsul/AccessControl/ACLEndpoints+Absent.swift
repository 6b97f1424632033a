import MeshStore

/// What access control has with Consul and not here: roles, ways to log in and their rules. Their
/// lists are empty, and one of them is as little known as one that somebody has deleted.
extension ACLEndpoints {
    /// The kinds of objects of access control, as their lists and single ones are called.
    static let kinds = [
        ("policies", "policy"), ("tokens", "token"), ("roles", "role"),
        ("auth-methods", "auth-method"), ("binding-rules", "binding-rule"),
    ]

    var absent: [Endpoint] {
        var endpoints: [Endpoint] = [
            Endpoint("/v1/acl/login", ["POST": login]),
            Endpoint("/v1/acl/logout", ["POST": logout]),
            Endpoint("/v1/acl/replication", ["GET": replication]),
        ]
        for (list, single) in Self.kinds.dropFirst(2) {
            let none = APIError(
                500, "there are no \(list) here: give tokens policies or identities of services")
            endpoints += [
                Endpoint(
                    "/v1/acl/\(list)",
                    [
                        "GET": { request in
                            try await require(.read, request)
                            return try await queries.json(request, watching: Watch(.policies)) {
                                _, _ in []
                            }
                        }
                    ]),
                Endpoint(
                    "/v1/acl/\(single)",
                    [
                        "PUT": { request in
                            try await require(.write, request)
                            throw none
                        }
                    ]),
                Endpoint(
                    "/v1/acl/\(single)/",
                    [
                        "GET": { request in
                            try await require(.read, request)
                            throw APIError.unknownToken
                        },
                        "PUT": { request in
                            try await require(.write, request)
                            throw none
                        },
                        "DELETE": { request in
                            try await require(.write, request)
                            return .json(true)
                        },
                    ]),
            ]
        }
        return endpoints
    }

    /// There is no way to log in, whichever is named.
    @concurrent private func login(_ request: APIRequest) async throws -> APIResponse {
        throw APIError.unknownToken
    }

    /// Only who has logged in can log out.
    @concurrent private func logout(_ request: APIRequest) async throws -> APIResponse {
        _ = try access.holder(of: request.token, store.snapshot)
        throw APIError.permissionDenied
    }

    @concurrent private func replication(_ request: APIRequest) async throws -> APIResponse {
        .json([
            "Enabled": false, "Running": false, "SourceDatacenter": "", "ReplicationType": "",
            "ReplicatedIndex": 0, "ReplicatedRoleIndex": 0, "ReplicatedTokenIndex": 0,
            "LastSuccess": "0001-01-01T00:00:00Z", "LastError": "0001-01-01T00:00:00Z",
        ])
    }
}
