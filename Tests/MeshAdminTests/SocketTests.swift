import Foundation
import Glibc
import MeshClient
import MeshHTTP
import MeshModel
import MeshTelemetry
import Testing

@testable import MeshAdmin

@Suite struct SocketTests {
    private static func mode(_ path: String) -> mode_t? {
        var info = stat()
        return lstat(path, &info) == 0 ? info.st_mode : nil
    }

    private static func expectHealth(_ server: RunningServer) async throws {
        let answer = try await server.client().answer("GET", "/health")
        #expect(answer.status == 200)
    }

    @Test func theFileIsItsOwnersOnlyAndGoesWithTheServer() async throws {
        try await withFolder { folder in
            let path = "\(folder)/deep/er/admin.sock"
            try await RunningServer.overSocket(path: path) { server in
                #expect(Self.mode(path) == S_IFSOCK | 0o600)
                try await Self.expectHealth(server)
            }
            #expect(Self.mode(path) == nil)
        }
    }

    @Test func whatAKilledServerLeftIsReplaced() async throws {
        try await withFolder { folder in
            let path = "\(folder)/admin.sock"
            try Self.leaveSocket(at: path)
            try await RunningServer.overSocket(path: path) { server in
                try await Self.expectHealth(server)
            }
        }
    }

    @Test func aLiveSocketIsLeftAlone() async throws {
        try await withFolder { folder in
            let path = "\(folder)/admin.sock"
            try await RunningServer.overSocket(path: path) { server in
                await #expect {
                    try await RunningServer.overSocket(path: path) { _ in }
                } throws: { error in
                    guard let error = error as? MeshError else { return false }
                    return error.code == .conflict && error.message.contains("is in use")
                }
                try await Self.expectHealth(server)
            }
        }
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() async throws {
        try await withFolder { folder in
            let path = "\(folder)/notes.txt"
            try "mine".write(toFile: path, atomically: false, encoding: .utf8)
            await #expect {
                try await RunningServer.overSocket(path: path) { _ in }
            } throws: { error in
                (error as? MeshError)?.message.contains("is no socket") == true
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
        }
    }

    @Test func aFolderThatCannotBeMadeIsNamed() async throws {
        await #expect {
            try await RunningServer.overSocket(path: "/proc/none/admin.sock") { _ in }
        } throws: { error in
            (error as? MeshError)?.message.contains("admin.socket, /proc/none,") == true
        }
    }

    @Test func aTakenPortIsNamed() async throws {
        try await RunningServer.overTCP { server in
            let port = try #require(URLComponents(string: server.address)?.port)
            let second = AdminServer(
                .tcp(host: "127.0.0.1", port: port), backend: FakeBackend(), token: nil,
                logger: .init(label: "admin"))
            await #expect {
                try await second.run()
            } throws: { error in
                (error as? MeshError)?.message
                    == "admin.bind_addr 127.0.0.1:\(port) cannot be listened on: "
                    + "Address already in use"
            }
        }
    }

    /// A bound socket whose server is gone.
    private static func leaveSocket(at path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
    }
}
