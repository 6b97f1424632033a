import Glibc
import Hummingbird
import MeshModel
package import MeshTelemetry
import NIOCore

/// The admin API on one address. A node runs two: a unix socket and a TCP address.
package struct AdminServer: Sendable {
    package enum Address: Sendable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    /// Open connections per address; more wait in the kernel's queue.
    static let connectionLimit = 256
    /// A connection on which nothing happens for this long is closed.
    static let idleTimeout = TimeAmount.seconds(60)

    private let address: Address
    private let backend: any AdminBackend
    private let token: String?
    private let logger: Logger

    /// `token`: what `Authorization: Bearer` must carry for changes over TCP; nil refuses them all.
    package init(
        _ address: Address, backend: any AdminBackend, token: String?, logger: Logger
    ) {
        self.address = address
        self.backend = backend
        self.token = token
        self.logger = logger
    }

    /// Serves until the task is cancelled or the surrounding service group shuts down.
    /// `whenListening` is called once with the port, 0 for a socket.
    package func run(whenListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        switch address {
        case .tcp(let host, let port):
            try await serve(
                .hostname(host, port: port), transport: .network, whenListening: whenListening)
        case .unix(let path):
            let socket = AdminSocket(path: path)
            try socket.prepare()
            // Whoever connects before the file has its mode would keep his connection.
            let mask = PrivateFiles()
            defer { mask.end() }
            try await serve(.unixDomainSocket(path: path), transport: .socket) { port in
                mask.end()
                socket.restrict()
                whenListening(port)
            }
        }
    }

    private func serve(
        _ bind: BindAddress, transport: AdminTransport,
        whenListening: @escaping @Sendable (Int) -> Void
    ) async throws {
        let routes = AdminRoutes(
            backend: backend, guards: AccessGuard(transport: transport, token: token))
        let application = Application(
            router: routes.router(),
            server: .http1(configuration: .init(idleTimeout: Self.idleTimeout)),
            configuration: .init(
                address: bind, serverName: "ringmesh",
                availableConnectionsDelegate: .maximum(Self.connectionLimit, logger: logger)),
            onServerRunning: { whenListening($0.localAddress?.port ?? 0) },
            logger: logger)
        do {
            try await application.run()
        } catch let error as IOError {
            throw MeshError(.system, Self.words(for: error, address))
        }
    }

    private static func words(for error: IOError, _ address: Address) -> String {
        let reason = String(cString: strerror(error.errnoCode))
        return switch address {
        case .tcp(let host, let port):
            "admin.bind_addr \(host):\(port) cannot be listened on: \(reason)"
        case .unix(let path): "admin.socket \(path) cannot be listened on: \(reason)"
        }
    }
}
