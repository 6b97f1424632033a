import Foundation
import MeshHTTP
import MeshModel
import MeshTelemetry

/// A request with what its path says.
struct AdminRequest: Sendable {
    let http: ServerRequest
    /// What stands where the route has `:name`, escapes taken away.
    let parameters: [String: String]

    var query: QueryItems { QueryItems(http.query) }
}

/// One path of the API, for example `v1/checks/:id/pass`.
struct AdminRoute: Sendable {
    typealias Handler = @Sendable @concurrent (AdminRequest) async throws -> ServerResponse
    /// Methods of one path.
    typealias Methods = [String: Handler]

    let segments: [Substring]
    let methods: Methods
    /// Lets a request through when it does not throw.
    let check: @Sendable (ServerRequest) throws -> Void

    /// What stands at the parameters as it was sent, or nil when the path is another one.
    func parameters(of path: [Substring]) -> [String: Substring]? {
        guard path.count == segments.count else { return nil }
        var found: [String: Substring] = [:]
        for (own, sent) in zip(segments, path) {
            if own.hasPrefix(":") {
                found[String(own.dropFirst())] = sent
            } else if own != sent {
                return nil
            }
        }
        return found
    }
}

/// Finds who answers, and turns what is thrown into the API's error answers.
struct AdminResponder: Responder {
    let routes: [AdminRoute]
    let logger: Logger

    func bodyLimit(method: String, target: String) -> Int { AdminRoutes.bodyLimit }

    func refusal(of target: String, limit: Int) -> ServerResponse {
        AdminErrors.response(
            status: 413, code: "too_large", message: "a body has at most \(limit) bytes")
    }

    @concurrent func respond(to request: ServerRequest) async -> ServerResponse {
        do {
            return try await answer(request)
        } catch let error as MeshError {
            return AdminErrors.response(error.code, error.description)
        } catch let error as DecodingError {
            return AdminErrors.response(.invalid, AdminErrors.words(for: error))
        } catch {
            logger.error("an admin request failed", metadata: [LogKey.error: "\(error)"])
            return AdminErrors.response(
                status: 500, code: "internal",
                message: "\(error): please report it with the log of this moment")
        }
    }

    private func answer(_ request: ServerRequest) async throws -> ServerResponse {
        let path = request.path.split(separator: "/")
        for route in routes {
            guard let sent = route.parameters(of: path) else { continue }
            try route.check(request)
            let parameters = try sent.mapValues { raw in
                guard let value = PercentEscapes.decoded(raw.utf8) else {
                    throw MeshError(.invalid, "\(raw) in the path is not encoded well")
                }
                return value
            }
            // The server sends no body for HEAD.
            let method = request.method == "HEAD" ? "GET" : request.method
            guard let handler = route.methods[method] else {
                return Self.refusal(of: request, methods: route.methods)
            }
            return try await handler(AdminRequest(http: request, parameters: parameters))
        }
        return AdminErrors.response(.notFound, "there is no \(request.path.prefix(200)) here")
    }

    private static func refusal(
        of request: ServerRequest, methods: AdminRoute.Methods
    ) -> ServerResponse {
        var allowed = Set(methods.keys)
        if allowed.contains("GET") { allowed.insert("HEAD") }
        let allow = allowed.sorted().joined(separator: ", ")
        var response = AdminErrors.response(
            status: 405, code: "method_not_allowed", message: "\(request.path) takes \(allow)")
        response.headers["Allow"] = allow
        return response
    }
}
