import Foundation
import MeshHTTP
import Synchronization
import Testing

@Suite struct ServerTests {
    @Test func requestsOfOneConnectionAreAnsweredInTurnAlsoWhenTheyComeTogether() async throws {
        try await withServer(Echo()) { port in
            let client = try RawClient(port: port)
            client.send("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\nPUT /d HTTP/1.1\r\nHost: x\r\n")
            client.send("Content-Length: 3\r\n\r\nxyzGET /e HTTP/1.1\r\nHost: x\r\n")
            client.send("Connection: close\r\n\r\n")
            let answers = await client.read()
            #expect(answers.contains("GET /a?b=c 0"))
            #expect(answers.contains("PUT /d 3"))
            #expect(answers.hasSuffix("GET /e 0"))
            #expect(answers.components(separatedBy: "HTTP/1.1 200 OK").count == 4)
            #expect(answers.contains("Content-Length: 12\r\n"))
            #expect(answers.contains("Date: "))
        }
    }

    @Test(arguments: [(9, 200), (10, 200), (11, 413)])
    func aBodyHasALimit(_ length: Int, _ status: Int) async throws {
        try await withServer(Echo()) { port in
            let body = String(repeating: "x", count: length)
            for head in [
                "Content-Length: \(length)\r\n\r\n\(body)",
                "Transfer-Encoding: chunked\r\n\r\n\(String(length, radix: 16))\r\n\(body)\r\n0\r\n\r\n",
            ] {
                let client = try RawClient(port: port)
                client.send("PUT /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(head)")
                let answer = await client.read()
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(head)")
                #expect(answer.hasSuffix(status == 200 ? "PUT /a \(length)" : "at most 10"))
            }
        }
    }

    @Test func whoAsksFirstIsToldToGoOn() async throws {
        try await withServer(Echo()) { port in
            let client = try RawClient(port: port)
            client.send("PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n")
            client.send("Content-Length: 2\r\n\r\n")
            #expect(await client.read { $0.contains("\r\n\r\n") }.hasPrefix("HTTP/1.1 100 "))
            client.send("ok")
            #expect(await client.read { $0.contains("PUT") }.contains("PUT /a 2"))
        }
    }

    @Test func aHeadRequestGetsNoBody() async throws {
        try await withServer(Echo()) { port in
            let client = try RawClient(port: port)
            client.send("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let answer = await client.read()
            #expect(answer.contains("Content-Length: 9\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test(arguments: ["nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\nHost\r\n\r\n"])
    func whatIsNoRequestEndsTheConnection(_ text: String) async throws {
        try await withServer(Echo()) { port in
            let client = try RawClient(port: port)
            client.send(text)
            let answer = await client.read()
            #expect(!answer.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func aConnectionWithoutARequestIsClosed() async throws {
        try await withServer(Echo(), { $0.idle = .milliseconds(100) }) { port in
            let client = try RawClient(port: port)
            #expect(await client.read().isEmpty)
            let slow = try RawClient(port: port)
            slow.send("GET /a HTTP/1.1\r\nHost")
            #expect(await slow.read().isEmpty)
        }
    }

    @Test func aRequestThatIsHeldOutlivesTheIdleLimit() async throws {
        let echo = Echo()
        try await withServer(echo, { $0.idle = .seconds(1) }) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await eventually { echo.held.withLock { $0 } == 1 })
            try await Task.sleep(for: .milliseconds(2500))
            #expect(echo.cancelled.withLock { $0 } == 0)
        }
        // The server's end let it be answered.
        #expect(echo.cancelled.withLock { $0 } == 1)
    }

    @Test func whatAClientThatLeftAskedForIsCancelled() async throws {
        let echo = Echo()
        try await withServer(echo) { port in
            do {
                let client = try RawClient(port: port)
                client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await eventually { echo.held.withLock { $0 } == 1 })
            }
            #expect(await eventually { echo.cancelled.withLock { $0 } == 1 })
        }
    }

    @Test func anEndingServerAnswersWhatItHolds() async throws {
        let echo = Echo()
        let client = try await withServer(echo) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await eventually { echo.held.withLock { $0 } == 1 })
            return client
        }
        let answer = await client.read()
        #expect(answer.contains("Connection: close"))
        #expect(answer.hasSuffix("GET /hold 0"))
    }

    @Test func oneConnectionTooManyIsToldSo() async throws {
        try await withServer(Echo(), { $0.connections = 1 }) { port in
            let first = try RawClient(port: port)
            first.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await first.read { $0.contains("GET /a 0") }.contains("200 OK"))
            let second = try RawClient(port: port)
            let answer = await second.read()
            #expect(answer.hasPrefix("HTTP/1.1 429 "))
            #expect(answer.hasSuffix("too many connections\n"))
        }
    }

    @Test func queriesAreReadAsBrowsersWriteThem() {
        let items = QueryItems("a=1&b&a=x%20y+z&%zz=1&c=%ff&=e&d=%3D%26")
        #expect(items["a"] == "1")
        #expect(items.all("a") == ["1", "x y z"])
        #expect(items["b"] == "")
        #expect(items["d"] == "=&")
        #expect(items["c"] == nil)
        #expect(items.items.count == 5)
    }
}
