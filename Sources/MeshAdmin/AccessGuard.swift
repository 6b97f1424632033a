import HTTPTypes
import Hummingbird
import MeshModel
import NIOCore

/// Which way a request came in.
enum AdminTransport: Sendable {
    /// The unix socket, which file permissions guard.
    case socket
    /// The TCP address, which anybody who can reach it may use.
    case network
}

/// Who may do what.
///
/// Whoever can open the unix socket may do everything. Over TCP a change needs the token, and is
/// refused when a browser sends it on behalf of somebody else's page. Reading is free, but once
/// there is a token, other machines need it for that too; `/health` and `/ready` ask nobody.
struct AccessGuard: Sendable {
    let transport: AdminTransport
    /// nil: no change over TCP.
    let token: String?

    func checkWrite(_ request: Request) throws {
        guard transport == .network else { return }
        if let site = request.headers[.secFetchSite], site != "same-origin", site != "none" {
            throw MeshError(.denied, "a page of another site may not change anything")
        }
        if let origin = request.headers[.origin], !Self.isOwn(origin: origin, of: request) {
            throw MeshError(.denied, "origin \(origin.prefix(200)) is not this server")
        }
        guard let token else {
            throw MeshError(
                .denied,
                "changes over TCP need a token: set admin.token_file, or use the unix socket")
        }
        try Self.check(request, against: token)
    }

    func checkRead(by peer: SocketAddress?, _ request: Request) throws {
        guard transport == .network, let token, !Self.isThisMachine(peer) else { return }
        try Self.check(request, against: token)
    }

    private static func check(_ request: Request, against token: String) throws {
        let given = bearerToken(request.headers[.authorization] ?? "")
        guard equal(Array(given.utf8), Array(token.utf8)) else {
            throw MeshError(
                .denied, "the token is missing or wrong: send Authorization: Bearer TOKEN")
        }
    }

    /// What stands behind the scheme, whose name has no case (RFC 9110 §11.1); empty when there
    /// is none.
    private static func bearerToken(_ field: String) -> Substring {
        let scheme = "bearer "
        guard field.prefix(scheme.count).lowercased() == scheme else { return "" }
        return field.dropFirst(scheme.count).drop { $0 == " " }
    }

    private static func isOwn(origin: String, of request: Request) -> Bool {
        guard let host = request.head.authority else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Whether a peer's address is a loopback address.
    static func isThisMachine(_ peer: SocketAddress?) -> Bool {
        guard let text = peer?.ipAddress else { return false }
        return text.hasPrefix("127.") || text == "::1" || text.hasPrefix("::ffff:127.")
    }

    /// Compares in a time that depends on the lengths only.
    private static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// Lets a request through when the check does not throw.
struct GuardMiddleware: RouterMiddleware {
    typealias Context = AdminContext

    let check: @Sendable (Request, AdminContext) throws -> Void

    @concurrent func handle(
        _ request: Request, context: AdminContext,
        next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        try check(request, context)
        return try await next(request, context)
    }
}

/// A request with the address of its sender.
struct AdminContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }
}

extension HTTPField.Name {
    static var secFetchSite: Self { .init("Sec-Fetch-Site") ?? .origin }
}
