import Crypto
import Foundation
import MeshModel
import SwiftASN1
import X509

/// What the mesh's certificates contain. One place, so that roots, cross-signed roots and leaves
/// cannot drift apart.
enum CertificateProfile {
    /// Clocks of two machines differ: a new certificate is valid from a little before now.
    static let backdating: TimeInterval = 60

    /// SHA-256 of the public key as SPKI, which is also how Consul names keys.
    static func keyIdentifier(of key: P256.Signing.PublicKey) -> [UInt8] {
        Array(SHA256.hash(data: key.derRepresentation))
    }

    /// The extensions of an authority of the trust domain, whoever signed it. It can issue only
    /// for identities of its own domain: a stolen root is worth nothing in another mesh.
    static func authority(
        trustDomain: TrustDomain, subjectKey: [UInt8], issuerKey: [UInt8]
    ) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
            Critical(KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true))
            Critical(
                NameConstraints(
                    permittedURIDomains: [trustDomain.text, "." + trustDomain.text]))
            SubjectKeyIdentifier(keyIdentifier: subjectKey[...])
            AuthorityKeyIdentifier(keyIdentifier: issuerKey[...])
            SubjectAlternativeNames([.uniformResourceIdentifier(trustDomain.uri)])
        }
    }

    /// The extensions of a service's certificate. Its subject is empty, so the identity in the
    /// alternative names is critical (RFC 5280 §4.2.1.6) and the only URI (SPIFFE X.509-SVID §2).
    /// `names` are host names that a gateway serves besides.
    static func leaf(
        id: SpiffeID, names: Set<String>, subjectKey: [UInt8], issuerKey: [UInt8]
    ) throws -> Certificate.Extensions {
        try Certificate.Extensions {
            Critical(BasicConstraints.notCertificateAuthority)
            // As Consul's: TLS 1.3 needs the first alone, the others are for what other proxies do.
            Critical(
                KeyUsage(
                    digitalSignature: true, keyEncipherment: true, dataEncipherment: true,
                    keyAgreement: true))
            try ExtendedKeyUsage([.clientAuth, .serverAuth])
            SubjectKeyIdentifier(keyIdentifier: subjectKey[...])
            AuthorityKeyIdentifier(keyIdentifier: issuerKey[...])
            Critical(
                SubjectAlternativeNames(
                    [.uniformResourceIdentifier(id.uri)] + names.sorted().map { .dnsName($0) }))
        }
    }

    /// The common name of a root, in Consul's style: unique per root, naming the installation.
    static func rootName(
        trustDomain: TrustDomain, using generator: inout some RandomNumberGenerator
    ) throws -> DistinguishedName {
        let unique = generator.base36(8)
        let installation = trustDomain.text.prefix { $0 != "." }.prefix(8)
        return try DistinguishedName {
            CommonName("pri-\(unique).consul.ca.\(installation).consul")
        }
    }

    static func der(_ certificate: Certificate) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }
}
