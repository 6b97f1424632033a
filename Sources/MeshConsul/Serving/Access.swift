/// What a request is about to do, for whoever decides whether it may.
package struct Access: Sendable, Hashable {
    package enum Resource: Sendable, Hashable {
        case agent, node, service, intention, key, keyPrefix, session, query, event
        case `operator`, acl
    }

    package enum Kind: Sendable, Hashable {
        case read, list, write
        /// To be what is named: a service's certificate, and decisions about its callers. Who may
        /// write a service may be it.
        case identity
    }

    package let resource: Resource
    /// The name of the service, node or key; empty where the resource has none.
    package let name: String
    package let kind: Kind

    package init(_ kind: Kind, _ resource: Resource, _ name: String = "") {
        self.kind = kind
        self.resource = resource
        self.name = name
    }
}

/// What one token allows.
package protocol Authority: Sendable {
    func allows(_ access: Access) -> Bool
}

/// Who the holder of a token is and what he may.
package protocol AccessPolicy: Sendable {
    /// What holds where no rule does: told to clients, and what intentions fall back to.
    var isDefaultAllow: Bool { get }

    /// Throws ``APIError/unknownToken`` for a token that there is not. Empty: the anonymous one.
    func authority(of token: String) async throws -> any Authority
}

extension Authority {
    /// Throws what Consul says when a token does not suffice.
    package func require(_ access: Access) throws {
        guard allows(access) else { throw APIError.permissionDenied }
    }

    /// The same where the agent itself looks: it says what is missing.
    func requireAtAgent(_ access: Access) throws {
        guard !allows(access) else { return }
        throw APIError(
            403, "Permission denied: Missing \(access.resource):\(access.kind) on \(access.name)")
    }
}

/// Everything is allowed, with any token: how a node is without access control.
package struct OpenAccess: AccessPolicy {
    private struct Everything: Authority {
        func allows(_ access: Access) -> Bool { true }
    }

    package init() {}

    package var isDefaultAllow: Bool { true }

    package func authority(of token: String) async throws -> any Authority { Everything() }
}
