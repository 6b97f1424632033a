import HTTPTypes
import Hummingbird

/// Which way a request came in.
package enum AdminTransport: Sendable {
    /// The unix socket, which file permissions guard.
    case socket
    /// The TCP address, which anybody who can reach it may use.
    case network
}

/// Who may change something: whoever can open the unix socket; over TCP, the bearer of the token, unless a
/// browser sends it on behalf of a page of somebody else.
struct WriteGuard<Context: RequestContext>: RouterMiddleware {
    let transport: AdminTransport
    let token: String?

    @concurrent func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        if transport == .network, let refusal = refusal(of: request) { return refusal }
        return try await next(request, context)
    }

    private func refusal(of request: Request) -> Response? {
        if let site = request.headers[.secFetchSite], site != "same-origin", site != "none" {
            return AdminErrors.response(.denied, "a page of another site may not change anything")
        }
        if let origin = request.headers[.origin], !isOwn(origin: origin, request: request) {
            return AdminErrors.response(.denied, "origin \(origin.prefix(200)) is not this server")
        }
        guard let token else {
            return AdminErrors.response(
                .denied,
                "changes over TCP need a token: set admin.token_file, or use the unix socket")
        }
        let given = request.headers[.authorization] ?? ""
        guard Self.equal(Array(given.utf8), Array("Bearer \(token)".utf8)) else {
            return AdminErrors.response(
                .denied, "the token is missing or wrong: send Authorization: Bearer TOKEN")
        }
        return nil
    }

    private func isOwn(origin: String, request: Request) -> Bool {
        guard let host = request.head.authority else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Compares in a time that depends on the lengths only.
    static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension HTTPField.Name {
    static var secFetchSite: Self { .init("Sec-Fetch-Site") ?? .origin }
}
