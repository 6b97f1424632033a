package import Foundation
import MeshModel
import SwiftASN1
import X509

/// A certificate with its key as an operator gives them: two PEM files. Everything about them is
/// checked here, so that a mistake is told with the file's name before anything is published.
package struct CertificateFiles: Sendable, Equatable {
    /// DER, one behind the other: the leaf first, then the rest in the order of the file.
    package let chainDER: [UInt8]
    /// Of the leaf's key; else it is an ECDSA or EdDSA key.
    package let isRSA: Bool
    /// PKCS #8, SEC1 or PKCS #1.
    package let privateKeyDER: SecretBytes
    /// The DNS names of the leaf; `*.example.com` among them.
    package let names: [String]
    package let notBefore: Date
    package let notAfter: Date
    /// When the younger of the files was last changed, in milliseconds of Unix time.
    package let version: UInt64

    /// Bytes of one file that are read.
    private static let limit = 1 << 20

    /// Reads and checks a certificate chain and its key.
    package static func load(certificate: String, key: String) throws -> CertificateFiles {
        let chain = try certificates(in: certificate)
        let documents = try pem(key)
        guard let document = documents.first(where: { $0.discriminator.hasSuffix("PRIVATE KEY") })
        else { throw MeshError(.invalid, "\(key) holds no private key in PEM form") }
        guard document.discriminator != "ENCRYPTED PRIVATE KEY" else {
            throw MeshError(.invalid, "\(key) is encrypted: store the key without a passphrase")
        }
        let secret: Certificate.PrivateKey
        do {
            secret = try Certificate.PrivateKey(pemDocument: document)
        } catch {
            throw MeshError(.invalid, "the private key in \(key) cannot be used", cause: error)
        }
        let leaf = chain[0].parsed
        guard secret.publicKey == leaf.publicKey else {
            throw MeshError(.invalid, "the key in \(key) does not belong to \(certificate)")
        }
        return CertificateFiles(
            chainDER: chain.flatMap(\.der), isRSA: isRSA(leaf.publicKey),
            privateKeyDER: SecretBytes(document.derBytes),
            names: names(of: leaf), notBefore: leaf.notValidBefore, notAfter: leaf.notValidAfter,
            version: max(try changed(certificate), try changed(key)))
    }

    /// The certificates in a file, DER, one behind the other.
    package static func authorities(_ path: String) throws -> [UInt8] {
        try certificates(in: path).flatMap(\.der)
    }

    /// The lists of revoked certificates in a file, DER, one behind the other. Whoever uses them
    /// reads what is in them; here is seen that they are such lists.
    package static func revocations(_ path: String) throws -> [UInt8] {
        let found = try pem(path).filter { $0.discriminator == "X509 CRL" }
        guard !found.isEmpty else {
            throw MeshError(.invalid, "\(path) holds no revocation list in PEM form")
        }
        return try found.enumerated().flatMap { index, document in
            // RFC 5280 5.1: the list, how it is signed, the signature.
            let list = try? DER.parse(document.derBytes)
            guard case .constructed(let parts)? = list?.content, list?.identifier == .sequence,
                parts.map(\.identifier) == [.sequence, .sequence, .bitString]
            else {
                throw MeshError(
                    .invalid, "revocation list \(index + 1) of \(path) cannot be read")
            }
            return document.derBytes
        }
    }

    private static func certificates(
        in path: String
    ) throws -> [(parsed: Certificate, der: [UInt8])] {
        let found = try pem(path).filter { $0.discriminator == "CERTIFICATE" }
        guard !found.isEmpty else {
            throw MeshError(.invalid, "\(path) holds no certificate in PEM form")
        }
        return try found.enumerated().map { index, document in
            do {
                return (try Certificate(pemDocument: document), document.derBytes)
            } catch {
                throw MeshError(
                    .invalid, "certificate \(index + 1) of \(path) cannot be read", cause: error)
            }
        }
    }

    /// An RSA key is a DER sequence of two numbers; the others are points of at most 133 bytes.
    private static func isRSA(_ key: Certificate.PublicKey) -> Bool {
        let bytes = key.subjectPublicKeyInfoBytes
        return bytes.first == 0x30 && bytes.count > 133
    }

    private static func names(of leaf: Certificate) -> [String] {
        let all = (try? leaf.extensions.subjectAlternativeNames).map { Array($0) } ?? []
        return all.compactMap { name in
            if case .dnsName(let text) = name { return text.lowercased() }
            return nil
        }
    }

    /// What stands in a PEM file.
    static func pem(_ path: String) throws -> [PEMDocument] {
        let text: String
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            let data = try file.read(upToCount: limit + 1) ?? Data()
            guard data.count <= limit else {
                throw MeshError(.invalid, "\(path) is longer than \(limit) bytes: no PEM file")
            }
            text = String(decoding: data, as: UTF8.self)
        } catch let error as MeshError {
            throw error
        } catch {
            throw MeshError(.invalid, "\(path) cannot be read", cause: error)
        }
        do {
            return try PEMDocument.parseMultiple(pemString: text)
        } catch {
            throw MeshError(.invalid, "\(path) is not a PEM file", cause: error)
        }
    }

    private static func changed(_ path: String) throws -> UInt64 {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        let date = attributes[.modificationDate] as? Date ?? .distantPast
        return date.milliseconds
    }
}

extension Date {
    /// Whole milliseconds of Unix time; 0 for times before it.
    package var milliseconds: UInt64 {
        UInt64(max(0, (timeIntervalSince1970 * 1000).rounded(.down)))
    }
}
