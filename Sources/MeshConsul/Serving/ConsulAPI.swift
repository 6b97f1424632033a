package import MeshHTTP
import MeshModel
import MeshStore
package import MeshTelemetry

/// Serves groups of endpoints as Consul's agent serves its API.
package struct ConsulAPI: Responder {
    private let table: EndpointTable
    private let access: any AccessPolicy
    private let logger: Logger
    private let shared = SharedAnswers()

    package init(groups: [any EndpointGroup], access: any AccessPolicy, logger: Logger) {
        table = EndpointTable(groups)
        self.access = access
        self.logger = logger
    }

    /// Every path with its methods, for documents and tests.
    package var paths: [(path: String, methods: [String])] {
        table.endpoints.map { ($0.path, $0.methods.map(\.name)) }
    }

    package func bodyLimit(method: String, target: String) -> Int {
        guard let path = Self.path(of: target), let (endpoint, _) = table.find(path) else {
            return Endpoint.usualBodyLimit
        }
        return endpoint.bodyLimit
    }

    package func refusal(of target: String, limit: Int) -> ServerResponse {
        render(
            APIError(413, "Request body too large, max size: \(limit) bytes."), pretty: false)
    }

    /// The path with its escapes taken away, or nil when it has characters that no path has.
    private static func path(of target: String) -> String? {
        let raw = target.prefix { $0 != "?" }
        guard let path = PercentEscapes.decoded(raw.utf8),
            path.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
        else { return nil }
        return path
    }

    /// Waits where it must.
    @concurrent package func respond(to request: ServerRequest) async -> ServerResponse {
        var attempt = await attempt(request, held: nil)
        while true {
            switch attempt {
            case .now(let response): return response
            case .later(let hold):
                attempt = await self.attempt(request, held: await hold.outcome())
            }
        }
    }

    @concurrent package func answer(to request: ServerRequest) async -> ServerAnswer {
        await answer(request, nil)
    }

    /// The answer of a read that was held. Of all who are woken by one change and had asked the
    /// same, few make it.
    func answer(
        _ request: ServerRequest, _ held: Held, _ store: any StateStore
    ) async -> ServerAnswer {
        guard held.wasWoken, let key = SharedAnswers.Key(request, store) else {
            return await answer(request, held)
        }
        if let made = shared.answer(key, at: held.index) { return .now(made) }
        let answer = await answer(request, held)
        if case .now(let response) = answer { shared.keep(response, key, at: held.index) }
        return answer
    }

    /// What one of the others has made, if any.
    func shared(
        _ request: ServerRequest, _ held: Held, _ store: any StateStore
    ) -> ServerResponse? {
        guard held.wasWoken, let key = SharedAnswers.Key(request, store) else { return nil }
        return shared.answer(key, at: held.index)
    }

    /// Nothing but the request is kept while it is held.
    func answer(_ request: ServerRequest, _ held: Held?) async -> ServerAnswer {
        switch await attempt(request, held: held) {
        case .now(let response): .now(response)
        case .later(let hold): .later(HeldRead(request, hold, of: self))
        }
    }

    private enum Attempt {
        case now(ServerResponse)
        case later(Hold)
    }

    private func attempt(_ request: ServerRequest, held: Held?) async -> Attempt {
        guard let path = Self.path(of: request.target) else {
            return .now(ServerResponse(status: 400, headers: ["Content-Type": Self.plain]))
        }
        guard let (endpoint, tail) = table.find(path) else { return .now(Self.unknown(path)) }
        let isPretty = QueryItems(request.query).has("pretty")
        if request.method == "OPTIONS" {
            return .now(
                render(APIResponse(headers: ["Allow": endpoint.allow]), pretty: isPretty))
        }
        guard let handler = endpoint.methods.first(where: { $0.name == request.method })?.handler
        else {
            var response = render(
                APIError(405, "method \(request.method) not allowed"), pretty: isPretty)
            response.headers["Allow"] = endpoint.allow
            return .now(response)
        }
        do {
            let response = try await handler(APIRequest(request, tail: tail, held: held))
            if case .later(let hold) = response.content { return .later(hold) }
            return .now(render(response, pretty: isPretty))
        } catch let error as APIError {
            return .now(render(error, pretty: isPretty))
        } catch let error as MeshError {
            return .now(render(APIError(error), pretty: isPretty))
        } catch {
            logger.error(
                "a request of the Consul-compatible API failed",
                metadata: [LogKey.error: "\(error)", "path": "\(endpoint.path)"])
            return .now(render(APIError(500, "\(error)"), pretty: isPretty))
        }
    }

    private static let plain = "text/plain; charset=utf-8"

    /// What is no endpoint: clients tell an old server from a missing object by the empty body.
    private static func unknown(_ path: String) -> ServerResponse {
        guard path == "/" else { return ServerResponse(status: 404) }
        return ServerResponse(
            status: 301, headers: ["Location": "/ui/", "Content-Type": "text/html; charset=utf-8"])
    }

    private func render(_ error: APIError, pretty: Bool) -> ServerResponse {
        render(APIResponse(.text(error.text), status: error.status), pretty: pretty)
    }

    private func render(_ response: APIResponse, pretty: Bool) -> ServerResponse {
        var result = ServerResponse(status: response.status, headers: response.headers)
        result.headers["Vary"] = "Accept-Encoding"
        result.headers["X-Consul-Default-ACL-Policy"] = access.isDefaultAllow ? "allow" : "deny"
        switch response.content {
        case .none: break
        case .later: fatalError("a read that waits is no answer")
        case .json(let json):
            result.headers["Content-Type"] = "application/json"
            result.body = json.bytes(pretty: pretty)
        case .bytes(let bytes, let type):
            result.headers["Content-Type"] = type
            result.body = bytes
        }
        return result
    }
}
