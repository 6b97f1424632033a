import Foundation
package import MeshClient
import MeshModel

/// Where a Consul agent is and how it is spoken to: what flags say, then the environment, then
/// Consul's own defaults.
package struct AgentSettings: Sendable, Equatable {
    package enum Token: Sendable, Equatable {
        case none
        case text(String)
        /// Read again for every request: whoever renews tokens replaces the file.
        case file(String)
    }

    package var address: ServerAddress
    package var token: Token
    package var trust: OutboundRequest.Trust
    /// PEM files that prove who asks.
    package var clientCertificate: OutboundRequest.ClientCertificate?
    /// The name that the agent's certificate must carry, when it is not the address's host.
    package var tlsServerName: String?
    /// `user:password` of a server in front that wants it.
    package var basicAuthorization: String?

    /// What the command line says; nil: nothing.
    package struct Flags: Sendable {
        package var address: String?
        package var token: String?
        package var tokenFile: String?
        package var rootsFile: String?
        package var clientCertificate: String?
        package var clientKey: String?
        package var tlsServerName: String?

        package init(
            address: String? = nil, token: String? = nil, tokenFile: String? = nil,
            rootsFile: String? = nil, clientCertificate: String? = nil, clientKey: String? = nil,
            tlsServerName: String? = nil
        ) {
            self.address = address
            self.token = token
            self.tokenFile = tokenFile
            self.rootsFile = rootsFile
            self.clientCertificate = clientCertificate
            self.clientKey = clientKey
            self.tlsServerName = tlsServerName
        }
    }

    /// Puts flags, environment and defaults together; throws the first thing that cannot be.
    package init(_ flags: Flags, environment: [String: String]) throws {
        func variable(_ name: String) -> String? {
            environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        for name in ["CONSUL_NAMESPACE", "CONSUL_PARTITION"] {
            guard let value = variable(name), value != "default" else { continue }
            throw MeshError(
                .invalid, "\(name) is \(value): only the namespace and partition default are known")
        }
        let secure = try variable("CONSUL_HTTP_SSL").map { try Self.bool($0, "CONSUL_HTTP_SSL") }
        address = try Self.address(
            flags.address ?? variable("CONSUL_HTTP_ADDR") ?? "127.0.0.1:8500",
            secure: secure ?? false)
        token = Self.token(flags, variable)
        if let file = flags.rootsFile ?? variable("CONSUL_CACERT") {
            trust = .roots(file: file)
        } else if let folder = variable("CONSUL_CAPATH") {
            trust = .roots(file: folder)
        } else {
            trust = .system
        }
        if let verify = variable("CONSUL_HTTP_SSL_VERIFY"),
            try !Self.bool(verify, "CONSUL_HTTP_SSL_VERIFY")
        {
            trust = .none
        }
        let certificate = flags.clientCertificate ?? variable("CONSUL_CLIENT_CERT")
        let key = flags.clientKey ?? variable("CONSUL_CLIENT_KEY")
        switch (certificate, key) {
        case (let certificate?, let key?):
            clientCertificate = .init(certificateFile: certificate, keyFile: key)
        case (nil, nil): clientCertificate = nil
        default:
            throw MeshError(
                .invalid,
                "a client certificate needs its key and the other way round: give both "
                    + "--client-cert and --client-key")
        }
        tlsServerName = flags.tlsServerName ?? variable("CONSUL_TLS_SERVER_NAME")
        basicAuthorization = variable("CONSUL_HTTP_AUTH")
    }

    /// A token of the flags comes first, then those that all of Consul's programs take, then the
    /// one that a managed proxy is given. Of a file and a text at the same place the file wins.
    private static func token(_ flags: Flags, _ variable: (String) -> String?) -> Token {
        let all: [Token?] = [
            flags.tokenFile.map { .file($0) }, flags.token.map { .text($0) },
            variable("CONSUL_HTTP_TOKEN_FILE").map { .file($0) },
            variable("CONSUL_HTTP_TOKEN").map { .text($0) },
            variable("CONNECT_PROXY_TOKEN").map { .text($0) },
            variable("CONSUL_PROXY_TOKEN").map { .text($0) },
        ]
        return all.compactMap { $0 }.first ?? .none
    }

    /// `host:port` with or without a scheme, or a socket's path.
    private static func address(_ text: String, secure: Bool) throws -> ServerAddress {
        if text.hasPrefix("unix://") { return try ServerAddress(text) }
        if text.contains("://") {
            let upgraded =
                secure && text.lowercased().hasPrefix("http://")
                ? "https://" + text.dropFirst("http://".count) : text
            return try ServerAddress(upgraded)
        }
        return try ServerAddress((secure ? "https://" : "http://") + text)
    }

    /// The spellings that Go's `ParseBool` takes.
    private static func bool(_ text: String, _ name: String) throws -> Bool {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default: throw MeshError(.invalid, "\(name) is \(text): write true or false")
        }
    }
}
