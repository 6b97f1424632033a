import MeshHTTP
import MeshModel
import MeshStore
import Testing

@testable import MeshConsul

/// Reads pairs of the store, as an endpoint does that blocks.
private struct PairEndpoints: EndpointGroup {
    let queries: Queries

    var endpoints: [Endpoint] {
        [
            Endpoint(
                "/v1/pair/", bodyLimit: 16,
                [
                    "GET": { request in
                        try await queries.json(
                            request, watching: Watch(.keyValues, .key(request.tail)), .catalog
                        ) { state, _ in
                            let record = state.keyValue(request.tail)
                            return record.map {
                                .string(String(decoding: $0.value, as: UTF8.self))
                            } ?? .null
                        }
                    },
                    "PUT": { request in
                        let value = request.body
                        _ = try await queries.store.write {
                            try $0.putKeyValue(request.tail, value)
                        }
                        return .done
                    },
                ]),
            Endpoint(
                "/v1/hashed/",
                [
                    "GET": { request in
                        try await queries.hashed(
                            request, watching: Watch(.keyValues, .key(request.tail))
                        ) { state in
                            let value = state.keyValue(request.tail)?.value ?? []
                            return ("h\(value.count)", .json(.number(value.count)))
                        }
                    }
                ]),
        ]
    }
}

@Suite struct ServingTests {
    private static func api() async throws -> TestAPI {
        try await TestAPI { backend in
            [PairEndpoints(queries: Queries(store: backend.store, datacenter: "dc1"))]
        }
    }

    @Test func whatIsNoEndpointIsAnsweredByNothing() async throws {
        let api = try await TestAPI()
        for path in ["/foo", "/v1/nothing", "/v1/status", "/v1/status/leader/x", "//", "/v1"] {
            let answer = await api.send("GET", path)
            #expect(answer.status == 404, "\(path)")
            #expect(answer.text.isEmpty)
            #expect(answer.response.headers["X-Consul-Default-ACL-Policy"] == nil)
        }
        let root = await api.send("GET", "/")
        #expect(root.status == 301)
        #expect(root.response.headers["Location"] == "/ui/")
    }

    @Test(arguments: ["/v1/status/%00", "/v1/status/leader%0a", "/v1/%zz", "/v1/%ff"])
    func unprintablePathsAreRefused(_ path: String) async throws {
        let api = try await TestAPI()
        #expect(await api.send("GET", path).status == 400)
    }

    @Test func aWrongMethodIsToldWhatThereIs() async throws {
        let api = try await Self.api()
        for method in ["POST", "HEAD", "PATCH", "DELETE", "TRACE", "BREW"] {
            let answer = await api.send(method, "/v1/pair/a")
            #expect(answer.status == 405)
            #expect(answer.text == "method \(method) not allowed")
            #expect(answer.response.headers["Allow"] == "OPTIONS,GET,PUT")
        }
        let options = await api.send("OPTIONS", "/v1/pair/a")
        #expect(options.status == 200)
        #expect(options.response.headers["Allow"] == "OPTIONS,GET,PUT")
        #expect(options.text.isEmpty)
    }

    @Test func theNodeLeadsItself() async throws {
        let api = try await TestAPI()
        let leader = await api.send("GET", "/v1/status/leader")
        #expect(leader.text == "\"127.0.0.1:8300\"")
        #expect(leader.response.headers["Content-Type"] == "application/json")
        #expect(leader.response.headers["X-Consul-Default-ACL-Policy"] == "allow")
        let peers = await api.send("GET", "/v1/status/peers?pretty")
        #expect(peers.text == "[\n    \"127.0.0.1:8300\"\n]\n")
    }

    @Test func theAgentSaysWhoItIs() async throws {
        let api = try await TestAPI()
        let own = try await api.send("GET", "/v1/agent/self").json
        #expect(own["Config"]?["Version"] == "1.9.8")
        #expect(own["Config"]?["Datacenter"] == "dc1")
        #expect(own["Member"]?["Name"] == "lab")
        #expect(own["Meta"]?["site"] == "lyon")
    }

    // MARK: - blocking

    @Test func aReadWithoutAnIndexAnswersAtOnceWithAllFields() async throws {
        let api = try await Self.api()
        let answer = await api.send("GET", "/v1/pair/a")
        #expect(answer.text == "null")
        #expect((answer.index ?? 0) >= 1)
        #expect(answer.response.headers["x-consul-knownleader"] == "true")
        #expect(answer.response.headers["x-consul-lastcontact"] == "0")
        #expect(answer.response.headers["x-consul-effective-consistency"] == "leader")
        let stale = await api.send("GET", "/v1/pair/a?stale")
        #expect(stale.response.headers["x-consul-effective-consistency"] == "stale")
    }

    @Test func aHeldReadIsWokenByItsChangeAndByNoOther() async throws {
        let api = try await Self.api()
        let first = try #require(await api.send("GET", "/v1/pair/a").index)
        let start = ContinuousClock.now
        async let held = api.send("GET", "/v1/pair/a?index=\(first)&wait=10m")
        _ = await api.send("PUT", "/v1/pair/b", body: "other")
        try await Task.sleep(for: .milliseconds(100))
        _ = await api.send("PUT", "/v1/pair/a", body: "mine")
        let answer = await held
        #expect(answer.text == "\"mine\"")
        #expect((answer.index ?? 0) > first)
        #expect(start.duration(to: .now) < .seconds(300))
        #expect(start.duration(to: .now) >= .milliseconds(100))
    }

    @Test func aHeldReadAnswersTheSameWhenItsTimeIsOver() async throws {
        let api = try await Self.api()
        _ = await api.send("PUT", "/v1/pair/a", body: "x")
        let first = try #require(await api.send("GET", "/v1/pair/a").index)
        for index in [first, 99_999_999] {
            let start = ContinuousClock.now
            let answer = await api.send("GET", "/v1/pair/a?index=\(index)&wait=200ms")
            #expect(answer.index == first)
            #expect(start.duration(to: .now) >= .milliseconds(200))
        }
    }

    @Test(arguments: [
        ("index=x", "Invalid index"), ("index=-4", "Invalid index"), ("index=+4", "Invalid index"),
        ("wait=x", "Invalid wait time"), ("wait=10", "Invalid wait time"),
        ("max_stale=x", "Invalid max_stale value \"x\""),
        ("stale&consistent", "Cannot specify ?stale with ?consistent, conflicting semantics."),
        ("cached&consistent", "Cannot specify ?cached with ?consistent, conflicting semantics."),
    ])
    func wrongOptionsAreRefused(_ query: String, _ words: String) async throws {
        let api = try await Self.api()
        let answer = await api.send("GET", "/v1/pair/a?\(query)")
        #expect(answer.status == 400)
        #expect(answer.text == words)
    }

    @Test func anotherDatacenterIsUnknown() async throws {
        let api = try await Self.api()
        #expect(await api.send("GET", "/v1/pair/a?dc=DC1").status == 200)
        let answer = await api.send("GET", "/v1/pair/a?dc=dc77")
        #expect(answer.status == 500)
        #expect(answer.text == "No path to datacenter")
        #expect(answer.index == 1)
        #expect(answer.response.headers["X-Consul-KnownLeader"] == "false")
    }

    @Test func aCachedReadSaysWhetherItWasMadeBefore() async throws {
        let api = try await Self.api()
        let first = await api.send("GET", "/v1/pair/a?cached")
        #expect(first.response.headers["X-Cache"] == "MISS")
        #expect(first.response.headers["Age"] == nil)
        let second = await api.send("GET", "/v1/pair/a?cached")
        #expect(second.response.headers["X-Cache"] == "HIT")
        #expect(second.response.headers["Age"] == "0")
        let wrong = await api.send(
            "GET", "/v1/pair/a?cached", headers: ["Cache-Control": "max-age=soon"])
        #expect(wrong.status == 400)
        #expect(wrong.text == "Invalid Cache-Control header.")
    }

    @Test func aReadByHashIsHeldWhileTheHashIsTheSame() async throws {
        let api = try await Self.api()
        let first = await api.send("GET", "/v1/hashed/a")
        #expect(first.response.headers["X-Consul-ContentHash"] == "h0")
        let other = await api.send("GET", "/v1/hashed/a?hash=nonsense&wait=10m")
        #expect(other.response.headers["X-Consul-ContentHash"] == "h0")
        async let held = api.send("GET", "/v1/hashed/a?hash=h0&wait=10m")
        try await Task.sleep(for: .milliseconds(50))
        _ = await api.send("PUT", "/v1/pair/a", body: "xyz")
        #expect(await held.response.headers["X-Consul-ContentHash"] == "h3")
        let start = ContinuousClock.now
        #expect(await api.send("GET", "/v1/hashed/a?hash=h3&wait=200ms").text == "3")
        #expect(start.duration(to: .now) >= .milliseconds(200))
    }

    @Test func waitingIsLongerByUpToASixteenth() throws {
        var generator = SeededGenerator(seed: 1)
        var options = QueryOptions()
        for (wait, expected) in [("1s", 1.0), ("0s", 300), ("-5s", 300), ("1h", 600)] {
            let request = APIRequest(
                ServerRequest(method: "GET", target: "/?wait=\(wait)"), tail: "")
            options = try QueryOptions(request)
            for _ in 0..<100 {
                let held = options.heldFor(using: &generator) / .seconds(1)
                #expect(held >= expected && held < expected * 17 / 16)
            }
        }
    }

    // MARK: - tokens

    @Test func theTokenIsTakenFromWhereConsulTakesIt() {
        func token(_ target: String, _ headers: ServerHeaders) -> String {
            APIRequest(ServerRequest(method: "GET", target: target, headers: headers), tail: "")
                .token
        }
        let both: ServerHeaders = ["X-Consul-Token": "own", "Authorization": "Bearer general"]
        #expect(token("/", [:]) == "")
        #expect(token("/", both) == "own")
        #expect(token("/?token=query", both) == "query")
        #expect(token("/", ["Authorization": "bearer  general"]) == "general")
        #expect(token("/", ["Authorization": "Basic x"]) == "")
    }

    private struct Closed: AccessPolicy {
        struct Nothing: Authority {
            func allows(_ access: Access) -> Bool { false }
        }

        var isDefaultAllow: Bool { false }

        func authority(of token: String) async throws -> any Authority {
            guard token.isEmpty else { throw APIError.unknownToken }
            return Nothing()
        }
    }

    @Test func whoMayNotIsRefused() async throws {
        let api = try await TestAPI(access: Closed())
        let answer = await api.send("GET", "/v1/agent/self")
        #expect(answer.status == 403)
        #expect(answer.text == "Permission denied")
        #expect(answer.response.headers["X-Consul-Default-ACL-Policy"] == "deny")
        let unknown = await api.send("GET", "/v1/agent/self?token=x")
        #expect(unknown.text == "ACL not found")
        #expect(await api.send("GET", "/v1/agent/members").text == "[]")
        #expect(await api.send("GET", "/v1/status/leader?token=x").status == 200)
    }
}
