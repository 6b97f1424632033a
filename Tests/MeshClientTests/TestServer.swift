import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// What a client sent.
struct SeenRequest: Sendable {
    var head: HTTPRequestHead
    var body: String
}

/// What the server does with a connection.
enum Answer: Sendable {
    case response(HTTPResponseStatus, headers: [(String, String)] = [], body: String = "")
    /// Says nothing.
    case silence
    /// Sends the head and the beginning of a body, then nothing.
    case halfBody
    case close
}

/// An HTTP server on a port or socket of its own, which answers as told.
final class TestServer: Sendable {
    private let channel: any Channel
    private let log: RequestLog
    /// 0 for a unix socket.
    let port: UInt16

    private init(channel: any Channel, log: RequestLog) {
        self.channel = channel
        self.port = UInt16(channel.localAddress?.port ?? 0)
        self.log = log
    }

    var requests: [SeenRequest] { log.all.withLock { $0 } }

    static func start(
        unixSocket: String? = nil, tls: NIOSSLContext? = nil,
        answer: @escaping @Sendable (SeenRequest) -> Answer
    ) async throws -> TestServer {
        let log = RequestLog()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(AnswerHandler(log: log, answer: answer))
                }
            }
        let channel =
            if let unixSocket {
                try await bootstrap.bind(unixDomainSocketPath: unixSocket).get()
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
            }
        return TestServer(channel: channel, log: log)
    }

    func stop() async throws { try await channel.close() }
}

final class RequestLog: Sendable {
    let all = Mutex<[SeenRequest]>([])
}

private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let log: RequestLog
    private let answer: @Sendable (SeenRequest) -> Answer
    private var request: SeenRequest?

    init(log: RequestLog, answer: @escaping @Sendable (SeenRequest) -> Answer) {
        self.log = log
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = SeenRequest(head: head, body: "")
        case .body(let part): request?.body += String(buffer: part)
        case .end:
            guard let request else { return }
            log.all.withLock { $0.append(request) }
            reply(answer(request), context: context)
        }
    }

    private func reply(_ answer: Answer, context: ChannelHandlerContext) {
        switch answer {
        case .silence: return
        case .close: context.close(promise: nil)
        case .response(let status, let headers, let body):
            var fields = HTTPHeaders(headers)
            fields.add(name: "Content-Length", value: "\(body.utf8.count)")
            write(.head(.init(version: .http1_1, status: status, headers: fields)), context)
            write(.body(.byteBuffer(ByteBuffer(string: body))), context)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        case .halfBody:
            write(
                .head(
                    .init(version: .http1_1, status: .ok, headers: ["Content-Length": "100"])),
                context)
            write(.body(.byteBuffer(ByteBuffer(string: "half"))), context)
            context.flush()
        }
    }

    private func write(_ part: HTTPServerResponsePart, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(part), promise: nil)
    }
}
