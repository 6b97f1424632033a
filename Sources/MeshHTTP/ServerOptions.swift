/// Where a server listens and what it puts up with.
package struct ServerOptions: Sendable {
    package enum Address: Sendable {
        /// Port 0 lets the kernel choose.
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    package var address: Address
    package var tls: ServerTLS?
    /// What the address is called in errors, for example `api.bind_addr`.
    package var key: String
    /// Open connections; one more is told so and closed.
    package var connections = 16_384
    /// A connection on which no request is complete for this long is closed.
    package var idle: Duration = .seconds(60)
    /// How long requests that are under way may take once the server is to end.
    package var grace: Duration = .seconds(5)
    /// What a connection beyond `connections` is told.
    package var busy = "too many connections\n"

    package init(_ address: Address, key: String, tls: ServerTLS? = nil) {
        self.address = address
        self.key = key
        self.tls = tls
    }
}
