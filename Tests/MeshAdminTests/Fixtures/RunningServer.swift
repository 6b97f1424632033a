import Foundation
import MeshAdmin
import MeshAdminAPI
import MeshClient
import MeshHTTP
import MeshTelemetry
import Synchronization

/// An admin server and a client for the length of a test.
struct RunningServer {
    let address: String
    let http: OutboundHTTP

    static let token = "sesame"

    /// Runs a server on a port that the kernel chose.
    static func overTCP<Value: Sendable>(
        _ backend: FakeBackend = FakeBackend(), token: String? = Self.token,
        host: String = "127.0.0.1",
        _ body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        try await run(.tcp(host: host, port: 0), backend, token) { port in
            "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
        } body: {
            try await body($0)
        }
    }

    /// Runs a server on a socket in a folder of its own.
    static func overSocket<Value: Sendable>(
        _ backend: FakeBackend = FakeBackend(), path: String,
        _ body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        try await run(.unix(path: path), backend, nil) { _ in
            "unix://\(path)"
        } body: {
            try await body($0)
        }
    }

    private static func run<Value: Sendable>(
        _ address: ServerOptions.Address, _ backend: FakeBackend, _ token: String?,
        url: @Sendable (Int) -> String, body: @Sendable (RunningServer) async throws -> Value
    ) async throws -> Value {
        let server = AdminServer(address, backend: backend, token: token, logger: quiet)
        let (ports, listening) = AsyncStream.makeStream(of: Int.self)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ends the wait below also when the server cannot listen.
                defer { listening.finish() }
                try await server.run { listening.yield($0) }
            }
            var port: Int?
            for await first in ports {
                port = first
                break
            }
            guard let port else {
                try await group.waitForAll()
                throw CancellationError()
            }
            let address = url(port)
            let value = try await OutboundHTTP.withClient { http in
                try await body(RunningServer(address: address, http: http))
            }
            group.cancelAll()
            // A server that is told to end may say that it was cancelled.
            try? await group.waitForAll()
            return value
        }
    }

    private static let quiet = LogSystem(sink: LogSink { _ in }).logger("admin")

    func client(token: String? = nil) throws -> APIClient {
        APIClient(try ServerAddress(address), token: token, http: http)
    }

    /// A request with headers that `APIClient` does not send; TCP only.
    func raw(
        _ method: String, _ path: String, headers: [(String, String)] = [], body: String? = nil
    ) async throws -> OutboundResponse {
        try await http.send(
            OutboundRequest(
                method, url: address + path, headers: headers, body: body.map { Array($0.utf8) }))
    }
}

extension OutboundResponse {
    /// The error that the answer holds.
    var error: ErrorReport? {
        try? APICoding.decoder().decode(ErrorReport.self, from: Data(body))
    }

    func value<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try APICoding.decoder().decode(type, from: Data(body))
    }
}

/// A folder that is removed at the end. Its path is short enough for sockets.
func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = "/tmp/rmadmin.\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}
