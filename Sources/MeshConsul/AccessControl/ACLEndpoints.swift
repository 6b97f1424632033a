package import Foundation
import MeshACL
import MeshModel
import MeshStore

/// `/v1/acl`: tokens and policies.
package struct ACLEndpoints: EndpointGroup {
    let queries: Queries
    let access: StoredAccess
    /// The index of a bootstrap after which another one is allowed.
    let resetIndex: UInt64?
    let now: @Sendable () -> Date

    package init(
        queries: Queries, access: StoredAccess, resetIndex: UInt64?,
        now: @escaping @Sendable () -> Date
    ) {
        self.queries = queries
        self.access = access
        self.resetIndex = resetIndex
        self.now = now
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/acl/bootstrap", ["PUT": bootstrap]),
            Endpoint("/v1/acl/policies", ["GET": policies]),
            Endpoint("/v1/acl/policy", ["PUT": createPolicy]),
            Endpoint("/v1/acl/policy/name/", ["GET": policyByName]),
            Endpoint(
                "/v1/acl/policy/",
                ["GET": policy, "PUT": updatePolicy, "DELETE": removePolicy]),
            Endpoint("/v1/acl/tokens", ["GET": tokens]),
            Endpoint("/v1/acl/token", ["PUT": createToken]),
            Endpoint("/v1/acl/token/self", ["GET": ownToken]),
            Endpoint(
                "/v1/acl/token/", ["GET": token, "PUT": updateToken, "DELETE": removeToken]),
        ] + absent
    }

    var store: any StateStore { queries.store }

    func require(_ kind: Access.Kind, _ request: APIRequest) async throws {
        try await access.authority(of: request.token).require(Access(kind, .acl))
    }

    static func newID() -> String { UUID().uuidString.lowercased() }

    /// The first token of management, once. Whoever can write the node's configuration gets
    /// another one by naming the index of the last.
    @concurrent private func bootstrap(_ request: APIRequest) async throws -> APIResponse {
        let secret = Self.newID()
        let token = ACLToken(
            accessorID: Self.newID(), description: "Bootstrap Token (Global Management)",
            policies: [ACLPolicy.managementID], created: now())
        let resetIndex = resetIndex
        try await store.write { draft in
            if let last = draft.state.bootstrapIndex, resetIndex != last.value {
                throw APIError(
                    403,
                    "Permission denied: ACL bootstrap no longer allowed (reset index: \(last))")
            }
            try draft.putToken(token, secret: secret)
            draft.noteBootstrap()
        }
        return .json(try shown(token.accessorID, secret: secret, withID: true))
    }
}

/// `/v1/acl` where there is no access control.
package struct NoACLEndpoints: EndpointGroup {
    package init() {}

    package var endpoints: [Endpoint] {
        let answer: Endpoint.Handler = { _ in throw APIError(401, "ACL support disabled") }
        var endpoints = [
            Endpoint("/v1/acl/bootstrap", ["PUT": answer]),
            Endpoint("/v1/acl/login", ["POST": answer]),
            Endpoint("/v1/acl/logout", ["POST": answer]),
        ]
        for (list, single) in ACLEndpoints.kinds {
            endpoints += [
                Endpoint("/v1/acl/\(list)", ["GET": answer]),
                Endpoint("/v1/acl/\(single)", ["PUT": answer]),
                Endpoint("/v1/acl/\(single)/", ["GET": answer, "PUT": answer, "DELETE": answer]),
            ]
        }
        return endpoints
    }
}
