import Crypto
import SwiftASN1

/// The key form of RFC 5915 ("EC PRIVATE KEY"), which both Consul's clients and OpenSSL read.
enum SEC1 {
    /// The key as DER: version, scalar, curve, public point.
    static func encode(_ key: P256.Signing.PrivateKey) throws -> SecretBytes {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { sequence in
            try sequence.serialize(1)
            try sequence.serialize(ASN1OctetString(contentBytes: Array(key.rawRepresentation)[...]))
            try sequence.serialize(
                ASN1ObjectIdentifier.NamedCurves.secp256r1, explicitlyTaggedWithTagNumber: 0,
                tagClass: .contextSpecific)
            let point = ASN1BitString(bytes: Array(key.publicKey.x963Representation)[...])
            try sequence.serialize(
                point, explicitlyTaggedWithTagNumber: 1, tagClass: .contextSpecific)
        }
        return SecretBytes(serializer.serializedBytes)
    }

    static func decode(_ der: SecretBytes) throws -> P256.Signing.PrivateKey {
        try P256.Signing.PrivateKey(derRepresentation: der.exposed)
    }
}
