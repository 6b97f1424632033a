import Glibc
import MeshProcess
import MeshTelemetry
import Testing

@testable import MeshWorkers

/// A folder of its own for one test, removed with everything in it.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/ringmesh-test-XXXXXX\0".utf8CString.dropLast())
        guard mkdtemp(&template) != nil else { throw Unexpected() }
        path = String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["c.sock", "c.sock.lock", "c.sock.pid", "log"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var socket: String { "\(path)/c.sock" }
}

/// The built program beside this test program.
func dataplaneProgram() throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    try #require(length > 0)
    let own = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = try #require(own.lastIndex(of: "/"))
    let path = own[..<folder] + "/dataplane"
    try #require(access(String(path), X_OK) == 0, "build the product dataplane first")
    return String(path)
}

/// A data plane that ends with the test, whatever happens in it.
func withDataPlane(
    workers: Int = 2, _ body: (String, DataPlaneProcess) async throws -> Void
) async throws {
    let folder = try TestFolder()
    var options = DataPlaneProcess.Options(
        program: try dataplaneProgram(), controlSocket: folder.socket)
    options.workers = workers
    options.drainTimeout = .milliseconds(500)
    options.logLevel = "debug"
    options.logFile = "\(folder.path)/log"
    let process = DataPlaneProcess(options)
    try #require(try await process.ensureRunning() == .started)
    do {
        try await body(folder.socket, process)
    } catch {
        _ = await process.stop(within: .seconds(5))
        throw error
    }
    #expect(await process.stop(within: .seconds(5)))
}

/// A link that runs while the body does.
func withLink<Result: Sendable>(
    _ path: String, _ installation: InstallationID = .random(),
    _ body: @Sendable (DataPlaneLink, EventLog) async throws -> Result
) async throws -> Result {
    let link = DataPlaneLink(
        path: path, installation: installation, log: LogSystem().logger("workers.test"))
    let events = EventLog()
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await link.run() }
        group.addTask {
            for await event in link.events { await events.add(event) }
        }
        defer { group.cancelAll() }
        return try await body(link, events)
    }
}

/// Events so far; waits for conditions, not times.
actor EventLog {
    private(set) var all: [DataPlaneEvent] = []

    func add(_ event: DataPlaneEvent) { all.append(event) }

    /// Waits until an event satisfies the condition; nil after the limit.
    func first<Value: Sendable>(
        within limit: Duration = .seconds(60), _ find: @Sendable (DataPlaneEvent) -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let value = all.lazy.compactMap(find).first { return value }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw Unexpected()
    }
}

/// A port that nobody uses at the moment.
func freePort() throws -> UInt16 {
    let socket = Descriptor(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(socket.number, $0, length) == 0 && getsockname(socket.number, $0, &length) == 0
        }
    }
    try #require(result)
    return UInt16(bigEndian: address.sin_port)
}

func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
}

/// The body of an answer to GET / on loopback; nil when there is no connection or answer.
func get(_ port: UInt16) -> String? {
    let socket = Descriptor(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var patience = timeval(tv_sec: 3, tv_usec: 0)
    setsockopt(
        socket.number, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = loopback(port)
    let connected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
    guard connected else { return nil }
    let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    guard send(socket.number, request, request.utf8.count, Int32(MSG_NOSIGNAL)) > 0 else {
        return nil
    }
    var answer: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
        let length = recv(socket.number, &part, part.count, 0)
        guard length > 0 else { break }
        answer += part[..<length]
    }
    let text = String(decoding: answer, as: UTF8.self)
    guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
    return String(text[end.upperBound...])
}

extension DataPlaneLink.Files {
    /// A sealed test snapshot.
    init(_ snapshot: TestSnapshot) throws {
        self.init(
            generation: snapshot.generation,
            snapshot: try SharedMemory.sealed(name: "test", bytes: snapshot.bytes()))
    }
}
