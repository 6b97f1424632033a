import MeshHTTP
import MeshModel

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
/// there is a token, other machines need it for that too; `/health` and `/ready` ask nobody. A
/// browser on this machine may not be sent here by a name that its owner has pointed at it.
struct AccessGuard: Sendable {
    let transport: AdminTransport
    /// nil: no change over TCP.
    let token: String?

    func checkWrite(_ request: ServerRequest) throws {
        guard transport == .network else { return }
        if let site = request.headers["Sec-Fetch-Site"], site != "same-origin", site != "none" {
            throw MeshError(.denied, "a page of another site may not change anything")
        }
        if let origin = request.headers["Origin"], !Self.isOwn(origin: origin, of: request) {
            throw MeshError(.denied, "origin \(origin.prefix(200)) is not this server")
        }
        guard let token else {
            throw MeshError(
                .denied,
                "changes over TCP need a token: set admin.token_file, or use the unix socket")
        }
        try Self.check(request, against: token)
    }

    func checkRead(_ request: ServerRequest) throws {
        guard transport == .network else { return }
        guard !Self.isThisMachine(request.peer) else { return try Self.checkHost(request) }
        guard let token else { return }
        try Self.check(request, against: token)
    }

    /// A page whose name was pointed at this machine after it was loaded (DNS rebinding) is of the
    /// same origin for its browser; only the name that it asks for tells it apart.
    private static func checkHost(_ request: ServerRequest) throws {
        guard let host = request.headers["Host"], !isOfThisMachine(host: host) else { return }
        throw MeshError(
            .denied, "\(host.prefix(200)) is not this server: ask by its address or localhost")
    }

    /// Whether the host of a request is an address or `localhost`.
    static func isOfThisMachine(host: String) -> Bool {
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            let inside = host[host.index(after: host.startIndex)..<end]
            return inside.contains(":")
                && inside.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        }
        let name = host.prefix { $0 != ":" }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return name.lowercased() == "localhost"
            || parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func check(_ request: ServerRequest, against token: String) throws {
        let given = bearerToken(request.headers["Authorization"] ?? "")
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

    private static func isOwn(origin: String, of request: ServerRequest) -> Bool {
        guard let host = request.headers["Host"] else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// Whether a peer's address is a loopback address.
    static func isThisMachine(_ peer: String?) -> Bool {
        guard let text = peer else { return false }
        return text.hasPrefix("127.") || text == "::1" || text.hasPrefix("::ffff:127.")
    }

    /// Compares in a time that depends on the lengths only.
    private static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
