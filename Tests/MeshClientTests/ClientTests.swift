import Foundation
import Glibc
import MeshModel
import NIOHTTP1
import NIOPosix
import NIOSSL
import Testing

@testable import MeshClient

/// The error of a body that must fail.
func failure(_ body: () async throws -> some Any) async -> MeshError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? MeshError
    }
}

/// Runs a body with a port on which nobody listens, nor can: it is bound all the while.
func withClosedPort(_ body: (UInt16) async throws -> Void) async throws {
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    try #require(isBound)
    try await body(UInt16(bigEndian: address.sin_port))
}

@Suite struct OutboundHTTPTests {
    private func ask(
        _ answer: Answer, _ change: (inout OutboundRequest) -> Void = { _ in }
    ) async throws -> (OutboundResponse, SeenRequest?) {
        let server = try await TestServer.start { _ in answer }
        var request = OutboundRequest(
            url: "http://127.0.0.1:\(server.port)/health", timeout: .seconds(60))
        change(&request)
        let prepared = request
        do {
            let response = try await OutboundHTTP.withClient { try await $0.send(prepared) }
            try await server.stop()
            return (response, server.requests.first)
        } catch {
            try await server.stop()
            throw error
        }
    }

    @Test func methodHeadersAndBodyArriveAndTheAnswerComesWhole() async throws {
        let answer = Answer.response(.created, headers: [("X-Index", "7")], body: "{\"a\":1}")
        let (response, seen) = try await ask(answer) { request in
            request.method = "PUT"
            request.headers = [("X-One", "1"), ("X-One", "2")]
            request.body = Array("hello".utf8)
        }
        #expect(response.status == 201)
        #expect(response.header("x-index") == "7")
        #expect(try response.decoded(as: [String: Int].self) == ["a": 1])
        #expect(seen?.head.method == .PUT && seen?.head.uri == "/health")
        #expect(seen?.head.headers["X-One"] == ["1", "2"])
        #expect(seen?.body == "hello")
    }

    @Test func redirectsAreAnswersAndAreNotFollowed() async throws {
        let answer = Answer.response(.found, headers: [("Location", "/elsewhere")])
        let (response, _) = try await ask(answer)
        #expect(response.status == 302)
        #expect(response.header("location") == "/elsewhere")
    }

    @Test(arguments: [(99, false), (100, true), (101, true)])
    func aBodyAboveTheLimitIsAnError(limit: Int, fits: Bool) async throws {
        let body = String(repeating: "x", count: 100)
        let refusal = await failure {
            try await ask(.response(.ok, body: body)) { $0.bodyLimit = limit }
        }
        #expect((refusal == nil) == fits)
        #expect(fits || refusal?.code == .tooLarge)
    }

    @Test(arguments: [(0, 0), (99, 99), (100, 100), (101, 100)])
    func orItIsCutWhenTheCallerSaysSo(limit: Int, taken: Int) async throws {
        let body = String(repeating: "x", count: 100)
        let (response, _) = try await ask(.response(.ok, body: body)) { request in
            request.bodyLimit = limit
            request.excess = .cut
        }
        #expect(response.body.count == taken)
        #expect(response.isCut == (limit < 100))
    }

    /// The rest of the answer never comes: it is the timeout that ends the request.
    @Test(.timeLimit(.minutes(30)), arguments: [true, false])
    func theTimeoutCoversTheHeadAndTheBody(head: Bool) async throws {
        let refusal = await failure {
            try await ask(head ? .silence : .halfBody) { $0.timeout = .milliseconds(200) }
        }
        #expect(refusal?.code == .timeout)
        #expect(refusal?.message.contains("did not answer within 0.2 seconds") == true)
    }

    @Test func cancellingTheTaskEndsTheRequest() async throws {
        let server = try await TestServer.start { _ in .silence }
        let task = Task {
            try await OutboundHTTP.withClient { http in
                try await http.send(
                    OutboundRequest(
                        url: "http://127.0.0.1:\(server.port)/", timeout: .seconds(60)))
            }
        }
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(60)) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        try await server.stop()
    }

    @Test func aConnectionClosedWithoutAnAnswerIsAnError() async throws {
        let refusal = await failure { try await ask(.close) }
        #expect(refusal?.code == .unavailable)
        #expect(refusal?.message.contains("closed the connection") == true)
    }

    /// The refusal itself is told, long before the time for an answer is over.
    @Test(.timeLimit(.minutes(30))) func nobodyListeningIsToldAtOnce() async throws {
        try await withClosedPort { port in
            let refusal = await failure {
                try await OutboundHTTP.withClient { http in
                    try await http.send(
                        OutboundRequest(
                            url: "http://127.0.0.1:\(port)/", timeout: .seconds(3600)))
                }
            }
            #expect(refusal?.code == .unavailable)
            #expect(refusal?.message == "connection refused at http://127.0.0.1:\(port)/")
        }
    }

    @Test(arguments: [
        "", "http://", "ftp://127.0.0.1/", "127.0.0.1:80", "http://a b/", "http:///path",
    ])
    func whatIsNoURLIsAnError(url: String) async {
        let refusal = await failure {
            try await OutboundHTTP.withClient { http in
                try await http.send(OutboundRequest(url: url, timeout: .seconds(2)))
            }
        }
        #expect(refusal != nil)
    }

    @Test(arguments: ["", "GET /", "G\r\nX: y", "GÉT"])
    func aMethodThatIsNoTokenIsNeverSent(method: String) async throws {
        let refusal = await failure { try await ask(.response(.ok)) { $0.method = method } }
        #expect(refusal?.code == .invalid)
    }

    @Test func aHeaderCannotSmuggleALine() async throws {
        let refusal = await failure {
            try await ask(.response(.ok)) { $0.headers = [("X", "a\r\nY: b")] }
        }
        #expect(refusal != nil)
    }
}

@Suite struct TLSTests {
    private let folder: URL
    private let context: NIOSSLContext

    init() async throws {
        let name = "mesh-client-\(UUID().uuidString)"
        folder = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.standardError = FileHandle.nullDevice
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "1", "-subj", "/CN=service.test", "-addext",
            "subjectAltName=DNS:service.test", "-keyout", folder.appending(path: "key.pem").path,
            "-out", folder.appending(path: "cert.pem").path,
        ]
        try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { _ in continuation.resume() }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        try #require(process.terminationStatus == 0)
        let chain = try NIOSSLCertificate.fromPEMFile(folder.appending(path: "cert.pem").path)
        let key = try NIOSSLPrivateKey(
            file: folder.appending(path: "key.pem").path, format: .pem)
        context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
    }

    private func ask(
        trust: OutboundRequest.Trust, name: String? = nil
    ) async throws -> (status: Int, host: String?) {
        let server = try await TestServer.start(tls: context) { _ in .response(.ok) }
        let request = OutboundRequest(
            url: "https://127.0.0.1:\(server.port)/", timeout: .seconds(60), trust: trust,
            tlsServerName: name)
        do {
            let response = try await OutboundHTTP.withClient { try await $0.send(request) }
            let host = server.requests.first?.head.headers["Host"].first
            #expect(host == "127.0.0.1:\(server.port)")
            try await server.stop()
            return (response.status, host)
        } catch {
            try await server.stop()
            throw error
        }
    }

    @Test func anUnknownCertificateIsRefusedUnlessVerificationIsOff() async throws {
        let refusal = await failure { try await ask(trust: .system) }
        #expect(refusal?.code == .tls)
        #expect(refusal?.message.hasSuffix(": its certificate is not trusted here") == true)
        #expect(try await ask(trust: .none).status == 200)
        try FileManager.default.removeItem(at: folder)
    }

    @Test func aGivenRootAndTheRightNameAreNeeded() async throws {
        let roots = OutboundRequest.Trust.roots(file: folder.appending(path: "cert.pem").path)
        let wrongName = await failure { try await ask(trust: roots) }
        #expect(wrongName?.code == .tls)
        #expect(try await ask(trust: roots, name: "service.test").status == 200)
        let otherName = await failure { try await ask(trust: roots, name: "other.test") }
        #expect(otherName?.code == .tls)
        #expect(otherName?.message.hasSuffix(": its certificate is not for this name") == true)
        try FileManager.default.removeItem(at: folder)
    }
}

@Suite struct TLSWordsTests {
    @Test func aServerWithoutTLSIsTold() async throws {
        let server = try await TestServer.start { _ in .response(.ok) }
        let refusal = await failure {
            try await OutboundHTTP.withClient {
                try await $0.send(OutboundRequest(url: "https://127.0.0.1:\(server.port)/"))
            }
        }
        try await server.stop()
        #expect(
            refusal?.message == "no TLS connection to https://127.0.0.1:\(server.port)/: "
                + "it does not speak TLS: write http:// if that is meant")
    }

    @Test(arguments: [
        (
            "Error: 268435703 error:100000f7:SSL routines:OPENSSL_internal:"
                + "WRONG_VERSION_NUMBER at /somewhere/tls_record.cc:127",
            "it does not speak TLS: write http:// if that is meant"
        ),
        (
            "Error: 1 error:2:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA at /x.cc:1",
            "tlsv1 alert unknown ca"
        ),
        ("Error:  EOF during handshake", "it closed the connection in the handshake"),
        ("something new", "something new"),
    ])
    func reasonsAreWords(library: String, words: String) {
        #expect(TLSFailure.words(library: library) == words)
    }
}

@Suite struct APIClientTests {
    private struct Item: Codable, Equatable {
        var name: String
    }

    /// Asks a server on a unix socket.
    private func ask<Value>(
        _ answer: Answer, token: String? = "t0ken",
        _ body: (APIClient) async throws -> Value
    ) async throws -> (Value, SeenRequest?) {
        let socket = FileManager.default.temporaryDirectory
            .appending(path: "mc-\(UUID().uuidString.prefix(8)).sock").path
        let server = try await TestServer.start(unixSocket: socket) { _ in answer }
        let http = OutboundHTTP()
        let client = APIClient(try ServerAddress("unix://\(socket)"), token: token, http: http)
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        try await http.shutdown()
        try await server.stop()
        try? FileManager.default.removeItem(atPath: socket)
        return (try result.get(), server.requests.first)
    }

    @Test func jsonAndTheTokenTravelOverAUnixSocket() async throws {
        let answer = Answer.response(.ok, body: "{\"name\":\"back\"}")
        let (item, seen) = try await ask(answer) { client in
            let path = URLPath.make("v1", "a/b c", query: [("k", "ü&=")])
            return try await client.send("PUT", path, Item(name: "x/y")).decoded(as: Item.self)
        }
        #expect(item == Item(name: "back"))
        #expect(seen?.head.uri == "/v1/a%2Fb%20c?k=%C3%BC%26%3D")
        #expect(seen?.head.headers["Authorization"] == ["Bearer t0ken"])
        #expect(seen?.head.headers["Content-Type"] == ["application/json"])
        #expect(seen?.body == "{\"name\":\"x/y\"}")
    }

    @Test func withoutATokenNoneIsSent() async throws {
        let (_, seen) = try await ask(.response(.ok), token: nil) { client in
            try await client.request("GET", "/")
        }
        #expect(seen?.head.headers["Authorization"] == [])
    }

    @Test func errorsOfTheServerKeepTheirCodeAndText() async throws {
        let told = Answer.response(
            .conflict, body: "{\"code\":\"conflict\",\"message\":\"it exists\"}")
        let refusal = await failure { try await ask(told) { try await $0.request("GET", "/") } }
        #expect(refusal?.code == .conflict && refusal?.message == "it exists")
        let plain = Answer.response(.internalServerError, body: "oops\n")
        let text = await failure { try await ask(plain) { try await $0.request("GET", "/") } }
        #expect(text?.code == .refused && text?.message == "the server answered 500: oops")
        let answer = try await ask(plain) { try await $0.answer("GET", "/") }
        #expect(answer.0.status == 500)
    }

    @Test func aMissingControlPlaneIsNamed() async throws {
        let socket = "/tmp/no-such-\(UUID().uuidString).sock"
        try await withClosedPort { port in
            for (address, expected) in [
                ("unix://\(socket)", "there is no socket at unix://\(socket)"),
                ("http://127.0.0.1:\(port)", "connection refused at http://127.0.0.1:\(port)"),
            ] {
                let refusal = await failure {
                    try await OutboundHTTP.withClient { http in
                        try await APIClient(ServerAddress(address), http: http)
                            .request("GET", "/")
                    }
                }
                #expect(refusal?.code == .unavailable)
                #expect(refusal?.message == expected + ": is the control plane running?")
            }
        }
    }
}

@Suite struct ServerAddressTests {
    @Test(arguments: [
        ("http://127.0.0.1:8002", "http://127.0.0.1:8002"), ("HTTPS://Host/", "https://Host"),
        ("http://[::1]:8002", "http://[::1]:8002"),
        ("unix:///run/ringmesh/admin.sock", "unix:///run/ringmesh/admin.sock"),
    ])
    func addressesAreReadAndWritten(text: String, written: String) throws {
        #expect(try ServerAddress(text).description == written)
    }

    @Test(arguments: [
        "", "127.0.0.1:8002", "http://", "ftp://host", "http://user:pass@host", "http://host/path",
        "http://host?q", "unix://", "unix:///", "unix://relative", "unix:/run/x",
        "unix:///\(String(repeating: "x", count: 107))",
    ])
    func othersAreRefused(text: String) {
        #expect(throws: MeshError.self) { try ServerAddress(text) }
    }
}

@Suite struct ProbeTests {
    @Test func aListenerIsFoundAndAClosedPortIsNot() async throws {
        let server = try await TestServer.start { _ in .silence }
        try await Probe.tcp(host: "127.0.0.1", port: server.port, timeout: .seconds(60))
        try await Probe.tcp(host: "localhost", port: server.port, timeout: .seconds(60))
        try await server.stop()
        let refusal = await failure {
            try await Probe.tcp(host: "127.0.0.1", port: server.port, timeout: .seconds(60))
        }
        #expect(refusal?.message == "connection refused at 127.0.0.1:\(server.port)")
    }

    /// A listener whose queue is full answers nothing: the kernel drops what comes.
    @Test func aSilentAddressTimesOut() async throws {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                try #require(bind(fd, generic, size) == 0)
                try #require(listen(fd, 0) == 0)
                try #require(getsockname(fd, generic, &size) == 0)
            }
        }
        let port = UInt16(bigEndian: address.sin_port)
        var held: [Int32] = []
        defer { held.forEach { close($0) } }
        for _ in 0..<4 {
            let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    _ = connect(client, generic, size)
                }
            }
            held.append(client)
        }
        let refusal = await failure {
            try await Probe.tcp(host: "127.0.0.1", port: port, timeout: .milliseconds(200))
        }
        #expect(refusal?.code == .timeout)
    }

    @Test func anUnknownNameIsNamed() async {
        let refusal = await failure {
            try await Probe.tcp(host: "no-such-name.invalid", port: 80, timeout: .seconds(60))
        }
        #expect(refusal?.message.contains("no-such-name.invalid") == true)
    }
}
