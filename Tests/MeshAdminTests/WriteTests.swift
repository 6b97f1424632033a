import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel
import Testing

@testable import MeshAdmin

@Suite struct WriteTests {
    private static let intention =
        #"{"source":"api","destination":"web","action":"allow","replace":true}"#
    private static let bearer = ("Authorization", "Bearer \(RunningServer.token)")

    @Test func theSocketAllowsEveryChange() async throws {
        let backend = FakeBackend()
        try await withFolder { folder in
            try await RunningServer.overSocket(backend, path: "\(folder)/admin.sock") { server in
                try await Self.changeEverything(try server.client())
            }
        }
        #expect(backend.calls == Self.everyCall)
    }

    @Test func theTokenAllowsEveryChangeOverTCP() async throws {
        let backend = FakeBackend()
        try await RunningServer.overTCP(backend) { server in
            try await Self.changeEverything(try server.client(token: RunningServer.token))
        }
        #expect(backend.calls == Self.everyCall)
    }

    private static let everyCall: [FakeBackend.Call] = [
        .register("service: { name: web }"), .deregisterDocument("service: { name: web }"),
        .deregister(id: "web/1 %41"),
        .create(
            IntentionRequest(source: "api", destination: "web", action: "allow", replace: true)),
        .delete(source: "api", destination: "*"),
    ]

    @Test func servicesReportAboutThemselves() async throws {
        let backend = FakeBackend()
        try await withFolder { folder in
            try await RunningServer.overSocket(backend, path: "\(folder)/admin.sock") { server in
                let client = try server.client()
                for (path, body, status) in [
                    ("/v1/checks/service:web/pass", nil, "passing"),
                    (
                        URLPath.make("v1", "checks", "a/b %", "warn", query: [("note", "x y&z")]),
                        nil, "warning"
                    ),
                    ("/v1/checks/c/fail?note=", nil, "critical"),
                    ("/v1/checks/c/update", #"{"status":"passing","output":"o"}"#, "passing"),
                    ("/v1/checks/c/update", #"{"status":"warning"}"#, "warning"),
                ] as [(String, String?, String)] {
                    let answer = try await client.request(
                        "PUT", path, json: body.map { Array($0.utf8) })
                    #expect(answer.status == 200)
                    #expect(try answer.value(CheckStateReport.self).status == status)
                }
                for (method, path, status) in [
                    ("GET", "/v1/checks/c/pass", 405), ("PUT", "/v1/checks/c", 404),
                    ("PUT", "/v1/checks/c/maintenance", 404),
                    ("PUT", "/v1/checks/c/update", 400),
                ] {
                    #expect(try await client.answer(method, path).status == status, "\(path)")
                }
            }
        }
        #expect(
            backend.calls == [
                .report(check: "service:web", CheckUpdate(status: "passing")),
                .report(check: "a/b %", CheckUpdate(status: "warning", output: "x y&z")),
                .report(check: "c", CheckUpdate(status: "critical", output: "")),
                .report(check: "c", CheckUpdate(status: "passing", output: "o")),
                .report(check: "c", CheckUpdate(status: "warning")),
            ])
    }

    private static func changeEverything(_ client: APIClient) async throws {
        let document = Array("service: { name: web }".utf8)
        let changes: [(String, String, [UInt8]?)] = [
            ("PUT", "/v1/services", document), ("DELETE", "/v1/services", document),
            ("DELETE", URLPath.make("v1", "services", "web/1 %41"), nil),
            ("POST", "/v1/intentions", Array(intention.utf8)),
            (
                "DELETE",
                URLPath.make(
                    "v1", "intentions", query: [("source", "api"), ("destination", "*")]), nil
            ),
        ]
        for (method, path, body) in changes {
            let report: ChangeReport = try await client.request(method, path, json: body).value()
            #expect(report == ChangeReport(outcome: .live, generation: 8))
        }
    }

    /// Every way in that is not the socket and not the token's.
    static let refusals: [(why: String, token: String?, headers: [(String, String)])] = [
        ("no token configured", nil, []),
        ("no token configured, one sent", nil, [bearer]),
        ("no token configured, an empty one sent", nil, [("Authorization", "Bearer ")]),
        ("no token sent", RunningServer.token, []),
        ("empty", RunningServer.token, [("Authorization", "Bearer ")]),
        ("wrong", RunningServer.token, [("Authorization", "Bearer wrong!")]),
        ("a prefix", RunningServer.token, [("Authorization", "Bearer sesam")]),
        ("longer", RunningServer.token, [("Authorization", "Bearer sesames")]),
        ("another scheme", RunningServer.token, [("Authorization", "Basic sesame")]),
        ("no scheme", RunningServer.token, [("Authorization", "sesame")]),
        ("other site", RunningServer.token, [bearer, ("Sec-Fetch-Site", "cross-site")]),
        ("same site", RunningServer.token, [bearer, ("Sec-Fetch-Site", "same-site")]),
        ("other origin", RunningServer.token, [bearer, ("Origin", "https://evil.example")]),
        ("no origin to name", RunningServer.token, [bearer, ("Origin", "null")]),
    ]

    @Test(arguments: refusals.indices)
    func everythingElseIsRefused(index: Int) async throws {
        let refusal = Self.refusals[index]
        let backend = FakeBackend()
        try await RunningServer.overTCP(backend, token: refusal.token) { server in
            for (method, path) in [
                ("POST", "/v1/intentions"), ("DELETE", "/v1/services/web"),
                ("PUT", "/v1/services"), ("PUT", "/v1/checks/c/pass"),
            ] {
                let answer = try await server.raw(
                    method, path, headers: Self.refusals[index].headers, body: Self.intention)
                #expect(answer.status == 403, "\(Self.refusals[index].why): \(method) \(path)")
                #expect(answer.error?.code == "denied")
            }
        }
        #expect(backend.calls.isEmpty)
    }

    @Test func aPageOfThisServerMayWithTheToken() async throws {
        let backend = FakeBackend()
        try await RunningServer.overTCP(backend) { server in
            for headers in [
                [Self.bearer, ("Origin", server.address), ("Sec-Fetch-Site", "same-origin")],
                [Self.bearer, ("Sec-Fetch-Site", "none")],
                [("Authorization", "bearer  \(RunningServer.token)")],
            ] {
                let answer = try await server.raw(
                    "POST", "/v1/intentions", headers: headers, body: Self.intention)
                #expect(answer.status == 200)
            }
        }
        #expect(backend.calls.count == 3)
    }

    /// Which addresses are this machine, for reads on a server with a token.
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true),
        ("128.0.0.1", false), ("10.0.0.1", false), ("::2", false), ("fe80::1", false),
        ("::ffff:10.0.0.1", false),
    ])
    func peers(address: String, isThisMachine: Bool) {
        #expect(AccessGuard.isThisMachine(address) == isThisMachine)
        #expect(!AccessGuard.isThisMachine(nil))
    }

    /// Names that a page of somebody else may have been loaded from.
    @Test(arguments: [
        ("127.0.0.1", true), ("127.0.0.1:8002", true), ("[::1]", true), ("[::1]:8002", true),
        ("localhost", true), ("LOCALHOST:8002", true), ("10.0.0.1:8002", true),
        ("evil.example", false), ("evil.example:8002", false), ("localhost.evil.example", false),
        ("127.0.0.1.evil.example:80", false), ("", false), ("[::1", false), ("1.2.3", false),
    ])
    func hosts(host: String, isOfThisMachine: Bool) async throws {
        #expect(AccessGuard.isOfThisMachine(host: host) == isOfThisMachine)
    }

    @Test func outcomesAreStatuses() async throws {
        for (outcome, status) in [
            (ChangeReport.Outcome.live, 200), (.partial, 202), (.stored, 202), (.refused, 409),
        ] {
            let backend = FakeBackend()
            backend.setOutcome(outcome)
            try await RunningServer.overTCP(backend) { server in
                let answer = try await server.raw(
                    "POST", "/v1/intentions", headers: [Self.bearer], body: Self.intention)
                #expect(answer.status == status)
                let report: ChangeReport = try answer.value()
                #expect(report.outcome == outcome)
            }
        }
    }

    @Test(arguments: [
        ("", "the body is not JSON"), ("{", "the body is not JSON"),
        ("[]", "the body must be an object"), ("{}", "source is missing"),
        (#"{"source":"api","destination":"web"}"#, "action is missing"),
        (#"{"source":1,"destination":"web","action":"allow"}"#, "source must be text"),
        (
            #"{"source":"api","destination":"web","action":"allow","replace":"yes"}"#,
            "replace must be true or false"
        ),
        (#"{"source":"api","destination":null,"action":"allow"}"#, "destination must be text"),
    ])
    func malformedBodiesSayWhatIsWrong(body: String, message: String) async throws {
        let backend = FakeBackend()
        try await RunningServer.overTCP(backend) { server in
            let answer = try await server.raw(
                "POST", "/v1/intentions", headers: [Self.bearer], body: body)
            #expect(answer.status == 400)
            #expect(answer.error == ErrorReport(code: "invalid", message: message))
        }
        #expect(backend.calls.isEmpty)
    }

    @Test func keysInMessagesAreThoseOfTheAPI() {
        struct Outer: Decodable { var nearMisses: [Inner] }
        struct Inner: Decodable { var heartbeatAgeMs: Int }
        let text = #"{"near_misses":[{"heartbeat_age_ms":"x"}]}"#
        #expect {
            _ = try APICoding.decoder().decode(Outer.self, from: Data(text.utf8))
        } throws: { error in
            guard let error = error as? DecodingError else { return false }
            return AdminErrors.words(for: error)
                == "near_misses[0].heartbeat_age_ms must be a whole number"
        }
    }

    @Test(arguments: [-1, 0, 1])
    func bodiesEndAtOneMebibyte(past: Int) async throws {
        let backend = FakeBackend()
        let size = (1 << 20) + past
        try await RunningServer.overTCP(backend) { server in
            let answer = try await server.raw(
                "PUT", "/v1/services", headers: [Self.bearer],
                body: String(repeating: "#", count: size))
            #expect(answer.status == (past > 0 ? 413 : 200))
            if past > 0 { #expect(answer.error?.code == "too_large") }
        }
        #expect(backend.calls.count == (past > 0 ? 0 : 1))
    }
}
