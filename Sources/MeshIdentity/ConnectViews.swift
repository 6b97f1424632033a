package import Foundation
package import MeshModel

/// The roots of the mesh as clients of Consul's API know them.
package struct ConnectRoots: Sendable, Equatable {
    package struct Root: Sendable, Equatable {
        package var id: String
        package var name: String
        package var serialNumber: UInt64
        /// SHA-256 of the signing key, colon separated.
        package var signingKeyID: String
        /// The bare cluster id: the trust domain without `.consul`.
        package var externalTrustDomain: String
        package var notBefore: Date
        package var notAfter: Date
        package var rootCert: String
        /// What leaves carry behind themselves: this root as signed by those before it.
        package var intermediateCerts: [String]
        package var active: Bool
        package var privateKeyType = "ec"
        package var privateKeyBits = 256
        /// Since when another root is active; nil: this one is.
        package var rotatedOutAt: Date?
        package var createIndex: Index
        package var modifyIndex: Index
    }

    package var activeRootID: String
    package var trustDomain: String
    /// The active one first, then the newest.
    package var roots: [Root]
    /// Of the last change of any of them: what clients wait after.
    package var index: Index

    /// `indexes` are those of each root's record, by its id.
    package init(
        _ authority: MeshAuthority, indexes: [String: (create: Index, modify: Index)], index: Index
    ) {
        let domain = authority.trustDomain.text
        let cluster = domain.hasSuffix(".consul") ? String(domain.dropLast(7)) : domain
        activeRootID = authority.active.id
        trustDomain = domain
        self.index = index
        roots = authority.roots.map { root in
            Root(
                id: root.id, name: AuthorityRoot.name, serialNumber: root.serial,
                signingKeyID: root.signingKeyID, externalTrustDomain: cluster,
                notBefore: root.notBefore, notAfter: root.notAfter,
                rootCert: PEM.certificates([root.certificateDER]),
                intermediateCerts: root.crossSignedDER.map { PEM.certificates([$0]) },
                active: root.id == authority.active.id, rotatedOutAt: root.rotatedOutAt,
                createIndex: indexes[root.id]?.create ?? index,
                modifyIndex: indexes[root.id]?.modify ?? index)
        }
    }

    /// All certificates of roots in one text, as `?pem=true` asks for them.
    package var pem: String { roots.map(\.rootCert).joined() }
}

/// A leaf with its key as clients of Consul's API get it. As secret as the key.
package struct ConnectLeaf: Sendable, Equatable {
    package var serialNumber: String
    package var certPEM: String
    /// "EC PRIVATE KEY".
    package var privateKeyPEM: String
    package var service: String
    package var serviceURI: String
    package var validAfter: Date
    package var validBefore: Date
    package var createIndex: Index
    /// What clients wait after.
    package var modifyIndex: Index

    package init(_ leaf: LeafCertificate, createIndex: Index, modifyIndex: Index) {
        serialNumber = leaf.serialText
        certPEM = leaf.chainPEM
        privateKeyPEM = leaf.privateKeyPEM
        service = leaf.id.service.text
        serviceURI = leaf.id.uri
        validAfter = leaf.notBefore
        validBefore = leaf.notAfter
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }
}
