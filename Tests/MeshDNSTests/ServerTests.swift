import Glibc
import Testing

@testable import MeshDNS

private struct OneService: DNSCatalog {
    func virtualAddress(of service: String) async -> String? { nil }

    func instances(of service: String, tag: String, isConnect: Bool) async -> [DNSInstance] {
        guard service == "web" else { return [] }
        return (1...200).map {
            DNSInstance(
                node: "lab", nodeAddress: "10.0.0.1", address: "10.1.0.\($0)", port: UInt16($0),
                weight: 1)
        }
    }

    func node(_ name: String) async -> DNSNode? { nil }
    func query(_ name: String) async throws -> DNSQueryResult? { nil }
}

@Suite struct ServerTests {
    /// A blocking socket of the system, as a client has.
    private struct Client: ~Copyable {
        let fd: Int32

        init(port: Int, isStream: Bool) throws {
            let kind = isStream ? SOCK_STREAM : SOCK_DGRAM
            fd = socket(AF_INET, Int32(kind.rawValue), 0)
            var limit = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let done = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(fd, $0, size) }
            }
            try #require(done == 0)
        }

        deinit { close(fd) }

        func send(_ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, 0) }

        func receive(_ count: Int = 65_535) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            let found = recv(fd, &bytes, count, 0)
            return Array(bytes.prefix(max(0, found)))
        }

        func receiveWhole(_ count: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            while bytes.count < count {
                let part = receive(count - bytes.count)
                if part.isEmpty { return bytes }
                bytes += part
            }
            return bytes
        }
    }

    private func serving(_ body: @Sendable @escaping (Int) throws -> Void) async throws {
        let settings = DNSSettings(
            domain: try #require(DNSName("consul")), datacenter: "dc1", nodeName: "lab")
        let server = DNSServer(
            host: "127.0.0.1", port: 0,
            answers: DNSAnswers(settings, catalog: OneService()), serial: { 7 })
        let (ports, feed) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run { feed.yield($0) } }
            for await port in ports {
                try body(port)
                break
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func aCutAnswerIsWholeOverTCP() async throws {
        try await serving { port in
            let question = message("web.service.consul", edns: 4096)
            let datagrams = try Client(port: port, isStream: false)
            datagrams.send([1, 2, 3])
            datagrams.send(question)
            let cut = try #require(ReadAnswer(datagrams.receive()))
            #expect(cut.isTruncated && cut.bytes.count <= 1232 && cut.counts[1] > 10)
            let stream = try Client(port: port, isStream: true)
            let framed = [UInt8(question.count >> 8), UInt8(question.count & 255)] + question
            // Two questions in three pieces.
            stream.send(Array(framed.prefix(1)))
            stream.send(Array(framed.dropFirst()) + framed.prefix(20))
            stream.send(Array(framed.dropFirst(20)))
            for _ in 0..<2 {
                let head = stream.receiveWhole(2)
                try #require(head.count == 2)
                let whole = stream.receiveWhole(Int(head[0]) << 8 | Int(head[1]))
                let answer = try #require(ReadAnswer(whole))
                #expect(!answer.isTruncated && answer.counts[1] == 200)
            }
        }
    }

    @Test func whatIsMalformedIsTold() async throws {
        try await serving { port in
            let client = try Client(port: port, isStream: false)
            var two = message("web.service.consul")
            two[5] = 2
            client.send(two)
            let answer = try #require(ReadAnswer(client.receive()))
            #expect(answer.status == 1 && answer.id == 0x1234)
            let stream = try Client(port: port, isStream: true)
            stream.send([0, 3, 1, 2, 3])
            #expect(stream.receive().isEmpty, "what is no question ends the connection")
        }
    }
}
