import Glibc
import MeshModel
import NIOCore
import NIOPosix
import Synchronization

/// Answers over UDP and TCP on one port (RFC 1035 §4.2, RFC 7766).
package struct DNSServer: Sendable {
    /// Connections beyond this are closed at once.
    private static let greatestConnections = 256
    /// A connection on which nothing is asked for so long is closed.
    private static let idle = TimeAmount.seconds(10)

    private let host: String
    private let port: Int
    private let answers: DNSAnswers
    private let serial: @Sendable () -> UInt32

    /// `serial` gives that of the domain now; port 0 asks the kernel for one.
    package init(
        host: String, port: Int, answers: DNSAnswers, serial: @escaping @Sendable () -> UInt32
    ) {
        self.host = host
        self.port = port
        self.answers = answers
        self.serial = serial
    }

    /// Serves until the task is cancelled. `whenListening` is called once with the port.
    package func run(whenListening: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        let stream = try await listen("TCP") { try await bindStream() }
        let bound = stream.channel.localAddress?.port ?? port
        let datagrams: NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>
        do {
            datagrams = try await listen("UDP") { try await bindDatagrams(bound) }
        } catch {
            try? await stream.channel.close()
            throw error
        }
        whenListening(bound)
        do {
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask { try await serve(datagrams) }
                group.addTask { try await serve(stream) }
            }
        } catch is CancellationError where Task.isCancelled {
            // Whoever runs it was done with it: that is the end that is wanted.
        }
    }

    private func listen<Value>(_ kind: String, _ body: () async throws -> Value) async throws
        -> Value
    {
        do {
            return try await body()
        } catch let error as IOError {
            throw MeshError(
                .system,
                "dns.bind_addr \(host):\(port) cannot be listened on over \(kind): "
                    + String(cString: strerror(error.errnoCode)))
        }
    }

    // MARK: - UDP

    private func bindDatagrams(
        _ port: Int
    ) async throws -> NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>
    {
        try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// One question after the other: answers are made from memory, and what comes too fast waits
    /// in the kernel, which drops what is too much.
    private func serve(
        _ channel: NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>
    ) async throws {
        try await channel.executeThenClose { inbound, outbound in
            for try await envelope in inbound {
                let bytes = Array(envelope.data.readableBytesView)
                guard let answer = await answer(bytes, isDatagram: true) else { continue }
                // A client that is gone is no reason to end.
                try? await outbound.write(
                    AddressedEnvelope(
                        remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer)))
            }
        }
    }

    private func answer(_ bytes: [UInt8], isDatagram: Bool) async -> [UInt8]? {
        let query: DNSQuery
        do {
            query = try DNSQuery.parse(bytes)
        } catch .malformed(let id, let opcode) {
            return DNSQuery.malformed(id: id, opcode: opcode)
        } catch {
            return nil
        }
        let response = await answers.answer(query, serial: serial())
        return query.encode(
            response, limit: isDatagram ? query.datagramBytes : DNSLimits.streamBytes)
    }

    // MARK: - TCP

    private func bindStream() async throws -> NIOAsyncChannel<
        NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never
    > {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        IdleStateHandler(allTimeout: Self.idle), CloseWhenIdle(),
                    ])
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    private func serve(
        _ server: NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>
    ) async throws {
        let open = Tally()
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    guard open.take(upTo: Self.greatestConnections) else {
                        connection.channel.close(promise: nil)
                        continue
                    }
                    group.addTask {
                        // What goes wrong on a connection ends that connection.
                        try? await serve(connection)
                        open.give()
                    }
                }
            }
        }
    }

    /// Messages with their lengths before them, answered in their order.
    private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var held = ByteBuffer()
            for try await var part in inbound {
                held.writeBuffer(&part)
                while let length = held.getInteger(at: held.readerIndex, as: UInt16.self),
                    held.readableBytes >= 2 + Int(length)
                {
                    held.moveReaderIndex(forwardBy: 2)
                    let bytes = held.readBytes(length: Int(length)) ?? []
                    guard let answer = await answer(bytes, isDatagram: false) else { return }
                    var reply = ByteBuffer()
                    reply.writeInteger(UInt16(answer.count))
                    reply.writeBytes(answer)
                    try await outbound.write(reply)
                }
                held.discardReadBytes()
            }
        }
    }
}

/// How many there are of something that is bounded.
private final class Tally: Sendable {
    private let count = Mutex(0)

    func take(upTo limit: Int) -> Bool {
        count.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
    }

    func give() { count.withLock { $0 -= 1 } }
}

private final class CloseWhenIdle: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
