import Crypto
package import Foundation
package import MeshModel
import SwiftASN1
import X509

/// A root that was made elsewhere and is handed over with its key, in two PEM files.
package enum AuthorityFiles {
    /// Reads and checks the root. It must be an authority with a P-256 key, and sign itself;
    /// `trustDomain` is that of the mesh, which a root may name and no other one.
    package static func load(
        certificate path: String, key keyPath: String, trustDomain: TrustDomain
    ) throws -> AuthorityRoot {
        try root(
            in: try CertificateFiles.pem(path), named: path,
            key: try CertificateFiles.pem(keyPath), named: keyPath, trustDomain)
    }

    /// The same of texts that somebody has sent.
    package static func root(
        certificatePEM: String, keyPEM: String, trustDomain: TrustDomain
    ) throws -> AuthorityRoot {
        func documents(_ text: String, _ what: String) throws -> [PEMDocument] {
            do {
                return try PEMDocument.parseMultiple(pemString: text)
            } catch {
                throw MeshError(.invalid, "\(what) is not in PEM form", cause: error)
            }
        }
        return try root(
            in: try documents(certificatePEM, "RootCert"), named: "RootCert",
            key: try documents(keyPEM, "PrivateKey"), named: "PrivateKey", trustDomain)
    }

    /// A new root with a key that somebody has sent.
    package static func madeRoot(
        keyPEM: String, trustDomain: TrustDomain, now: Date, lifetime: TimeInterval,
        using generator: inout some RandomNumberGenerator
    ) throws -> AuthorityRoot {
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: keyPEM) else {
            throw MeshError(
                .invalid, "PrivateKey is no P-256 key in PEM form, without a passphrase")
        }
        return try .make(
            key, trustDomain: trustDomain, now: now, lifetime: lifetime, using: &generator)
    }

    private static func root(
        in all: [PEMDocument], named path: String, key keys: [PEMDocument], named keyPath: String,
        _ trustDomain: TrustDomain
    ) throws -> AuthorityRoot {
        let documents = all.filter { $0.discriminator == "CERTIFICATE" }
        guard documents.count == 1, let document = documents.first else {
            throw MeshError(
                .invalid,
                "\(path) holds \(documents.count) certificates: it must be the root alone")
        }
        let certificate: Certificate
        do {
            certificate = try Certificate(pemDocument: document)
        } catch {
            throw MeshError(.invalid, "the certificate in \(path) cannot be read", cause: error)
        }
        try check(certificate, path)
        let root: AuthorityRoot
        do {
            root = try AuthorityRoot(
                certificateDER: document.derBytes, privateKeyDER: try key(in: keys, keyPath),
                trustDomain: trustDomain)
        } catch let error as MeshError {
            throw MeshError(
                .invalid, "\(path) with the key \(keyPath) is no root of this mesh: \(error)")
        }
        guard root.trustDomain == trustDomain else {
            throw MeshError(
                .invalid, "\(path) is of \(root.trustDomain.text), not of \(trustDomain.text)")
        }
        return root
    }

    private static func check(_ certificate: Certificate, _ path: String) throws {
        guard case .isCertificateAuthority? = try certificate.extensions.basicConstraints else {
            throw MeshError(.invalid, "\(path) is no authority: its basic constraints lack CA:TRUE")
        }
        if let usage = try certificate.extensions.keyUsage, !usage.keyCertSign {
            throw MeshError(.invalid, "\(path) may not sign certificates, by its key usage")
        }
        guard certificate.issuer == certificate.subject,
            certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
        else {
            throw MeshError(
                .invalid, "\(path) is not signed by itself: give the root, not an intermediate")
        }
    }

    /// The key as SEC1, whichever way it was written.
    private static func key(in all: [PEMDocument], _ path: String) throws -> SecretBytes {
        guard let document = all.first(where: { $0.discriminator.hasSuffix("PRIVATE KEY") }) else {
            throw MeshError(.invalid, "\(path) holds no private key in PEM form")
        }
        do {
            return try SEC1.encode(P256.Signing.PrivateKey(pemRepresentation: document.pemString))
        } catch {
            throw MeshError(
                .invalid, "\(path) holds no P-256 key without a passphrase", cause: error)
        }
    }
}
