package import Foundation

/// Rules with a name, which tokens refer to.
package struct ACLPolicy: Hashable, Sendable, Codable {
    /// A UUID.
    package var id: String
    package var name: String
    package var description: String
    /// In Consul's rule language, as they were written.
    package var rules: String
    /// Where the policy holds; empty: everywhere.
    package var datacenters: [String]

    package init(
        id: String, name: String, description: String = "", rules: String = "",
        datacenters: [String] = []
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.rules = rules
        self.datacenters = datacenters
    }

    /// The policy that allows everything; it is always there.
    package static let managementID = "00000000-0000-0000-0000-000000000001"
    package static let management = ACLPolicy(
        id: managementID, name: "global-management",
        description: "Builtin Policy that grants unlimited access",
        rules: """

            acl = "write"
            agent_prefix "" { policy = "write" }
            event_prefix "" { policy = "write" }
            key_prefix "" { policy = "write" }
            keyring = "write"
            node_prefix "" { policy = "write" }
            operator = "write"
            query_prefix "" { policy = "write" }
            service_prefix "" { policy = "write" intentions = "write" }
            session_prefix "" { policy = "write" }

            """)
}

/// Who shows a secret, and what he may. The secret itself is nowhere: only a digest of it is kept.
package struct ACLToken: Hashable, Sendable, Codable {
    /// Stands for what a service and its sidecar need.
    package struct ServiceIdentity: Hashable, Sendable, Codable {
        package var serviceName: String
        package var datacenters: [String]

        package init(serviceName: String, datacenters: [String] = []) {
            self.serviceName = serviceName
            self.datacenters = datacenters
        }
    }

    /// Stands for what the agent of a node needs.
    package struct NodeIdentity: Hashable, Sendable, Codable {
        package var nodeName: String
        package var datacenter: String

        package init(nodeName: String, datacenter: String) {
            self.nodeName = nodeName
            self.datacenter = datacenter
        }
    }

    /// A UUID that names the token without being one.
    package var accessorID: String
    package var description: String
    /// Ids of policies.
    package var policies: [String]
    package var serviceIdentities: [ServiceIdentity]
    package var nodeIdentities: [NodeIdentity]
    package var isLocal: Bool
    package var created: Date
    /// From then on nobody is let in by it; nil: never.
    package var expires: Date?

    package init(
        accessorID: String, description: String = "", policies: [String] = [],
        serviceIdentities: [ServiceIdentity] = [], nodeIdentities: [NodeIdentity] = [],
        isLocal: Bool = false, created: Date, expires: Date? = nil
    ) {
        self.accessorID = accessorID
        self.description = description
        self.policies = policies
        self.serviceIdentities = serviceIdentities
        self.nodeIdentities = nodeIdentities
        self.isLocal = isLocal
        self.created = created
        self.expires = expires
    }

    /// Who shows no token is this one.
    package static let anonymousID = "00000000-0000-0000-0000-000000000002"
    package static let anonymousSecret = "anonymous"

    package func isExpired(now: Date) -> Bool { expires.map { $0 <= now } ?? false }
}

/// A token as the store has it.
package struct KeptToken: Hashable, Sendable, Codable {
    package var token: ACLToken
    /// HMAC-SHA256 of the secret under a key of the store.
    package var digest: [UInt8]

    package init(token: ACLToken, digest: [UInt8]) {
        self.token = token
        self.digest = digest
    }
}
