package import Foundation
package import MeshModel
import SwiftASN1
import X509

/// A service's certificate with its key, as workers and API clients get it.
package struct LeafCertificate: Sendable, Equatable {
    /// 72 hours.
    package static let lifetime: TimeInterval = 72 * 3600

    package let id: SpiffeID
    /// The root that signed it.
    package let rootID: String
    /// The leaf first, then what a peer needs to reach a root that it knows.
    package let chainDER: [[UInt8]]
    /// SEC1 (RFC 5915); OpenSSL reads it with `d2i_AutoPrivateKey`.
    package let privateKeyDER: SecretBytes
    package let serial: [UInt8]
    package let notBefore: Date
    package let notAfter: Date

    package init(
        id: SpiffeID, rootID: String, chainDER: [[UInt8]], privateKeyDER: SecretBytes,
        serial: [UInt8], notBefore: Date, notAfter: Date
    ) {
        self.id = id
        self.rootID = rootID
        self.chainDER = chainDER
        self.privateKeyDER = privateKeyDER
        self.serial = serial
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// Tells this leaf from every other one of its service, and grows from second to second: times
    /// alone are the same for two that are made within one.
    package var version: UInt64 {
        let low = serial.suffix(3).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return UInt64(max(0, notBefore.timeIntervalSince1970)) << 24 | low
    }

    /// `aa:bb:…`
    package var serialText: String { Hex.text(serial, separator: ":") }
    /// The host names that it is for besides its identity.
    package var serverNames: Set<String> {
        guard let leaf = chainDER.first, let certificate = try? Certificate(derEncoded: leaf),
            let names = try? certificate.extensions.subjectAlternativeNames
        else { return [] }
        return Set(
            names.compactMap { name in
                if case .dnsName(let text) = name { return text }
                return nil
            })
    }
    package var chainPEM: String { PEM.certificates(chainDER) }
    /// As secret as the key.
    package var privateKeyPEM: String { PEM.privateKey(privateKeyDER) }
}
