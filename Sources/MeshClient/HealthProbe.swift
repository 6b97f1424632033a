import MeshModel
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL

/// A question to a gRPC server about its health: one call of grpc.health.v1, on a connection of
/// its own, plain with prior knowledge or by TLS.
package struct HealthQuestion: Sendable {
    package struct Encryption: Sendable {
        package var verifies: Bool
        package var serverName: String?

        package init(verifies: Bool = true, serverName: String? = nil) {
            self.verifies = verifies
            self.serverName = serverName
        }
    }

    package var host: String
    package var port: UInt16
    /// The service that is meant; empty: the server as a whole.
    package var service: String
    package var encryption: Encryption?
    package var timeout: Duration

    package init(
        host: String, port: UInt16, service: String = "", encryption: Encryption? = nil,
        timeout: Duration
    ) {
        self.host = host
        self.port = port
        self.service = service
        self.encryption = encryption
        self.timeout = timeout
    }

    fileprivate var authority: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

extension Probe {
    /// Asks a server for its health. Throws why it does not say that it serves.
    package static func health(_ question: HealthQuestion) async throws {
        let answer: HealthAnswer
        do {
            answer = try await HealthCall.make(question)
        } catch {
            throw ConnectFailure.describe(
                error, subject: question.authority, timeout: question.timeout)
        }
        if let failure = answer.failure { throw MeshError(.unavailable, failure) }
    }
}

/// What came back of a call.
struct HealthAnswer: Sendable, Equatable {
    private static let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]

    var httpStatus = ""
    /// `grpc-status` with its message.
    var status: String?
    var message = ""
    var body: [UInt8] = []

    /// Takes a block of fields, at the beginning or in the end.
    mutating func take(_ fields: HPACKHeaders) {
        if let status = fields.first(name: ":status") { httpStatus = status }
        if let status = fields.first(name: "grpc-status") { self.status = status }
        if let message = fields.first(name: "grpc-message") {
            self.message = String(message.prefix(200))
        }
    }

    /// Why the server does not serve; nil: it does.
    var failure: String? {
        guard httpStatus == "200" else { return "the answer is HTTP \(httpStatus), not gRPC" }
        guard let status else { return "the answer has no grpc-status" }
        guard status == "0" else {
            return "grpc-status \(status)" + (message.isEmpty ? "" : ": \(message)")
        }
        guard let serving = Self.serving(body) else {
            return "the answer is no HealthCheckResponse"
        }
        if serving == 1 { return nil }
        let name = serving < Self.names.count ? Self.names[Int(serving)] : "\(serving)"
        return "the serving status is \(name)"
    }

    /// The call's message: not compressed, its length, and the name as field 1.
    static func request(_ service: String) -> [UInt8] {
        let name = Array(service.utf8)
        var message: [UInt8] = []
        if !name.isEmpty {
            message.append(0x0A)
            var length = name.count
            while length > 0x7F {
                message.append(UInt8(length & 0x7F) | 0x80)
                length >>= 7
            }
            message.append(UInt8(length))
            message += name
        }
        let size = message.count
        return [
            0, UInt8(size >> 24 & 255), UInt8(size >> 16 & 255), UInt8(size >> 8 & 255),
            UInt8(size & 255),
        ] + message
    }

    /// Field 1 of the one message of a body, 0 where it is left out; nil: it is none.
    static func serving(_ body: [UInt8]) -> UInt64? {
        guard body.count >= 5, body[0] == 0 else { return nil }
        let size = body[1..<5].reduce(0) { $0 << 8 | Int($1) }
        guard body.count == 5 + size else { return nil }
        var rest = body[5...]
        var found: UInt64 = 0
        while !rest.isEmpty {
            guard let tag = varint(&rest) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = varint(&rest) else { return nil }
                if tag >> 3 == 1 { found = value }
            case 1, 5:
                let width = tag & 7 == 1 ? 8 : 4
                guard rest.count >= width else { return nil }
                rest = rest.dropFirst(width)
            case 2:
                guard let length = varint(&rest), length <= UInt64(rest.count) else { return nil }
                rest = rest.dropFirst(Int(length))
            default: return nil
            }
        }
        return found
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }
}

/// Tells what goes wrong with a connection.
private final class ConnectionTrouble: ChannelInboundHandler {
    typealias InboundIn = Any

    private let promise: EventLoopPromise<HealthAnswer>

    init(_ promise: EventLoopPromise<HealthAnswer>) { self.promise = promise }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}

/// The one stream of a connection: sends the call, gathers the answer.
private final class HealthCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private static let bodyLimit = 4096
    private static let path = "/grpc.health.v1.Health/Check"

    private let question: HealthQuestion
    private let promise: EventLoopPromise<HealthAnswer>
    private var answer = HealthAnswer()

    private init(_ question: HealthQuestion, _ promise: EventLoopPromise<HealthAnswer>) {
        self.question = question
        self.promise = promise
    }

    static func make(_ question: HealthQuestion) async throws -> HealthAnswer {
        let tls = try question.encryption.map(context)
        let begin = ContinuousClock.now
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(TimeAmount(question.timeout))
        // Names queue behind each other in the resolver; an address needs none.
        let channel =
            if let address = try? SocketAddress(
                ipAddress: question.host, port: Int(question.port))
            {
                try await bootstrap.connect(to: address).get()
            } else {
                try await bootstrap.connect(host: question.host, port: Int(question.port)).get()
            }
        let left = question.timeout - (ContinuousClock.now - begin)
        return try await ask(question, on: channel, tls, left: max(left, .zero))
    }

    private static func ask(
        _ question: HealthQuestion, on channel: any Channel, _ tls: NIOSSLContext?, left: Duration
    ) async throws -> HealthAnswer {
        let promise = channel.eventLoop.makePromise(of: HealthAnswer.self)
        let limit = channel.eventLoop.scheduleTask(in: TimeAmount(left)) {
            promise.fail(DeadlinePassed())
        }
        channel.closeFuture.whenComplete { _ in promise.fail(ChannelError.eof) }
        channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            if let tls {
                // An address is no name that could be asked for.
                let name = question.encryption?.serverName ?? question.host
                let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
                try pipeline.addHandler(
                    NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : name))
            }
            let streams = try pipeline.configureHTTP2Pipeline(
                mode: .client, connectionConfiguration: .init(), streamConfiguration: .init()
            ) { stream in stream.close() }
            // What TLS says is heard by the connection, not by a stream that never came to be.
            try pipeline.addHandler(ConnectionTrouble(promise))
            streams.createStreamChannel { stream in
                stream.eventLoop.makeCompletedFuture {
                    try stream.pipeline.syncOperations.addHandler(HealthCall(question, promise))
                }
            }.cascadeFailure(to: promise)
        }.cascadeFailure(to: promise)
        defer {
            limit.cancel()
            channel.close(promise: nil)
        }
        return try await promise.futureResult.get()
    }

    private static func context(_ encryption: HealthQuestion.Encryption) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["h2"]
        if !encryption.verifies { configuration.certificateVerification = .none }
        return try NIOSSLContext(configuration: configuration)
    }

    func channelActive(context: ChannelHandlerContext) {
        let fields: HPACKHeaders = [
            ":method": "POST", ":scheme": question.encryption == nil ? "http" : "https",
            ":path": Self.path, ":authority": question.authority, "te": "trailers",
            "content-type": "application/grpc", "user-agent": "ringmesh",
        ]
        context.write(wrapOutboundOut(.headers(.init(headers: fields))), promise: nil)
        let body = ByteBuffer(bytes: HealthAnswer.request(question.service))
        context.writeAndFlush(
            wrapOutboundOut(.data(.init(data: .byteBuffer(body), endStream: true))), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let block):
            answer.take(block.headers)
            if block.endStream { promise.succeed(answer) }
        case .data(let block):
            if case .byteBuffer(let buffer) = block.data {
                answer.body += buffer.readableBytesView.prefix(Self.bodyLimit - answer.body.count)
            }
            if block.endStream { promise.succeed(answer) }
        case .rstStream(let code):
            promise.fail(MeshError(.unavailable, "the call was reset: \(code)"))
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
