package import MeshModel

/// How connections are secured, on one side.
package struct TLSPlan: Hashable, Sendable, Codable {
    package enum Verify: Hashable, Sendable, Codable {
        case none
        /// A certificate is asked for and checked if there is one.
        case request
        case require
    }

    package enum Version: Hashable, Sendable, Codable {
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
    package var maxVersion: Version
    /// Of a server: whose sessions these are. They are not resumed where it is another.
    package var owner: String
    /// Ids of secrets with certificates, at most one of each kind of key. A server shows them to
    /// clients that ask for none of its names.
    package var certificates: [UInt64]
    /// Of a server: certificates by name.
    package var names: [ServerNamePlan]
    /// CA certificates in DER, one behind the other.
    package var trust: [UInt8]
    /// Seconds; 0 = no resumption.
    package var sessionLifetime: UInt32
    /// Of a client: changes when its certificate does, so that its connections are made anew.
    package var secretsVersion: UInt64

    package init(
        server: Bool, verify: Verify = .none, mesh: Bool = false, alpn: [String] = [],
        alpnRequired: Bool = false, minVersion: Version = .v13, maxVersion: Version = .v13,
        owner: String = "", certificates: [UInt64] = [], names: [ServerNamePlan] = [],
        trust: [UInt8] = [], sessionLifetime: UInt32 = 3600, secretsVersion: UInt64 = 0
    ) {
        self.server = server
        self.verify = verify
        self.mesh = mesh
        self.alpn = alpn
        self.alpnRequired = alpnRequired
        self.minVersion = minVersion
        self.maxVersion = maxVersion
        self.owner = owner
        self.certificates = certificates
        self.names = names
        self.trust = trust
        self.sessionLifetime = sessionLifetime
        self.secretsVersion = secretsVersion
    }
}

/// The certificates of one server name, by the kind of their key.
package struct ServerNamePlan: Hashable, Sendable, Codable {
    /// In lower case without a final dot; `*.suffix` covers names with one label more.
    package let name: String
    /// Ids of secrets.
    package private(set) var ec: UInt64?
    package private(set) var rsa: UInt64?

    package init(name: String) { self.name = name }

    /// The first of a kind serves.
    package mutating func add(_ id: UInt64, isRSA: Bool) {
        if isRSA { rsa = rsa ?? id } else { ec = ec ?? id }
    }

    /// Whether a certificate's DNS name is one that clients can ask for.
    package static func isName(_ text: String) -> Bool {
        let bare = text.utf8.starts(with: "*.".utf8) ? text.utf8.dropFirst(2) : text.utf8[...]
        return !bare.isEmpty && bare.count <= 253 && bare.first != 0x2e && bare.last != 0x2e
            && bare.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2d
                    || byte == 0x2e || byte == 0x5f
            }
    }
}

/// A service whose certificate this node holds.
package struct IdentityPlan: Hashable, Sendable, Codable {
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
