import AsyncHTTPClient
import Foundation
import MeshModel
import NIOCore
import NIOHTTP1
import NIOSSL

/// Makes HTTP requests to others. One for the life of the program; `shutdown` ends it.
///
/// Redirects are answers like any other, nothing is retried, no proxy is taken from the
/// environment: what the caller asked for happens, once.
package final class OutboundHTTP: Sendable {
    private let client: HTTPClient

    /// `connectionsPerHost` are kept to one host at a time; further requests wait for one of them.
    package init(connectionsPerHost: Int = 8) {
        var configuration = Self.configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connectionsPerHost
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Closes idle connections and fails requests under way.
    package func shutdown() async throws {
        try await client.shutdown()
    }

    /// Runs a body with a client of its own, which is shut down afterwards.
    package static func withClient<Value: Sendable>(
        _ body: (OutboundHTTP) async throws -> Value
    ) async throws -> Value {
        let http = OutboundHTTP()
        do {
            let value = try await body(http)
            try await http.shutdown()
            return value
        } catch {
            // The first error is the one to tell; the process is about to drop the client anyway.
            try? await http.shutdown()
            throw error
        }
    }

    private static func configuration() -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        return configuration
    }

    /// Sends a request and reads the whole answer, whatever its status.
    package func send(_ request: OutboundRequest) async throws -> OutboundResponse {
        guard let name = request.tlsServerName else { return try await run(request, on: client) }
        // The name asked for in TLS is the URL's host to the library, so such a request gets a
        // client that resolves this name to the real host.
        guard var parts = URLComponents(string: request.url), let host = parts.host else {
            throw MeshError(.invalid, "\(request.subject) is not a URL")
        }
        var renamed = request
        let authority = parts.port.map { "\(host):\($0)" } ?? host
        parts.host = name
        renamed.url = parts.string ?? request.url
        if !request.headers.contains(where: { $0.0.lowercased() == "host" }) {
            renamed.headers.append(("Host", authority))
        }
        var configuration = Self.configuration()
        configuration.dnsOverride = [name: host.trimmingCharacters(in: ["[", "]"])]
        let own = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let result: Result<OutboundResponse, any Error>
        do {
            result = .success(try await run(renamed, on: own))
        } catch {
            result = .failure(error)
        }
        try await own.shutdown()
        return try result.get()
    }

    private func run(
        _ request: OutboundRequest, on client: HTTPClient
    ) async throws -> OutboundResponse {
        let prepared = try Self.prepare(request)
        do {
            return try await withDeadline(request.timeout) {
                let response = try await client.execute(
                    prepared, deadline: .now() + TimeAmount(request.timeout))
                return try await Self.collect(response, for: request)
            }
        } catch {
            throw ConnectFailure.describe(
                error, subject: request.subject, timeout: request.timeout)
        }
    }

    private static func prepare(_ request: OutboundRequest) throws -> HTTPClientRequest {
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(isTokenByte) else {
            throw MeshError(.invalid, "\(request.method.debugDescription) is not an HTTP method")
        }
        var prepared = HTTPClientRequest(url: request.url)
        prepared.method = HTTPMethod(rawValue: request.method)
        for (name, value) in request.headers { prepared.headers.add(name: name, value: value) }
        if let body = request.body { prepared.body = .bytes(ByteBuffer(bytes: body)) }
        if request.trust != .system || request.clientCertificate != nil {
            var tls = TLSConfiguration.makeClientConfiguration()
            switch request.trust {
            case .system: break
            case .roots(let file): tls.trustRoots = .file(file)
            case .none: tls.certificateVerification = .none
            }
            if let files = request.clientCertificate { try present(files, &tls) }
            prepared.tlsConfiguration = tls
        }
        return prepared
    }

    /// The files are read for every request, so that one that was replaced counts from the next.
    private static func present(
        _ files: OutboundRequest.ClientCertificate, _ tls: inout TLSConfiguration
    ) throws {
        do {
            tls.certificateChain = try NIOSSLCertificate.fromPEMFile(files.certificateFile)
                .map { .certificate($0) }
        } catch {
            throw MeshError(
                .invalid, "the client certificate \(files.certificateFile) cannot be read",
                cause: error)
        }
        do {
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: files.keyFile, format: .pem))
        } catch {
            throw MeshError(
                .invalid, "the key \(files.keyFile) of the client certificate cannot be read",
                cause: error)
        }
    }

    /// RFC 9110 §5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func collect(
        _ response: HTTPClientResponse, for request: OutboundRequest
    ) async throws -> OutboundResponse {
        var body: [UInt8] = []
        var isCut = false
        for try await part in response.body {
            let room = request.bodyLimit - body.count
            body.append(contentsOf: part.readableBytesView.prefix(room))
            guard part.readableBytes > room else { continue }
            if request.excess == .fail {
                throw MeshError(
                    .tooLarge,
                    "the answer of \(request.subject) is larger than \(request.bodyLimit) bytes")
            }
            isCut = true
            break
        }
        return OutboundResponse(
            status: Int(response.status.code),
            headers: response.headers.map { (name: $0.name, value: $0.value) }, body: body,
            isCut: isCut)
    }
}
