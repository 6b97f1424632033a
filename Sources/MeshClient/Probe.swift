import MeshModel
import NIOCore
import NIOPosix

/// Looks whether somebody listens.
package enum Probe {
    /// Connects and closes at once. Throws why it did not work.
    package static func tcp(host: String, port: UInt16, timeout: Duration) async throws {
        let subject = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        do {
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(TimeAmount(timeout))
            // Names queue behind each other in the resolver; an address needs none.
            let channel =
                if let address = try? SocketAddress(ipAddress: host, port: Int(port)) {
                    try await bootstrap.connect(to: address).get()
                } else {
                    try await bootstrap.connect(host: host, port: Int(port)).get()
                }
            try await channel.close()
        } catch ChannelError.alreadyClosed {
            // The other side was faster; it did listen.
            return
        } catch {
            throw ConnectFailure.describe(error, subject: subject, timeout: timeout)
        }
    }
}
