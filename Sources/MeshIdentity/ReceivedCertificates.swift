package import Foundation
import MeshModel
import SwiftASN1
import X509

/// A certificate of a mesh whose authority is elsewhere.
package struct ReceivedCertificate: Sendable, Equatable {
    package let der: [UInt8]
    package let notBefore: Date
    package let notAfter: Date

    package var pem: String { PEM.certificates([der]) }

    /// Reads the first certificate of a text.
    package init(pem: String) throws {
        do {
            let document = try PEMDocument(pemString: pem)
            let certificate = try Certificate(pemDocument: document)
            self.der = document.derBytes
            self.notBefore = certificate.notValidBefore
            self.notAfter = certificate.notValidAfter
        } catch {
            throw MeshError(.invalid, "the certificate of a root cannot be read", cause: error)
        }
    }
}

extension LeafCertificate {
    /// A leaf that another authority has made, with its key: everything that is needed of it is
    /// read from the certificate itself, and the key must be the one that it is about.
    package init(receivedPEM pem: String, keyPEM: String) throws {
        let documents: [PEMDocument]
        let chain: [Certificate]
        let key: PEMDocument
        let secret: Certificate.PrivateKey
        do {
            documents = try PEMDocument.parseMultiple(pemString: pem)
            chain = try documents.map { try Certificate(pemDocument: $0) }
            key = try PEMDocument(pemString: keyPEM)
            secret = try Certificate.PrivateKey(pemDocument: key)
        } catch {
            // The library's words may hold parts of what it read: a key is not repeated.
            throw MeshError(.invalid, "a leaf or its key cannot be read")
        }
        guard let leaf = chain.first else {
            throw MeshError(.invalid, "a leaf came without a certificate")
        }
        guard secret.publicKey == leaf.publicKey else {
            throw MeshError(.invalid, "the key of a leaf does not belong to it")
        }
        let names = (try? leaf.extensions.subjectAlternativeNames).map { Array($0) } ?? []
        let uris = names.compactMap { name -> String? in
            if case .uniformResourceIdentifier(let text) = name { return text }
            return nil
        }
        guard let uri = uris.first else {
            throw MeshError(.invalid, "a leaf names no identity")
        }
        self.init(
            id: try SpiffeID(uri), rootID: "", chainDER: documents.map(\.derBytes),
            privateKeyDER: SecretBytes(key.derBytes), serial: Array(leaf.serialNumber.bytes),
            notBefore: leaf.notValidBefore, notAfter: leaf.notValidAfter)
    }
}
