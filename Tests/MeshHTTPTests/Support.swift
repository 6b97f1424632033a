import Foundation
import Glibc
import MeshHTTP
import Synchronization

/// A client that speaks in bytes.
final class RawClient: Sendable {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length)
            }
        }
        guard result == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { Glibc.close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Everything that comes until `isDone`, or until the other side ends. Waiting is done by a
    /// thread of its own: those of tasks are few, and the server needs them.
    func read(until isDone: @escaping @Sendable (String) -> Bool = { _ in false }) async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: self.wait(until: isDone)) }
        }
    }

    private func wait(until isDone: (String) -> Bool) -> String {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while !isDone(String(decoding: all, as: UTF8.self)) {
            let count = recv(descriptor, &part, part.count, 0)
            guard count > 0 else { break }
            all += part[..<count]
        }
        return String(decoding: all, as: UTF8.self)
    }
}

/// Answers with what was asked, holds `/hold` until its task is cancelled, and takes 10 bytes.
final class Echo: Responder {
    let held = Mutex(0)
    let cancelled = Mutex(0)

    func bodyLimit(method: String, target: String) -> Int { 10 }

    func refusal(of target: String, limit: Int) -> ServerResponse {
        ServerResponse(status: 413, body: Array("at most \(limit)".utf8))
    }

    @concurrent func respond(to request: ServerRequest) async -> ServerResponse {
        if request.path == "/hold" {
            held.withLock { $0 += 1 }
            try? await Task.sleep(for: .seconds(600))
            cancelled.withLock { $0 += 1 }
        }
        let text = "\(request.method) \(request.target) \(request.body.count)"
        return ServerResponse(status: 200, headers: ["X-Own": "yes"], body: Array(text.utf8))
    }
}

/// Runs a server on a port that the kernel chose for as long as the body.
func withServer<Value: Sendable>(
    _ responder: any Responder, _ change: (inout ServerOptions) -> Void = { _ in },
    _ body: @escaping @Sendable (Int) async throws -> Value
) async throws -> Value {
    var options = ServerOptions(.tcp(host: "127.0.0.1", port: 0), key: "test")
    change(&options)
    let server = HTTPServer(options, responder: responder)
    let (ports, listening) = AsyncStream.makeStream(of: Int.self)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            defer { listening.finish() }
            try await server.run { listening.yield($0) }
        }
        var first = ports.makeAsyncIterator()
        guard let port = await first.next() else {
            try await group.waitForAll()
            throw CancellationError()
        }
        let value = try await body(port)
        group.cancelAll()
        try await group.waitForAll()
        return value
    }
}

/// Waits until something holds, at most a minute; says whether it does.
func eventually(_ holds: () -> Bool) async -> Bool {
    for _ in 0..<6000 {
        if holds() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}
