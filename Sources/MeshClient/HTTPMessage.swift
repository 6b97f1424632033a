import Foundation
package import MeshModel

extension MeshError.Code {
    /// An answer is larger than the asker takes.
    package static let tooLarge = Self(rawValue: "too_large")
    /// A TLS connection could not be made: the certificate is not good, or there is no TLS.
    package static let tls = Self(rawValue: "tls")
    /// The server answered with an error that has no code of its own.
    package static let refused = Self(rawValue: "refused")
}

/// A request to somebody else.
package struct OutboundRequest: Sendable {
    /// What to do with an answer above `bodyLimit`.
    package enum Excess: Sendable {
        /// It is an error.
        case fail
        /// Take what fits and drop the rest.
        case cut
    }

    /// How a server's certificate is judged.
    package enum Trust: Sendable, Equatable {
        case system
        /// By the roots in this PEM file, or in the files of this folder, only.
        case roots(file: String)
        /// Not at all: for health checks that say so.
        case none
    }

    /// What proves to a server who asks: PEM files.
    package struct ClientCertificate: Sendable, Equatable {
        package var certificateFile: String
        package var keyFile: String

        package init(certificateFile: String, keyFile: String) {
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }
    }

    package var method: String
    package var url: String
    /// The address as people know it, for messages.
    package var subject: String
    package var headers: [(String, String)]
    package var body: [UInt8]?
    /// From the first step of connecting to the last byte of the answer.
    package var timeout: Duration
    package var bodyLimit: Int
    package var excess: Excess
    package var trust: Trust
    /// The name that the server's certificate must carry, when it is not the URL's host.
    package var tlsServerName: String?
    package var clientCertificate: ClientCertificate?

    package init(
        _ method: String = "GET", url: String, headers: [(String, String)] = [],
        body: [UInt8]? = nil, timeout: Duration = .seconds(10), bodyLimit: Int = 1 << 20,
        excess: Excess = .fail, trust: Trust = .system, tlsServerName: String? = nil
    ) {
        self.method = method
        self.url = url
        self.subject = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.bodyLimit = bodyLimit
        self.excess = excess
        self.trust = trust
        self.tlsServerName = tlsServerName
    }
}

/// The answer to a request, whole.
package struct OutboundResponse: Sendable {
    package let status: Int
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]
    /// Whether the body was longer than the asker took.
    package let isCut: Bool

    package init(
        status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        isCut: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.isCut = isCut
    }

    /// The first header of this name, compared without case.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The body as text; what is not UTF-8 becomes replacement characters.
    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The body read as JSON.
    package func decoded<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw MeshError(.invalid, "the server's answer is not what was expected", cause: error)
        }
    }
}
