import Foundation
import MeshModel

/// The way to a control plane's API: an address, a token, JSON in and out.
package struct APIClient: Sendable {
    private let address: ServerAddress
    private let token: String?
    private let http: OutboundHTTP
    private let timeout: Duration
    private let bodyLimit: Int

    /// `token` is sent as a bearer token.
    package init(
        _ address: ServerAddress, token: String? = nil, http: OutboundHTTP,
        timeout: Duration = .seconds(30), bodyLimit: Int = 64 << 20
    ) {
        self.address = address
        self.token = token
        self.http = http
        self.timeout = timeout
        self.bodyLimit = bodyLimit
    }

    /// Asks and returns the answer if its status is 2xx; other answers are thrown as errors.
    package func request(
        _ method: String, _ path: String, json body: [UInt8]? = nil, timeout: Duration? = nil
    ) async throws -> OutboundResponse {
        let response = try await answer(method, path, json: body, timeout: timeout)
        guard (200...299).contains(response.status) else { throw Self.failure(response) }
        return response
    }

    /// Asks and returns the answer whatever its status.
    package func answer(
        _ method: String, _ path: String, json body: [UInt8]? = nil, timeout: Duration? = nil
    ) async throws -> OutboundResponse {
        var request = OutboundRequest(
            method, url: try address.url(path: path), headers: [("Accept", "application/json")],
            body: body, timeout: timeout ?? self.timeout, bodyLimit: bodyLimit)
        request.subject = address.description
        if body != nil { request.headers.append(("Content-Type", "application/json")) }
        if let token { request.headers.append(("Authorization", "Bearer \(token)")) }
        do {
            return try await http.send(request)
        } catch let error as MeshError where error.code == .unavailable {
            throw MeshError(
                error.code, "\(error.message): is the control plane running?", cause: error.cause)
        }
    }

    /// Reads a value.
    package func get<Value: Decodable>(
        _ path: String, as type: Value.Type = Value.self
    ) async throws -> Value {
        try await request("GET", path).decoded(as: type)
    }

    /// Sends a value; the answer is returned as it came.
    package func send(
        _ method: String, _ path: String, _ value: some Encodable, timeout: Duration? = nil
    ) async throws -> OutboundResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try await request(
            method, path, json: Array(encoder.encode(value)), timeout: timeout)
    }

    private struct Failure: Decodable {
        var code: String?
        var message: String
    }

    /// The error that the server told, `{"code": …, "message": …}`, or its text.
    static func failure(_ response: OutboundResponse) -> MeshError {
        if let told = try? response.decoded(as: Failure.self) {
            return MeshError(told.code.map(MeshError.Code.init) ?? .refused, told.message)
        }
        let text = response.text.trimmingCharacters(in: .whitespacesAndNewlines).prefix(500)
        let reason = text.isEmpty ? "" : ": \(text)"
        return MeshError(.refused, "the server answered \(response.status)\(reason)")
    }
}
