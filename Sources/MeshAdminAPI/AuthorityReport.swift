package import Foundation

/// The mesh's authority: what signs, what is believed, how many leaves each root has signed.
package struct AuthorityReport: Codable, Sendable, Equatable {
    package struct Root: Codable, Sendable, Equatable {
        package var id: String
        package var active: Bool
        package var notBefore: Date
        package var notAfter: Date
        /// Since when it signs no more; nil: it signs.
        package var rotatedOutAt: Date?
        /// Certificates of it by earlier roots, which its leaves carry.
        package var crossSigned: Int
        /// Leaves in use that it has signed.
        package var leaves: Int

        package init(
            id: String, active: Bool, notBefore: Date, notAfter: Date, rotatedOutAt: Date?,
            crossSigned: Int, leaves: Int
        ) {
            self.id = id
            self.active = active
            self.notBefore = notBefore
            self.notAfter = notAfter
            self.rotatedOutAt = rotatedOutAt
            self.crossSigned = crossSigned
            self.leaves = leaves
        }
    }

    /// `builtin`: roots are made here; `file`: mesh.ca_cert has them.
    package var provider: String
    package var trustDomain: String
    package var leafTtlSeconds: Int
    /// The active one first.
    package var roots: [Root]

    package init(provider: String, trustDomain: String, leafTtlSeconds: Int, roots: [Root]) {
        self.provider = provider
        self.trustDomain = trustDomain
        self.leafTtlSeconds = leafTtlSeconds
        self.roots = roots
    }
}
