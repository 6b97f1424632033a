import Foundation
package import MeshClient
import MeshModel

/// An agent over HTTP, TLS or a unix socket.
package struct HTTPAgent: AgentTransport {
    private static let bodyLimit = 16 << 20

    private let settings: AgentSettings
    private let http: OutboundHTTP

    package init(_ settings: AgentSettings, http: OutboundHTTP) {
        self.settings = settings
        self.http = http
    }

    package var subject: String { settings.address.description }

    package func exchange(_ request: AgentRequest) async throws -> AgentAnswer {
        var query = request.query
        if let wait = request.wait {
            query.append(("wait", "\(wait.components.seconds)s"))
        }
        let path =
            query.isEmpty
            ? request.path
            : request.path + "?"
                + query.map { "\($0.0)=\(URLPath.encoded($0.1))" }.joined(separator: "&")
        // An agent adds up to a sixteenth to the wait, so that its clients do not come together.
        let held = request.wait.map { $0 + $0 / 16 } ?? .zero
        var outbound = OutboundRequest(
            request.method, url: try settings.address.url(path: path),
            headers: try headers(), body: request.body, timeout: held + request.timeout,
            bodyLimit: Self.bodyLimit, trust: settings.trust,
            tlsServerName: settings.tlsServerName)
        outbound.clientCertificate = settings.clientCertificate
        outbound.subject = subject
        let response = try await http.send(outbound)
        return AgentAnswer(
            status: response.status,
            headers: Dictionary(response.headers.map { ($0.name, $0.value) }) { $1 },
            body: response.body)
    }

    private func headers() throws -> [(String, String)] {
        var headers = [("Accept", "application/json"), ("User-Agent", "ringmesh-sidecar")]
        if let token = try token() { headers.append(("X-Consul-Token", token)) }
        if let pair = settings.basicAuthorization {
            headers.append(("Authorization", "Basic " + Data(pair.utf8).base64EncodedString()))
        }
        return headers
    }

    private func token() throws -> String? {
        switch settings.token {
        case .none: return nil
        case .text(let text): return text
        case .file(let path):
            do {
                return try String(contentsOfFile: path, encoding: .utf8)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
            } catch {
                throw MeshError(.system, "the token file \(path) cannot be read", cause: error)
            }
        }
    }
}
