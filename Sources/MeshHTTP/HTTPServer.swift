import Glibc
import MeshModel
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP/1.1 server on one address.
package struct HTTPServer: Sendable {
    private let options: ServerOptions
    private let responder: any Responder

    package init(_ options: ServerOptions, responder: any Responder) {
        self.options = options
        self.responder = responder
    }

    /// Serves until the task is cancelled; then requests under way are answered, and connections
    /// closed. `whenListening` is called once with the port, 0 for a socket.
    package func run(whenListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        let connections = OpenConnections(limit: options.connections, busy: options.busy)
        let server: any Channel
        do {
            server = try await listen(connections, whenListening)
        } catch let error as IOError {
            throw MeshError(
                .system,
                "\(options.key) \(place) cannot be listened on: "
                    + String(cString: strerror(error.errnoCode)))
        }
        await withTaskCancellationHandler {
            // It ends by being closed, whatever for.
            try? await server.closeFuture.get()
        } onCancel: {
            server.close(promise: nil)
        }
        if case .unix(let path) = options.address { unlink(path) }
        await connections.drain(within: options.grace)
    }

    private var place: String {
        switch options.address {
        case .tcp(let host, let port): "\(host):\(port)"
        case .unix(let path): path
        }
    }

    private func listen(
        _ connections: OpenConnections, _ whenListening: @Sendable (Int) -> Void
    ) async throws -> any Channel {
        let responder = responder
        let tls = options.tls
        let idle = TimeAmount(options.idle)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            // A connection keeps its buffer while a request is held; most requests are short.
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 256, initial: 256, maximum: 65_536)
            )
            .childChannelInitializer { channel in
                guard connections.add(channel) else { return connections.refuse(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(tls.handler()) }
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(
                        HTTPConnection(responder: responder, idle: idle))
                }
            }
        switch options.address {
        case .tcp(let host, let port):
            let server = try await bootstrap.childChannelOption(
                .socketOption(.tcp_nodelay), value: 1
            ).bind(host: host, port: port).get()
            whenListening(server.localAddress?.port ?? 0)
            return server
        case .unix(let path):
            let file = SocketFile(path: path, key: options.key)
            try file.prepare()
            // Whoever connects before the file has its mode would keep his connection.
            let mask = PrivateFiles()
            defer { mask.end() }
            let server = try await bootstrap.bind(unixDomainSocketPath: path).get()
            file.restrict()
            whenListening(0)
            return server
        }
    }
}

/// The connections of a server.
final class OpenConnections: Sendable {
    private struct Contents {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isDraining = false
    }

    private let limit: Int
    private let busy: String
    private let contents = Mutex(Contents())

    init(limit: Int, busy: String) {
        self.limit = limit
        self.busy = busy
    }

    /// False, and nothing kept, when there are enough.
    func add(_ channel: any Channel) -> Bool {
        let key = ObjectIdentifier(channel)
        let isTaken = contents.withLock { contents in
            guard contents.channels.count < limit, !contents.isDraining else { return false }
            contents.channels[key] = channel
            return true
        }
        guard isTaken else { return false }
        channel.closeFuture.whenComplete { _ in
            self.contents.withLock { _ = $0.channels.removeValue(forKey: key) }
        }
        return true
    }

    /// Says why and closes, without reading anything.
    func refuse(_ channel: any Channel) -> EventLoopFuture<Void> {
        let text =
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
            + "Connection: close\r\nContent-Length: \(busy.utf8.count)\r\n\r\n\(busy)"
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(Refusal(text))
        }
    }

    /// Lets requests under way be answered, then closes what is left.
    func drain(within limit: Duration) async {
        let open = contents.withLock { contents in
            contents.isDraining = true
            return Array(contents.channels.values)
        }
        for channel in open {
            channel.pipeline.fireUserInboundEventTriggered(HTTPConnection.Drain())
        }
        let ends = open.map(\.closeFuture)
        let closing = MultiThreadedEventLoopGroup.singleton.next().scheduleTask(
            in: TimeAmount(limit)
        ) {
            for channel in open { channel.close(promise: nil) }
        }
        for end in ends { try? await end.get() }
        closing.cancel()
    }
}

/// Writes one text when the connection is there, and closes it.
private final class Refusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let text: String

    init(_ text: String) { self.text = text }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(channel.allocator.buffer(string: text)))
            .whenComplete { _ in channel.close(promise: nil) }
    }
}

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
