import Crypto
import Foundation
package import MeshModel

extension MeshError.Code {
    /// Sealed data was sealed with another key.
    package static let wrongKey = Self(rawValue: "wrong_key")
    /// Data on disk is damaged.
    package static let corrupt = Self(rawValue: "corrupt")
}

/// Seals secrets for storage, each under the name of its record, so that a sealed secret cannot be
/// moved to another record unnoticed.
///
/// ```
/// offset 0   "RMSB"                magic
///        4   1                     version
///        5   1                     algorithm: ChaCha20-Poly1305
///        6   key id, 8 bytes       first bytes of SHA-256 over a label and the key
///       14   nonce, 12 bytes
///       26   ciphertext
///      end   tag, 16 bytes         covers the ciphertext, the bytes above and the name
/// ```
/// A change of the format is a new version; this version reads version 1 only.
package struct SecretBox: Sendable {
    private static let magic = Array("RMSB".utf8)
    private static let version: UInt8 = 1
    private static let chaChaPoly: UInt8 = 1
    private static let headBytes = 14
    /// What sealing adds to a secret.
    package static let overheadBytes = headBytes + 12 + 16

    private let key: SymmetricKey
    private let keyID: [UInt8]

    /// `key` has 32 bytes.
    package init(key: SecretBytes) throws {
        guard key.exposed.count == 32 else {
            throw MeshError(.invalid, "a store key has 32 bytes, not \(key.exposed.count)")
        }
        self.key = SymmetricKey(data: key.exposed)
        var hash = SHA256()
        hash.update(data: Array("ringmesh store key id".utf8))
        hash.update(data: key.exposed)
        keyID = Array(hash.finalize().prefix(8))
    }

    /// By this a secret is found again; it is worth nothing without the store's key.
    package func digest(_ secret: String) -> [UInt8] {
        let own = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, info: Array("ringmesh token digest".utf8), outputByteCount: 32)
        return Array(HMAC<SHA256>.authenticationCode(for: Array(secret.utf8), using: own))
    }

    package func seal(_ secret: SecretBytes, name: String) throws -> [UInt8] {
        let head = Self.magic + [Self.version, Self.chaChaPoly] + keyID
        let box = try ChaChaPoly.seal(
            secret.exposed, using: key, authenticating: head + Array(name.utf8))
        return head + Array(box.combined)
    }

    package func open(_ sealed: [UInt8], name: String) throws -> SecretBytes {
        guard sealed.count >= Self.overheadBytes, sealed.starts(with: Self.magic) else {
            throw MeshError(.corrupt, "secret \(name) is damaged: it is not a sealed secret")
        }
        guard sealed[4] == Self.version, sealed[5] == Self.chaChaPoly else {
            throw MeshError(
                .invalid,
                "secret \(name) is sealed in form \(sealed[4]).\(sealed[5]), which this version "
                    + "does not know: use the version that wrote it, or a newer one")
        }
        guard sealed[6..<Self.headBytes].elementsEqual(keyID) else {
            throw MeshError(
                .wrongKey,
                "secret \(name) was sealed with another store key: point store.key_file to the "
                    + "key file that belongs to this database")
        }
        do {
            let box = try ChaChaPoly.SealedBox(combined: sealed[Self.headBytes...])
            let head = sealed.prefix(Self.headBytes)
            return SecretBytes(
                try ChaChaPoly.open(box, using: key, authenticating: head + Array(name.utf8)))
        } catch {
            throw MeshError(
                .corrupt, "secret \(name) is damaged or belongs to another record", cause: error)
        }
    }
}
