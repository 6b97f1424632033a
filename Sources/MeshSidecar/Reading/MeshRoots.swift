package import MeshIdentity
package import MeshModel

/// The roots that are believed, as an agent tells them.
package struct MeshRoots: Sendable, Equatable {
    package struct Root: Sendable, Equatable {
        package var id: String
        package var name: String
        package var isActive: Bool
        package var certificate: ReceivedCertificate
    }

    package var trustDomain: TrustDomain
    package var roots: [Root]

    /// Reads `/v1/agent/connect/ca/roots`. Every root counts, not just the active one: while roots
    /// rotate, peers have leaves of several.
    package init(_ json: AgentJSON) throws {
        trustDomain = try TrustDomain(try json.need("TrustDomain"))
        let active = json.text("ActiveRootID")
        roots = try json.items("Roots").map { root in
            let id = try root.need("ID")
            return Root(
                id: id, name: root.text("Name") ?? "", isActive: id == active,
                certificate: try ReceivedCertificate(pem: try root.need("RootCert")))
        }
        guard !roots.isEmpty else { throw json.lacking("Roots") }
    }

    /// DER, one behind the other.
    package var trust: [UInt8] { roots.flatMap(\.certificate.der) }
}

extension LeafCertificate {
    /// Reads `/v1/agent/connect/ca/leaf/<service>`.
    package init(_ json: AgentJSON) throws {
        try self.init(
            receivedPEM: try json.need("CertPEM"), keyPEM: try json.need("PrivateKeyPEM"))
    }
}
