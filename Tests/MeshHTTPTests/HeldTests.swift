import MeshHTTP
import Synchronization
import Testing

/// Requests that wait without a task: woken, woken for nothing, left by their clients, ended with
/// the server.
@Suite struct HeldTests {
    @Test func aHeldRequestIsAnsweredWhenItIsWoken() async throws {
        let parking = Parking()
        try await withServer(parking, { $0.idle = .milliseconds(200) }) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await eventually { parking.waiting == 1 })
            // Longer than a connection may be idle.
            try await Task.sleep(for: .milliseconds(500))
            // There was nothing yet: it waits again.
            parking.wake()
            #expect(await eventually { parking.waits == 2 && parking.waiting == 1 })
            parking.fill()
            parking.wake()
            let text = await client.read { $0.hasSuffix("there it is") }
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func whatIsReadyIsNotAskedFor() async throws {
        let parking = Parking()
        try await withServer(parking) { port in
            let clients = try (0..<20).map { _ in try RawClient(port: port) }
            let request = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"
            for client in clients { client.send(request) }
            #expect(await eventually { parking.waiting == 20 })
            parking.fill(isReady: true)
            parking.wake()
            for client in clients {
                let text = await client.read { $0.hasSuffix("made before") }
                #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
            #expect(parking.answers == 0)
            // The connection goes on.
            clients[0].send(request)
            let text = await clients[0].read { $0.hasSuffix("there it is") }
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func whatWasSentAheadIsAnsweredBehindIt() async throws {
        let parking = Parking()
        try await withServer(parking) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await eventually { parking.waiting == 1 })
            parking.fill()
            parking.wake()
            let text = await client.read { $0.split(separator: "HTTP/1.1 200 OK").count > 1 }
            #expect(text.contains("there it is"))
        }
    }

    @Test func whatIsThereAtOnceIsAnsweredAtOnce() async throws {
        let parking = Parking()
        parking.fill()
        try await withServer(parking) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            let text = await client.read { $0.hasSuffix("there it is") }
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test func nobodyIsWokenForAClientThatLeft() async throws {
        let parking = Parking()
        try await withServer(parking) { port in
            do {
                let client = try RawClient(port: port)
                client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await eventually { parking.waiting == 1 })
            }
            #expect(await eventually { parking.waiting == 0 })
            #expect(parking.answers == 0)
        }
    }

    @Test func aServerThatEndsAnswersWithWhatThereIs() async throws {
        let parking = Parking()
        let client = try await withServer(parking) { port in
            let client = try RawClient(port: port)
            client.send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await eventually { parking.waiting == 1 })
            return client
        }
        let text = await client.read()
        #expect(text.hasSuffix("nothing") && text.lowercased().contains("connection: close"))
        #expect(parking.waiting == 0)
    }
}

/// Holds `/hold` until it is filled, and answers everything else with nothing.
private final class Parking: Responder {
    private struct State {
        var isFull = false
        var isReady = false
        var waits = 0
        var answers = 0
        var next = 0
        var waiters: [Int: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    var waiting: Int { state.withLock { $0.waiters.count } }
    var waits: Int { state.withLock { $0.waits } }
    var answers: Int { state.withLock { $0.answers } }

    func fill(isReady: Bool = false) {
        state.withLock { state in
            state.isFull = true
            state.isReady = isReady
        }
    }

    func wake() {
        let woken = state.withLock { state in
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for wake in woken { wake() }
    }

    func bodyLimit(method: String, target: String) -> Int { 10 }

    func refusal(of target: String, limit: Int) -> ServerResponse { ServerResponse(status: 413) }

    @concurrent func respond(to request: ServerRequest) async -> ServerResponse {
        let isFull = state.withLock { $0.isFull }
        return ServerResponse(
            status: 200, body: Array((isFull ? "there it is" : "nothing").utf8))
    }

    @concurrent func answer(to request: ServerRequest) async -> ServerAnswer {
        guard request.path == "/hold", !state.withLock({ $0.isFull }) else {
            return .now(await respond(to: request))
        }
        return .later(Car(in: self, request))
    }

    private final class Car: HeldRequest {
        private let parking: Parking
        private let request: ServerRequest
        private let number = Mutex<Int?>(nil)
        private let isCancelled = Mutex(false)

        init(in parking: Parking, _ request: ServerRequest) {
            self.parking = parking
            self.request = request
        }

        func wait(_ wake: @escaping @Sendable () -> Void) {
            let number = parking.state.withLock { state in
                state.waits += 1
                state.next += 1
                state.waiters[state.next] = wake
                return state.next
            }
            self.number.withLock { $0 = number }
        }

        func cancel() -> Bool {
            isCancelled.withLock { $0 = true }
            guard let number = number.withLock({ $0 }) else { return false }
            return parking.state.withLock { $0.waiters.removeValue(forKey: number) } != nil
        }

        func ready() -> ServerResponse? {
            guard parking.state.withLock({ $0.isReady }) else { return nil }
            return ServerResponse(status: 200, body: Array("made before".utf8))
        }

        @concurrent func answer() async -> ServerAnswer {
            parking.state.withLock { $0.answers += 1 }
            if isCancelled.withLock({ $0 }) { return .now(await parking.respond(to: request)) }
            return await parking.answer(to: request)
        }
    }
}
