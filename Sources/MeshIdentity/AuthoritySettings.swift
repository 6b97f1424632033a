package import MeshModel

/// What was set of the authority over the API, for as long as nothing else is: in place of what the
/// configuration says.
package struct AuthoritySettings: Sendable, Hashable, Codable {
    /// The settings as they were sent, a JSON object, without keys.
    package var document: String
    /// Of certificates made from now on; nil: that of the configuration.
    package var leafTTL: MeshDuration?
    /// How many certificates are made a second for those who ask, 0: without bound; nil: as the
    /// configuration says.
    package var signingsPerSecond: Double?
    package var createIndex: Index
    package var modifyIndex: Index

    package init(
        document: String = "", leafTTL: MeshDuration? = nil, signingsPerSecond: Double? = nil,
        createIndex: Index = Index(1), modifyIndex: Index = Index(1)
    ) {
        self.document = document
        self.leafTTL = leafTTL
        self.signingsPerSecond = signingsPerSecond
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }
}

/// A key that shall sign from now on, as an operator sends it. As secret as the key.
package struct AuthorityKey: Sendable, Hashable {
    package var privateKeyPEM: String
    /// The root of that key; empty: one is made.
    package var rootPEM: String

    package init(privateKeyPEM: String, rootPEM: String) {
        self.privateKeyPEM = privateKeyPEM
        self.rootPEM = rootPEM
    }
}
