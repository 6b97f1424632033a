import SwiftASN1

/// Text forms of certificates and keys.
package enum PEM {
    /// Certificates one after the other, each ending in a newline.
    package static func certificates(_ chain: [[UInt8]]) -> String {
        chain.map { PEMDocument(type: "CERTIFICATE", derBytes: $0).pemString + "\n" }.joined()
    }

    /// A key in SEC1 form. The text is as secret as the key.
    package static func privateKey(_ sec1: SecretBytes) -> String {
        PEMDocument(type: "EC PRIVATE KEY", derBytes: sec1.exposed).pemString + "\n"
    }
}
