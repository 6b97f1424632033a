import Foundation
import MeshModel

/// A token taken apart. Nothing of it is believed before its signature is.
struct SignedToken {
    let algorithm: String
    /// The name of the key; nil: it names none.
    let keyID: String?
    let claims: DataValue
    /// What was signed.
    let signed: [UInt8]
    let signature: [UInt8]

    /// nil: the bytes are no signed token that this version understands.
    init?(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0x2e, omittingEmptySubsequences: false)
        guard parts.count == 3, let head = Self.object(parts[0]),
            let claims = Self.object(parts[1]), let signature = Base64Text.decode(parts[2]),
            let algorithm = head[member: "alg"]?.string, head[member: "crit"] == nil
        else { return nil }
        self.algorithm = algorithm
        keyID = head[member: "kid"]?.string
        self.claims = claims
        signed = Array(bytes[..<parts[1].endIndex])
        self.signature = signature
    }

    private static func object(_ text: ArraySlice<UInt8>) -> DataValue? {
        guard let bytes = Base64Text.decode(text),
            let value = try? JSONDecoder().decode(DataValue.self, from: Data(bytes)),
            case .object = value
        else { return nil }
        return value
    }
}
