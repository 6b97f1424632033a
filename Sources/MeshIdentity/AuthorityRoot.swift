import Crypto
package import Foundation
package import MeshModel
import SwiftASN1
import X509

/// One root of the mesh: its certificate and the key that signs with it.
package struct AuthorityRoot: Sendable, Equatable {
    /// SHA-1 fingerprint of the certificate, `aa:bb:…`: how Consul's clients name roots.
    package let id: String
    package let trustDomain: TrustDomain
    package let certificateDER: [UInt8]
    /// SEC1.
    package let privateKeyDER: SecretBytes
    /// This root as signed by the one before it. Leaves carry it, so that peers which know only
    /// the older root still believe them.
    package var crossSignedDER: [[UInt8]]
    /// Set when another root took over.
    package var rotatedOutAt: Date?
    /// The number that Consul's API writes: of a longer one, which other programs make, the last 64
    /// bits, as there.
    package let serial: UInt64
    /// SHA-256 of the signing key, colon separated.
    package let signingKeyID: String
    package let notBefore: Date
    package let notAfter: Date

    private let certificate: Certificate
    private let key: P256.Signing.PrivateKey
    /// What certificates that this root signs name it by: its own subject key identifier.
    private let keyID: [UInt8]

    package static let name = "Ringmesh CA Root Cert"
    /// Ten years of 365 days.
    package static let lifetime: TimeInterval = 87_600 * 3600
    /// How long a root signed by its predecessor serves: longer than any leaf that carries it
    /// waits for its peers to learn of the new root.
    package static let crossSignedLifetime: TimeInterval = 7 * 24 * 3600

    package static func == (left: Self, right: Self) -> Bool {
        left.id == right.id && left.crossSignedDER == right.crossSignedDER
            && left.rotatedOutAt == right.rotatedOutAt
    }
}

extension AuthorityRoot {
    /// A new root of the domain with a new key.
    package static func make(
        trustDomain: TrustDomain, now: Date, lifetime: TimeInterval = lifetime,
        using generator: inout some RandomNumberGenerator
    ) throws -> AuthorityRoot {
        try make(
            P256.Signing.PrivateKey(), trustDomain: trustDomain, now: now, lifetime: lifetime,
            using: &generator)
    }

    /// A new root of the domain with this key.
    static func make(
        _ key: P256.Signing.PrivateKey, trustDomain: TrustDomain, now: Date,
        lifetime: TimeInterval, using generator: inout some RandomNumberGenerator
    ) throws -> AuthorityRoot {
        let keyID = CertificateProfile.keyIdentifier(of: key.publicKey)
        let name = try CertificateProfile.rootName(trustDomain: trustDomain, using: &generator)
        let serial = UInt64.random(in: 1...UInt64(Int64.max), using: &generator)
        let certificate = try Certificate(
            version: .v3, serialNumber: .init(serial),
            publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-CertificateProfile.backdating),
            notValidAfter: now.addingTimeInterval(lifetime), issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: CertificateProfile.authority(
                trustDomain: trustDomain, subjectKey: keyID, issuerKey: keyID),
            issuerPrivateKey: .init(key))
        return try AuthorityRoot(
            certificateDER: CertificateProfile.der(certificate), privateKeyDER: SEC1.encode(key))
    }

    /// A root as it was stored. Throws when the parts do not belong together. `trustDomain` is that
    /// of a root which names none, as those of other programs.
    package init(
        certificateDER: [UInt8], privateKeyDER: SecretBytes, crossSignedDER: [[UInt8]] = [],
        rotatedOutAt: Date? = nil, trustDomain: TrustDomain? = nil
    ) throws {
        let certificate = try Self.parse(certificateDER)
        let key: P256.Signing.PrivateKey
        do {
            key = try SEC1.decode(privateKeyDER)
        } catch {
            throw MeshError(.invalid, "the key of a root cannot be read", cause: error)
        }
        guard certificate.publicKey == Certificate.PublicKey(key.publicKey) else {
            throw MeshError(
                .invalid, "root \(certificate.subject) has a key that is not its own")
        }
        self.id = Hex.text(Insecure.SHA1.hash(data: certificateDER), separator: ":")
        guard let domain = try Self.trustDomain(of: certificate) ?? trustDomain else {
            throw MeshError(.invalid, "root \(certificate.subject) names no trust domain")
        }
        self.trustDomain = domain
        self.certificateDER = certificateDER
        self.privateKeyDER = privateKeyDER
        self.crossSignedDER = crossSignedDER
        self.rotatedOutAt = rotatedOutAt
        self.serial = certificate.serialNumber.bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.signingKeyID = Hex.text(
            CertificateProfile.keyIdentifier(of: key.publicKey), separator: ":")
        self.notBefore = certificate.notValidBefore
        self.notAfter = certificate.notValidAfter
        self.certificate = certificate
        self.key = key
        self.keyID =
            (try? certificate.extensions.subjectKeyIdentifier).map { Array($0.keyIdentifier) }
            ?? CertificateProfile.keyIdentifier(of: key.publicKey)
    }

    private static func parse(_ der: [UInt8]) throws -> Certificate {
        do {
            return try Certificate(derEncoded: der)
        } catch {
            throw MeshError(.invalid, "the certificate of a root cannot be read", cause: error)
        }
    }

    /// nil: it names nothing at all.
    private static func trustDomain(of certificate: Certificate) throws -> TrustDomain? {
        let prefix = "spiffe://"
        let names = try certificate.extensions.subjectAlternativeNames.map(Array.init) ?? []
        if names.isEmpty { return nil }
        guard names.count == 1, case .uniformResourceIdentifier(let uri) = names[0],
            uri.hasPrefix(prefix)
        else {
            throw MeshError(
                .invalid, "root \(certificate.subject) has names that are no trust domain")
        }
        return try TrustDomain(String(uri.dropFirst(prefix.count)))
    }
}

extension AuthorityRoot {
    /// A new key and a certificate for a service of this root's domain.
    package func issue(
        _ id: SpiffeID, names: Set<String> = [], now: Date,
        lifetime: TimeInterval = LeafCertificate.lifetime,
        using generator: inout some RandomNumberGenerator
    ) throws -> LeafCertificate {
        guard id.trustDomain == trustDomain else {
            throw MeshError(
                .invalid, "\(id) is not of this mesh, whose trust domain is \(trustDomain.text)")
        }
        try refuseIfExpired(now: now)
        let key = P256.Signing.PrivateKey()
        let serial = Self.leafSerial(using: &generator)
        let begin = now.addingTimeInterval(-CertificateProfile.backdating)
        let leaf = try Certificate(
            version: .v3, serialNumber: .init(bytes: serial), publicKey: .init(key.publicKey),
            notValidBefore: begin,
            notValidAfter: min(begin.addingTimeInterval(lifetime), notAfter),
            issuer: certificate.subject, subject: DistinguishedName(),
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: CertificateProfile.leaf(
                id: id, names: names,
                subjectKey: CertificateProfile.keyIdentifier(of: key.publicKey),
                issuerKey: keyID),
            issuerPrivateKey: .init(self.key))
        return LeafCertificate(
            id: id, rootID: self.id,
            chainDER: [try CertificateProfile.der(leaf)] + crossSignedDER,
            privateKeyDER: try SEC1.encode(key), serial: serial,
            notBefore: leaf.notValidBefore, notAfter: leaf.notValidAfter)
    }

    /// The other root's name and key, signed by this one: who believes this root believes that one.
    package func crossSign(
        _ other: AuthorityRoot, now: Date, using generator: inout some RandomNumberGenerator
    ) throws -> [UInt8] {
        guard other.trustDomain == trustDomain else {
            throw MeshError(.invalid, "a root of \(other.trustDomain.text) is not of this mesh")
        }
        try refuseIfExpired(now: now)
        let signed = try Certificate(
            version: .v3,
            serialNumber: .init(UInt64.random(in: 1...UInt64(Int64.max), using: &generator)),
            publicKey: other.certificate.publicKey,
            notValidBefore: now.addingTimeInterval(-CertificateProfile.backdating),
            notValidAfter: min(
                now.addingTimeInterval(Self.crossSignedLifetime), notAfter, other.notAfter),
            issuer: certificate.subject, subject: other.certificate.subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: CertificateProfile.authority(
                trustDomain: trustDomain,
                subjectKey: other.keyID, issuerKey: keyID),
            issuerPrivateKey: .init(key))
        return try CertificateProfile.der(signed)
    }

    private func refuseIfExpired(now: Date) throws {
        guard now < notAfter else {
            throw MeshError(
                .unavailable, "the mesh root \(id) expired on \(notAfter): rotate to a new root")
        }
    }

    /// 127 random bits: positive, never zero, shorter than the 20 bytes that RFC 5280 allows.
    private static func leafSerial(using generator: inout some RandomNumberGenerator) -> [UInt8] {
        var bytes = generator.bytes(16)
        bytes[0] = bytes[0] & 0x3F | 0x40
        return bytes
    }
}
