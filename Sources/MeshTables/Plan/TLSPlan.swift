package import MeshModel

/// How connections are secured, on one side.
package struct TLSPlan: Hashable, Sendable {
    package enum Verify: Hashable, Sendable {
        case none
        /// A certificate is asked for and checked if there is one.
        case request
        case require
    }

    package enum Version: Hashable, Sendable {
        case v12
        case v13
    }

    /// Terminates, rather than originates.
    package var server: Bool
    package var verify: Verify
    /// The peer's identity is its SPIFFE id.
    package var mesh: Bool
    /// Protocols in order of preference.
    package var alpn: [String]
    package var alpnRequired: Bool
    package var minVersion: Version
    /// Ids of secrets with certificates, the default first.
    package var certificates: [UInt64]
    /// CA certificates in DER, one behind the other.
    package var trust: [UInt8]
    /// Seconds; 0 = no resumption.
    package var sessionLifetime: UInt32
    /// Changes when a secret named here does, so that contexts are made anew.
    package var secretsVersion: UInt64

    package init(
        server: Bool, verify: Verify = .none, mesh: Bool = false, alpn: [String] = [],
        alpnRequired: Bool = false, minVersion: Version = .v13, certificates: [UInt64] = [],
        trust: [UInt8] = [], sessionLifetime: UInt32 = 3600, secretsVersion: UInt64 = 0
    ) {
        self.server = server
        self.verify = verify
        self.mesh = mesh
        self.alpn = alpn
        self.alpnRequired = alpnRequired
        self.minVersion = minVersion
        self.certificates = certificates
        self.trust = trust
        self.sessionLifetime = sessionLifetime
        self.secretsVersion = secretsVersion
    }
}

/// A service whose certificate this node holds.
package struct IdentityPlan: Hashable, Sendable {
    package var service: ServiceName
    package var spiffeID: String
    /// Id of its certificate and key among the secrets.
    package var secret: UInt64

    package init(service: ServiceName, spiffeID: String, secret: UInt64) {
        self.service = service
        self.spiffeID = spiffeID
        self.secret = secret
    }
}
