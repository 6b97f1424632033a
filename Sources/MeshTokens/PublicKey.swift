import Crypto
import CryptoExtras
import Foundation
import MeshModel

/// A key that signatures are checked with.
enum PublicKey: Sendable {
    case rsa(_RSA.Signing.PublicKey)
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)
    case p521(P521.Signing.PublicKey)
    case ed25519(Curve25519.Signing.PublicKey)

    /// Whether the key has made this signature over the bytes by an algorithm for its kind.
    func hasSigned(_ data: [UInt8], _ signature: [UInt8], by algorithm: String) -> Bool {
        switch (self, algorithm) {
        case (.rsa(let key), "RS256"): Self.pkcs(key, SHA256.hash(data: data), signature)
        case (.rsa(let key), "RS384"): Self.pkcs(key, SHA384.hash(data: data), signature)
        case (.rsa(let key), "RS512"): Self.pkcs(key, SHA512.hash(data: data), signature)
        case (.rsa(let key), "PS256"): Self.pss(key, SHA256.hash(data: data), signature)
        case (.rsa(let key), "PS384"): Self.pss(key, SHA384.hash(data: data), signature)
        case (.rsa(let key), "PS512"): Self.pss(key, SHA512.hash(data: data), signature)
        case (.p256(let key), "ES256"):
            (try? P256.Signing.ECDSASignature(rawRepresentation: signature)).map {
                key.isValidSignature($0, for: SHA256.hash(data: data))
            } ?? false
        case (.p384(let key), "ES384"):
            (try? P384.Signing.ECDSASignature(rawRepresentation: signature)).map {
                key.isValidSignature($0, for: SHA384.hash(data: data))
            } ?? false
        case (.p521(let key), "ES512"):
            (try? P521.Signing.ECDSASignature(rawRepresentation: signature)).map {
                key.isValidSignature($0, for: SHA512.hash(data: data))
            } ?? false
        case (.ed25519(let key), "EdDSA"):
            key.isValidSignature(signature, for: data)
        default: false
        }
    }

    private static func pkcs(
        _ key: _RSA.Signing.PublicKey, _ digest: some Digest, _ signature: [UInt8]
    ) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: digest,
            padding: .insecurePKCS1v1_5)
    }

    private static func pss(
        _ key: _RSA.Signing.PublicKey, _ digest: some Digest, _ signature: [UInt8]
    ) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: .PSS)
    }
}

extension PublicKey {
    /// The key that a member of a key set describes; throws why it cannot be used.
    init(_ jwk: DataValue) throws {
        func bytes(_ name: String) throws -> [UInt8] {
            guard let text = jwk[member: name]?.string, let bytes = Base64Text.decode(text) else {
                throw MeshError(.invalid, "its \(name) is missing or not base64url")
            }
            return bytes
        }
        switch (jwk[member: "kty"]?.string, jwk[member: "crv"]?.string) {
        case ("RSA", _):
            let modulus = try bytes("n")
            guard modulus.drop(while: { $0 == 0 }).count >= 256 else {
                throw MeshError(.invalid, "an RSA key of less than 2048 bits")
            }
            self = .rsa(try _RSA.Signing.PublicKey(n: modulus, e: try bytes("e")))
        case ("EC", "P-256"):
            self = .p256(
                try P256.Signing.PublicKey(rawRepresentation: try bytes("x") + bytes("y")))
        case ("EC", "P-384"):
            self = .p384(
                try P384.Signing.PublicKey(rawRepresentation: try bytes("x") + bytes("y")))
        case ("EC", "P-521"):
            self = .p521(
                try P521.Signing.PublicKey(rawRepresentation: try bytes("x") + bytes("y")))
        case ("OKP", "Ed25519"):
            self = .ed25519(
                try Curve25519.Signing.PublicKey(rawRepresentation: try bytes("x")))
        case (let kind, let curve):
            let what = [kind, curve].compactMap(\.self).joined(separator: " ")
            throw MeshError(.invalid, "\(what.isEmpty ? "no kty" : what) is not known")
        }
    }
}

extension DataValue {
    /// The member of an object by its exact name, as the formats of tokens have it.
    subscript(member name: String) -> DataValue? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }
}
