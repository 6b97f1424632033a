import Foundation
import Hummingbird
package import Logging
import MeshModel
import NIOCore

/// The admin API on one address. A node runs two: a unix socket and a TCP address.
package struct AdminServer: Sendable {
    package enum Address: Sendable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

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
    package func run() async throws {
        switch address {
        case .tcp(let host, let port):
            try await serve(.hostname(host, port: port), transport: .network)
        case .unix(let path):
            try Self.prepareSocket(path)
            try await serve(.unixDomainSocket(path: path), transport: .socket) {
                chmod(path, 0o600)
            }
        }
    }

    private func serve(
        _ bind: BindAddress, transport: AdminTransport,
        whenRunning: @escaping @Sendable () -> Void = {}
    ) async throws {
        let routes = AdminRoutes(backend: backend, transport: transport, token: token)
        let application = Application(
            router: routes.router(),
            configuration: .init(address: bind, serverName: "ringmesh"),
            onServerRunning: { _ in whenRunning() },
            logger: logger)
        try await application.run()
    }

    /// Makes the socket's folder and removes what a killed predecessor left, unless somebody listens.
    static func prepareSocket(_ path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        if !folder.isEmpty {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw MeshError(
                    .system,
                    "the folder of admin.socket, \(folder), cannot be made: choose another path",
                    cause: error)
            }
        }
        guard FileManager.default.fileExists(atPath: path) else { return }
        if UnixSocketProbe.answers(path) {
            throw MeshError(.conflict, "\(path) is in use: another control plane is running")
        }
        unlink(path)
    }
}

/// Whether somebody accepts connections on a unix socket.
enum UnixSocketProbe {
    static func answers(_ path: String) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            room.copyBytes(from: path.utf8)
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length) == 0
            }
        }
    }
}
