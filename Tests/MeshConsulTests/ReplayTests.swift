import MeshConsul
import Testing

/// What Consul answered, we answer: status, texts, fields, their order and kinds, headers.
@Suite struct ReplayTests {
    @Test func pairsAndSessions() async throws {
        let api = try await StateAPI()
        let pairs = try Exchange.load("kv")
        let sessions = try Exchange.load("session")
        #expect(pairs.count == 41 && sessions.count == 14)
        var replay = Replay()
        for exchange in pairs[...23] { try await replay.play(exchange, on: api.api) }
        try await woken(pairs[24], &replay, api)
        let rest = [
            pairs[25...28], sessions[...9], pairs[29...31], sessions[10...10], pairs[32...36],
            sessions[11...11], pairs[37...38],
        ]
        for exchange in rest.joined() {
            try await replay.play(Self.unordered(exchange), on: api.api)
        }
        // The delay of a second that the ended session had.
        try await Task.sleep(for: .milliseconds(1050))
        for exchange in [pairs[39...39], sessions[12...], pairs[40...]].joined() {
            try await replay.play(Self.unordered(exchange), on: api.api)
        }
    }

    /// Lists are in the order of ids, which are random; their elements are those of `info`.
    private static func unordered(_ exchange: Exchange) -> Exchange {
        var exchange = exchange
        if ["session/list", "session/node"].contains(exchange.name) { exchange.answer = nil }
        return exchange
    }

    @Test func sessionsAreListedAsTheyAreTold() async throws {
        let api = try await StateAPI()
        let made = try await api.send("PUT", "/v1/session/create").json["ID"]?.plain
        let id = try #require(made)
        let info = await api.send("GET", "/v1/session/info/\(id)").text
        #expect(await api.send("GET", "/v1/session/list").text == info)
        #expect(await api.send("GET", "/v1/session/node/lab").text == info)
        #expect(await api.send("GET", "/v1/session/node/other").text == "[]")
    }

    /// A read that a write of somebody else ends.
    private func woken(
        _ exchange: Exchange, _ replay: inout Replay, _ api: StateAPI
    ) async throws {
        let writer = Task {
            try await Task.sleep(for: .milliseconds(300))
            return await api.send("PUT", "/v1/kv/t/woken", "1").status
        }
        let start = ContinuousClock.now
        var expected = exchange
        // The recording does not hold what was written; its shape is that of the reads before.
        expected.answer = nil
        expected.target = exchange.target.replacing("wait=30s", with: "wait=10m")
        try await replay.play(expected, on: api.api)
        #expect(start.duration(to: .now) < .seconds(300))
        #expect(try await writer.value == 200)
        #expect(await api.send("DELETE", "/v1/kv/t/woken").status == 200)
    }

    @Test(arguments: ["txn", "acl"])
    func others(file: String) async throws {
        let api = try await StateAPI()
        var replay = Replay()
        for exchange in try Exchange.load(file) { try await replay.play(exchange, on: api.api) }
    }

    @Test func definitionsOfQueries() async throws {
        let api = try await StateAPI()
        var replay = Replay()
        // Ids are random, and lists are in their order: the list has the template first when its
        // id is the smaller one.
        for exchange in try Exchange.load("query")
        where !exchange.name.contains("/execute-") && exchange.name != "query/list" {
            try await replay.play(exchange, on: api.api)
        }
        let post = try #require(
            try Exchange.load("query").first { $0.name == "query/execute-post" })
        try await replay.play(post, on: api.api)
    }

    /// The harness fails when answers differ.
    @Test func aDifferenceIsSeen() async throws {
        let api = try await StateAPI()
        await withKnownIssue {
            var replay = Replay()
            var exchange = try #require(try Exchange.load("kv").first)
            exchange.status = 200
            try await replay.play(exchange, on: api.api)
        }
    }
}
