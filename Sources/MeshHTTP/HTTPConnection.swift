import NIOCore
import NIOHTTP1

/// One connection: gathers a request, has it answered, then the next. Runs on its event loop.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Told to every connection when the server ends: the request under way is the last.
    struct Drain {}

    private enum State {
        /// Nothing of a request has come.
        case idle
        /// The head is here, the body is coming.
        case reading(HTTPRequestHead, ByteBuffer?, limit: Int)
        /// The body is too large; what still comes of it is dropped until the answer is out.
        case refusing
        /// Somebody works on the answer.
        case answering(Framing, Task<Void, Never>)
        /// Nobody does until there is something to answer.
        case held(Framing, any HeldRequest)
        /// The last answer is written, or there will be none.
        case closing
    }

    /// What of a request its answer depends on: many are held for long.
    private struct Framing {
        let version: HTTPVersion
        let isKeepAlive: Bool
        let isHead: Bool

        init(_ head: HTTPRequestHead) {
            version = head.version
            isKeepAlive = head.isKeepAlive
            isHead = head.method == .HEAD
        }
    }

    private let responder: any Responder
    private let idle: TimeAmount
    private var state = State.idle
    private var deadline: Scheduled<Void>?
    private var isDraining = false
    private var peer: String?

    init(responder: any Responder, idle: TimeAmount) {
        self.responder = responder
        self.idle = idle
    }

    func channelActive(context: ChannelHandlerContext) {
        peer = context.remoteAddress?.ipAddress
        expectRequest(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        switch state {
        case .answering(_, let task): task.cancel()
        case .held(_, let request): _ = request.cancel()
        case .idle, .reading, .refusing, .closing: break
        }
        state = .closing
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle): begin(head, context)
        case (.body(let part), .reading(let head, let body, let limit)):
            take(part, head, body, limit, context)
        case (.end, .reading(let head, let body, _)): answer(head, body, context)
        case (.body, .refusing), (.end, .refusing), (_, .closing): break
        case (.head, .reading), (.head, .refusing), (_, .answering), (_, .held),
            (.body, .idle), (.end, .idle):
            // The handlers before this one give requests one at a time, whole and in order.
            fatalError("a part of a request came in state \(state)")
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is Drain else { return context.fireUserInboundEventTriggered(event) }
        isDraining = true
        switch state {
        case .idle: close(context)
        // An answer that is waited for, or a request that is half here, is not torn off.
        case .reading, .refusing, .closing: break
        case .answering(_, let task): task.cancel()
        case .held(let framing, let request):
            if request.cancel() { work(on: framing, context) { await request.answer() } }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A client that speaks no HTTP or no TLS, or is gone: nothing can be said to it.
        close(context)
    }

    // MARK: - request

    private func expectRequest(_ context: ChannelHandlerContext) {
        state = .idle
        deadline?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: idle) {
            let (connection, context) = bound.value
            connection.close(context)
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let limit = responder.bodyLimit(method: head.method.rawValue, target: head.uri)
        if let length = head.headers.first(name: "content-length").flatMap(UInt64.init),
            length > UInt64(limit)
        {
            return refuse(head, limit, context)
        }
        state = .reading(head, nil, limit: limit)
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            let go = HTTPResponseHead(version: head.version, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(go)), promise: nil)
        }
    }

    private func take(
        _ part: ByteBuffer, _ head: HTTPRequestHead, _ body: ByteBuffer?, _ limit: Int,
        _ context: ChannelHandlerContext
    ) {
        var part = part
        // No copy of the body while it grows.
        state = .closing
        guard var body else {
            guard part.readableBytes <= limit else { return refuse(head, limit, context) }
            state = .reading(head, part, limit: limit)
            return
        }
        guard body.readableBytes + part.readableBytes <= limit else {
            return refuse(head, limit, context)
        }
        body.writeBuffer(&part)
        state = .reading(head, body, limit: limit)
    }

    private func refuse(_ head: HTTPRequestHead, _ limit: Int, _ context: ChannelHandlerContext) {
        var response = responder.refusal(of: head.uri, limit: limit)
        response.closes = true
        state = .refusing
        write(response, to: Framing(head), context)
    }

    private func answer(
        _ head: HTTPRequestHead, _ body: ByteBuffer?, _ context: ChannelHandlerContext
    ) {
        deadline?.cancel()
        deadline = nil
        let request = ServerRequest(
            method: head.method.rawValue, target: head.uri,
            headers: ServerHeaders(compacting: head.headers),
            body: body.map { Array($0.readableBytesView) } ?? [], peer: peer)
        let responder = responder
        work(on: Framing(head), context) { await responder.answer(to: request) }
    }

    /// A task, which ends with the connection: that cancels it.
    private func work(
        on request: Framing, _ context: ChannelHandlerContext,
        _ answer: @escaping @Sendable () async -> ServerAnswer
    ) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        // A callback of the channel, or of what was waited for, starts it.
        let task = Task {
            let answer = await answer()
            loop.execute {
                let (connection, context) = bound.value
                connection.finish(answer, context)
            }
        }
        state = .answering(request, task)
        if isDraining { task.cancel() }
    }

    // MARK: - answer

    private func finish(_ answer: ServerAnswer, _ context: ChannelHandlerContext) {
        // The client may have left meanwhile.
        guard case .answering(let framing, _) = state else { return }
        switch answer {
        case .now(let response): write(response, to: framing, context)
        case .later(let request): hold(request, framing, context)
        }
    }

    private func hold(
        _ request: any HeldRequest, _ framing: Framing, _ context: ChannelHandlerContext
    ) {
        state = .held(framing, request)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        request.wait {
            loop.execute {
                let (connection, context) = bound.value
                // The client may have left, or the server begun to end.
                guard case .held(let framing, let request) = connection.state else { return }
                // Thousands may be woken at once: no task for each of them.
                if let response = request.ready() {
                    return connection.write(response, to: framing, context)
                }
                connection.work(on: framing, context) { await request.answer() }
            }
        }
        if isDraining, request.cancel() { work(on: framing, context) { await request.answer() } }
    }

    private func write(
        _ response: ServerResponse, to request: Framing, _ context: ChannelHandlerContext
    ) {
        let isLast = response.closes || isDraining || !request.isKeepAlive
        var headers = response.headers.fields
        // These have no body, and say so by themselves (RFC 9110 §8.6).
        if response.status >= 200, response.status != 204, response.status != 304 {
            headers.replaceOrAdd(name: "Content-Length", value: "\(response.body.count)")
        }
        headers.replaceOrAdd(name: "Date", value: HTTPDate.now())
        if isLast { headers.replaceOrAdd(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: request.version, status: .init(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !request.isHead, !response.body.isEmpty {
            let body = context.channel.allocator.buffer(bytes: response.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        if isLast {
            state = .closing
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
                let (connection, context) = bound.value
                connection.close(context)
            }
        } else {
            // Before the write: with it, a request that waits already may be given to us.
            expectRequest(context)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        context.close(promise: nil)
    }
}
