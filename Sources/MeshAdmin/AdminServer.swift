package import MeshHTTP
package import MeshTelemetry

/// The admin API on one address. A node runs two: a unix socket and a TCP address.
package struct AdminServer: Sendable {
    /// Open connections per address.
    static let connectionLimit = 256

    private let address: ServerOptions.Address
    private let backend: any AdminBackend
    private let token: String?
    private let logger: Logger

    /// `token`: what `Authorization: Bearer` must carry for changes over TCP; nil refuses them all.
    package init(
        _ address: ServerOptions.Address, backend: any AdminBackend, token: String?,
        logger: Logger
    ) {
        self.address = address
        self.backend = backend
        self.token = token
        self.logger = logger
    }

    /// Serves until the task is cancelled. `whenListening` is called once with the port, 0 for a
    /// socket.
    package func run(whenListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        let (key, transport): (String, AdminTransport) =
            switch address {
            case .tcp: ("admin.bind_addr", .network)
            case .unix: ("admin.socket", .socket)
            }
        var options = ServerOptions(address, key: key)
        options.connections = Self.connectionLimit
        let routes = AdminRoutes(
            backend: backend, guards: AccessGuard(transport: transport, token: token))
        let responder = AdminResponder(routes: routes.table(), logger: logger)
        try await HTTPServer(options, responder: responder).run(whenListening: whenListening)
    }
}
