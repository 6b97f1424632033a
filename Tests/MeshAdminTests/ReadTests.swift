import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel
import Testing

@Suite struct ReadTests {
    @Test func everyReadAnswersOnBothTransports() async throws {
        try await withFolder { folder in
            try await RunningServer.overSocket(path: "\(folder)/admin.sock") { server in
                try await Self.readEverything(server)
            }
        }
        try await RunningServer.overTCP { server in try await Self.readEverything(server) }
    }

    private static func readEverything(_ server: RunningServer) async throws {
        let client = try server.client()
        func read<Value: Decodable>(_ path: String) async throws -> Value {
            try await client.request("GET", path).value()
        }
        #expect(try await read("/status") == Sample.status)
        #expect(try await read("/status/services") == Sample.services)
        #expect(try await read("/status/instances") == Sample.instances)
        #expect(try await read("/status/instances?service=web") == [Sample.instances[0]])
        #expect(try await read("/status/instances?service=none") == [InstanceReport]())
        #expect(try await read("/status/checks") == Sample.checks)
        #expect(try await read("/status/proxies") == Sample.proxies)
        #expect(
            try await read("/status/proxies/web-proxy/log?stream=stdout&from=7&bytes=3")
                == ProxyLogReport(text: "web-proxy false 3", next: 10))
        #expect(try await read("/status/intentions") == Sample.intentions)
        #expect(
            try await read("/status/intentions/check?source=api&destination=web") == Sample.check)
        #expect(try await read("/status/routes") == Sample.routes)
        #expect(try await read("/status/stats") == Sample.stats)
        #expect(try await read("/status/certs") == Sample.certificates)
        #expect(try await read("/status/roots") == Sample.roots)
        #expect(try await read("/status/ca") == Sample.authority)
        let asked = try APICoding.encoder().encode(Sample.explainRequest)
        let explained: ExplainReport = try await client.request(
            "POST", "/status/explain", json: Array(asked)
        ).value()
        #expect(explained.phases.first?.detail == "GET http://web/")
    }

    /// Consul's document, in Consul's own writing.
    @Test func aChainIsAnsweredAsItIs() async throws {
        try await RunningServer.overTCP { server in
            let chain = try await server.raw("GET", "/status/chain/web?dc=dc2")
            #expect(chain.status == 200)
            #expect(chain.header("content-type") == "application/json; charset=utf-8")
            #expect(chain.text == Sample.chain(of: "web", in: "dc2"))
        }
    }

    @Test func answersAreJSONThatNobodyKeeps() async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw("GET", "/status")
            #expect(answer.header("content-type") == "application/json; charset=utf-8")
            #expect(answer.header("cache-control") == "no-store")
        }
    }

    @Test func valuesInQueriesAreDecodedOnce() async throws {
        try await RunningServer.overTCP { server in
            let path = URLPath.make(
                "status", "intentions", "check",
                query: [("source", "a&b=c%25"), ("destination", "*")])
            let check: IntentionCheckReport = try await server.client().request("GET", path)
                .value()
            #expect(check.source == "a&b=c%25")
            #expect(check.destination == "*")
        }
    }

    @Test(arguments: [
        "", "?source=api", "?destination=web", "?source=&destination=web",
        "?source=api&destination=",
    ])
    func aCheckNeedsBothNames(query: String) async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw("GET", "/status/intentions/check" + query)
            #expect(answer.status == 400)
            #expect(answer.error?.code == "invalid")
        }
    }

    @Test func healthAndReadiness() async throws {
        let backend = FakeBackend()
        backend.setNotReady("worker 1 has not acknowledged generation 1")
        try await RunningServer.overTCP(backend) { server in
            let health = try await server.raw("GET", "/health")
            #expect(health.status == 200)
            #expect(try health.value() == HealthReport(status: "ok"))
            let before = try await server.raw("GET", "/ready")
            #expect(before.status == 503)
            #expect(
                try before.value()
                    == HealthReport(
                        status: "not ready", reason: "worker 1 has not acknowledged generation 1"))
            backend.setNotReady(nil)
            let after = try await server.raw("GET", "/ready")
            #expect(after.status == 200)
            #expect(try after.value() == HealthReport(status: "ready"))
        }
    }

    @Test func metricsAreInPrometheusText() async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw("GET", "/metrics")
            #expect(answer.status == 200)
            #expect(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(
                answer.text == """
                    # HELP ringmesh_generation Newest live generation.
                    # TYPE ringmesh_generation gauge
                    ringmesh_generation 7

                    """)
        }
    }

    @Test func headAnswersAsGetWithoutABody() async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw("HEAD", "/health")
            #expect(answer.status == 200)
            #expect(answer.body.isEmpty)
            #expect(answer.header("content-length") == "\(#"{"status":"ok"}"#.utf8.count)")
        }
    }

    @Test(arguments: ["/", "/nothing", "/v1", "/v1/nothing", "/status/", "/status/x", "//health"])
    func unknownPathsAreNotFound(path: String) async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw("GET", path)
            if path == "/status/" || path == "//health" {
                #expect(answer.status == 200)  // a slash more or less means the same
            } else {
                #expect(answer.status == 404)
                #expect(answer.error?.code == "not_found")
                #expect(answer.error?.message == "there is no \(path) here")
            }
        }
    }

    @Test(arguments: [
        ("POST", "/status", "GET, HEAD"), ("DELETE", "/health", "GET, HEAD"),
        ("GET", "/status/explain", "POST"), ("HEAD", "/status/explain", "POST"),
        ("GET", "/v1/services", "DELETE, PUT"), ("PATCH", "/v1/intentions", "DELETE, POST"),
        ("GET", "/v1/services/web", "DELETE"),
    ])
    func wrongMethodsAreToldWhichAreRight(
        method: String, path: String, allow: String
    ) async throws {
        try await RunningServer.overTCP { server in
            let answer = try await server.raw(
                method, path, headers: [("Authorization", "Bearer \(RunningServer.token)")])
            #expect(answer.status == 405)
            #expect(answer.header("allow") == allow)
            if method != "HEAD" { #expect(answer.error?.code == "method_not_allowed") }
        }
    }

    @Test(arguments: [
        (MeshError.Code.invalid, 400), (.notFound, 404), (.conflict, 409), (.ownedByFile, 409),
        (.denied, 403), (.unavailable, 503), (.timeout, 504), (.system, 500),
    ])
    func errorsOfTheBackendKeepTheirCode(code: MeshError.Code, status: Int) async throws {
        let backend = FakeBackend()
        backend.fail(with: MeshError(code, "what happened"))
        try await RunningServer.overTCP(backend) { server in
            let answer = try await server.raw("GET", "/status")
            #expect(answer.status == status)
            #expect(
                answer.error == ErrorReport(code: code.rawValue, message: "what happened"))
        }
    }

    private struct Surprise: Error {}

    @Test func anUnforeseenErrorIsAnErrorOfOurs() async throws {
        let backend = FakeBackend()
        backend.fail(with: Surprise())
        try await RunningServer.overTCP(backend) { server in
            let answer = try await server.raw("GET", "/status")
            #expect(answer.status == 500)
            #expect(answer.error?.code == "internal")
        }
    }
}
