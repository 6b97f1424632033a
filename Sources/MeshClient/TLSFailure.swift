import NIOSSL

/// Why a TLS connection could not be made, in words for those who must mend it.
enum TLSFailure {
    static func words(_ error: any Error) -> String {
        if error is NIOSSLExtraError { return "its certificate is not for this name" }
        guard case NIOSSLError.handshakeFailed(let failure) = error else { return "\(error)" }
        guard case .sslError(let stack) = failure, let first = stack.first else {
            return words(library: "\(failure)")
        }
        return words(library: first.description)
    }

    /// BoringSSL's text for one error ends in its reason and the place in its source:
    /// `…:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at …`.
    static func words(library text: String) -> String {
        let reason = text.split(separator: ":OPENSSL_internal:").last.map { tail in
            String(tail.prefix { $0 != " " })
        }
        switch reason {
        case "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST":
            return "it does not speak TLS: write http:// if that is meant"
        case "CERTIFICATE_VERIFY_FAILED":
            return "its certificate is not trusted here"
        case "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION":
            return "it speaks another version of TLS"
        case let reason? where text.contains(":OPENSSL_internal:"):
            return reason.lowercased().replacing("_", with: " ")
        default:
            return text.lowercased().contains("eof")
                ? "it closed the connection in the handshake" : text
        }
    }
}
