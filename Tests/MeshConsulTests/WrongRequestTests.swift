import MeshHTTP
import MeshModel
import MeshStore
import Testing

@testable import MeshConsul

/// Whatever is sent to any endpoint: an answer with words, and nothing changed.
@Suite struct WrongRequestTests {
    /// Endpoints that read a body, as a client calls them, and their members' names.
    private static let writers: [(method: String, target: String, names: [String])] = [
        (
            "PUT", "/v1/agent/service/register",
            ["Name", "Port", "Tags", "Meta", "Check", "Checks", "Connect", "Proxy", "Weights"]
        ),
        ("PUT", "/v1/agent/check/register", ["Name", "TTL", "Header", "ServiceID"]),
        ("PUT", "/v1/agent/check/update/x", ["Status", "Output"]),
        ("PUT", "/v1/catalog/register", ["Node", "Address", "Service", "Check", "NodeMeta"]),
        ("PUT", "/v1/catalog/deregister", ["Node", "ServiceID"]),
        ("PUT", "/v1/config", ["Kind", "Name"]),
        ("POST", "/v1/connect/intentions", ["SourceName", "DestinationName"]),
        ("PUT", "/v1/connect/intentions/exact?source=a&destination=b", ["Action"]),
        ("POST", "/v1/agent/connect/authorize", ["Target", "ClientCertURI"]),
        ("POST", "/v1/discovery-chain/web", ["OverrideProtocol", "OverrideConnectTimeout"]),
    ]

    private static let bodies = [
        "{", "[]", "3", "\"x\"", "true", "{\"a\":}", "{\"a\":1,}", "{} x", "\u{0}",
        String(repeating: "[", count: 500), "{\"Name\":\"\u{1}\"}",
    ]

    @Test func bodiesThatAreNoneAreRefused() async throws {
        let api = try await TestAPI()
        let before = api.backend.store.snapshot.index
        for writer in Self.writers {
            for body in Self.bodies {
                let answer = await api.send(writer.method, writer.target, body: body)
                let isOld = writer.target == "/v1/connect/intentions"
                #expect(
                    answer.status == (isOld ? 500 : 400),
                    "\(writer.target) \(body): \(answer.text)")
                #expect(!answer.text.isEmpty)
            }
        }
        #expect(api.backend.store.snapshot.index == before)
    }

    @Test func membersOfWrongKindsAreRefused() async throws {
        let api = try await TestAPI()
        let before = api.backend.store.snapshot.index
        let kinds = ["3.5", "[[1]]", "{\"x\":{\"y\":[]}}", "true"]
        for writer in Self.writers {
            for name in writer.names {
                for kind in kinds {
                    let body = "{\"\(name)\":\(kind)}"
                    let answer = await api.send(writer.method, writer.target, body: body)
                    #expect(
                        answer.status == 400 || answer.status == 500,
                        "\(writer.target) \(body): \(answer.status) \(answer.text)")
                    #expect(!answer.text.isEmpty)
                }
            }
        }
        #expect(api.backend.store.snapshot.index == before)
    }

    @Test func wrongMethodsAreToldTheRightOnesEverywhere() async throws {
        let api = try await TestAPI()
        #expect(api.api.paths.count >= 35)
        for (path, methods) in api.api.paths {
            let target = path.hasSuffix("/") ? path + "x" : path
            for method in ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "TRACE", "LINK"]
            where !methods.contains(method) {
                let answer = await api.send(method, target)
                #expect(answer.status == 405, "\(method) \(target)")
                #expect(answer.text == "method \(method) not allowed")
                let allow = answer.response.headers["Allow"]
                #expect(allow == (["OPTIONS"] + methods).joined(separator: ","))
            }
        }
    }

    @Test func everyEndpointHasABoundForBodies() async throws {
        let api = try await TestAPI()
        for (path, methods) in api.api.paths {
            let limit = api.api.bodyLimit(method: methods[0], target: path)
            #expect((1...1 << 20).contains(limit), "\(path)")
            let refusal = api.api.refusal(of: path, limit: limit)
            #expect(refusal.status == 413)
            #expect(!refusal.body.isEmpty)
        }
    }

    @Test func namesBehindPathsMayBeAnything() async throws {
        let api = try await TestAPI()
        let before = api.backend.store.snapshot.index
        let names = [
            "", "*", "..", "a/b/c", "%2F", "%F0%9F%98%80", String(repeating: "x", count: 5000),
            "x?index=1&wait=1ms", "x?filter=%22", "x?near=y&node-meta=:&tag=", "x?cas=y", "?by=x",
        ]
        for (path, methods) in api.api.paths where path.hasSuffix("/") {
            for name in names {
                for method in methods {
                    let answer = await api.send(method, path + name)
                    #expect(
                        [200, 400, 403, 404, 429, 500, 503].contains(answer.status),
                        "\(method) \(path)\(name): \(answer.status)")
                    if answer.status >= 500 { #expect(!answer.text.isEmpty) }
                }
            }
        }
        // Certificates may have been made of names that are some.
        let services = api.backend.store.snapshot.services
        #expect(services.isEmpty)
        #expect(api.backend.store.snapshot.index >= before)
    }

    /// Random requests made of pieces that mean something: always an answer of HTTP's, and JSON
    /// where JSON is said.
    @Test func randomRequestsAreAnswered() async throws {
        let api = try await TestAPI()
        var generator = SeededGenerator(seed: 1985)
        let paths = api.api.paths
        let queries = ["", "?index=1&wait=1ms", "?filter=a==b", "?cas=0", "?hash=x&wait=1ms", "?%"]
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"Name\"", "\"Kind\"", "\"service-router\"", "null",
            "\"web\"", "1", "-", "\"Routes\"", "\"Check\"", "\"TTL\"", "\"1s\"", "true", "\\u00",
        ]
        var answered: [Int: Int] = [:]
        for _ in 0..<5000 {
            guard let (path, methods) = paths.randomElement(using: &generator),
                let method = (methods + ["PATCH"]).randomElement(using: &generator),
                let query = queries.randomElement(using: &generator)
            else { return }
            let body = (0..<Int.random(in: 0...12, using: &generator)).compactMap { _ in
                pieces.randomElement(using: &generator)
            }.joined()
            let answer = await api.send(
                method, path + (path.hasSuffix("/") ? "web" : "") + query, body: body)
            answered[answer.status, default: 0] += 1
            if answer.response.headers["Content-Type"] == "application/json" {
                #expect(throws: Never.self) { try JSONParser.parse(answer.response.body) }
            }
        }
        #expect(Set(answered.keys).isSubset(of: [200, 400, 404, 405, 500, 503]))
    }
}

@Suite struct ManyWatchersTests {
    /// A thousand reads are held; a change wakes those that it concerns, all of them and nobody
    /// else.
    @Test func aChangeWakesAllWhomItConcernsAndNobodyElse() async throws {
        let api = try await TestAPI()
        for name in ["web", "db"] {
            let body = "{\"Name\":\"\(name)\",\"Port\":1}"
            #expect(await api.send("PUT", "/v1/agent/service/register", body: body).status == 200)
        }
        func read(_ name: String, _ rest: String = "") async -> TestAnswer {
            await api.send("GET", "/v1/health/service/\(name)\(rest)")
        }
        let (web, db) = (
            try #require(await read("web").index), try #require(await read("db").index)
        )
        let start = ContinuousClock.now
        let woken = await withTaskGroup(of: (String, UInt64?).self) { group in
            for number in 0..<1000 {
                let (name, index) = number % 2 == 0 ? ("web", web) : ("db", db)
                group.addTask {
                    (name, await read(name, "?index=\(index)&wait=5s").index)
                }
            }
            try? await Task.sleep(for: .milliseconds(300))
            let body = "{\"Name\":\"web\",\"Port\":2}"
            _ = await api.send("PUT", "/v1/agent/service/register", body: body)
            var woken: [String: Int] = [:]
            for await (name, index) in group {
                let isNew = (index ?? 0) > (name == "web" ? web : db)
                if isNew { woken[name, default: 0] += 1 }
            }
            return woken
        }
        #expect(woken == ["web": 500])
        #expect(start.duration(to: .now) >= .seconds(5))
    }
}
