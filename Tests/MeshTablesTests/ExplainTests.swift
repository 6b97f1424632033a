import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

@Suite struct ExplainTests {
    /// A public listener with routes, a sidecar's inbound and an outbound one.
    private func node() throws -> CompiledNode {
        let (web, api) = (try ServiceName("web"), try ServiceName("api"))
        var node = CompiledNode(node: "node-1", datacenter: "dc1", trustDomain: "test.mesh")
        let server = node.intern(
            TLSPlan(
                server: true, verify: .require, mesh: true, certificates: [7], trust: [1]))
        node.targets = [
            try Plans.target("web", ports: [18000, 18001]),
            try Plans.target("api", ports: [18002]),
        ]
        node.targets[0].checksIntentions = true
        node.targets[0].failover = ["api.default.dc1"]
        node.identities = [
            IdentityPlan(
                service: api, spiffeID: "spiffe://test.mesh/ns/default/dc/dc1/svc/api", secret: 7)
        ]
        let toWeb = RoutePlan(
            action: .forward(SplitPlan.all(to: "web.default.dc1")), rule: "route 3", origin: "y:3")
        node.listeners = [
            ListenerPlan(
                name: "public", address: Plans.loopback(8080),
                kind: .l7([
                    RoutePlan(
                        host: "*.example.com", match: HTTPMatch(path: .prefix("/admin")),
                        action: .respond(status: 403, body: "", contentType: ""), rule: "route 1",
                        origin: "y:1"),
                    RoutePlan(
                        host: "old.example.com",
                        action: .redirect(
                            status: 308, scheme: "", host: "www.example.com", path: ""),
                        rule: "route 2", origin: "y:2"), toWeb,
                ])),
            ListenerPlan(
                name: "web inbound", address: Plans.loopback(21000), kind: .l7([toWeb]),
                role: .inbound, tls: server, intentionsOf: web),
            ListenerPlan(
                name: "api to web", address: Plans.loopback(9191), kind: .l7([toWeb]),
                role: .outbound, identity: api),
            ListenerPlan(
                name: "raw", address: Plans.loopback(7000),
                kind: .l4(SplitPlan.all(to: "web.default.dc1"))),
        ]
        node.intentions = [
            Intention(
                source: .exact(api), destination: .exact(web),
                effect: .permissions([
                    Permission(action: .deny, http: HTTPMatch(path: .prefix("/secret"))),
                    Permission(action: .allow, http: HTTPMatch(path: .prefix("/"))),
                ]), origin: .file(SourceLocation(source: "y", line: 9, column: 5))),
            try Plans.intention("cron", "web", .allow),
        ]
        return node
    }

    private func explain(
        _ url: String, method: String = "GET", from: String? = nil, listener: String? = nil,
        down: Set<UInt32> = []
    ) throws -> Explanation {
        let explainer = Explainer(try Plans.reader(try node())) { down.contains($0) ? 1 : 0 }
        return try explainer.explain(
            ExplainedRequest(method: method, url: url, from: from, listener: listener))
    }

    @Test func theDecidingRouteAndThePassedOnesAreNamed() throws {
        let found = try explain("http://a.example.com:8080/x/../y?z")
        #expect(found.outcome == "forwarded to web.default.dc1")
        let routes = found.phases.filter { $0.phase == .route }
        #expect(routes.map(\.verdict) == [.passed, .matched])
        #expect(routes[0].detail == "the path does not match")
        #expect(routes[1].origin == "y:3")
        #expect(found.phases.contains { $0.detail == "host \"a.example.com\", path /y" })
        #expect(try explain("http://a.example.com:8080/admin/x").outcome == "403")
        #expect(
            try explain("http://old.example.com:8080/a/../b?c=d").outcome
                == "308 to http://www.example.com/b?c=d")
    }

    @Test func callersOfASidecarAreJudged() throws {
        let id = "spiffe://test.mesh/ns/default/dc/dc1/svc/api"
        let good = try explain("http://x:21000/", from: id)
        #expect(good.outcome == "forwarded to web.default.dc1")
        let allowed = good.phases.first { $0.phase == .authorize }
        #expect(allowed?.verdict == .allow)
        #expect(allowed?.rule == "api => web (precedence 9)")
        #expect(allowed?.detail == "callers of the listener: permission 2")
        #expect(allowed?.origin == "y:9:5")
        #expect(try explain("http://x:21000/secret/1", from: "API").outcome == "403, denied")
        #expect(try explain("http://x:21000/", from: "cron").outcome.hasPrefix("forwarded"))
        #expect(
            try explain("http://x:21000/", from: "other").outcome == "connection closed, denied")
        #expect(try explain("http://x:21000/").outcome == "connection refused, tls")
        let stranger = try explain(
            "http://x:21000/", from: "spiffe://other.mesh/ns/default/dc/dc1/svc/api")
        #expect(stranger.outcome == "connection closed, denied")
    }

    @Test func callsOfAnIdentityAreJudgedByTheTarget() throws {
        #expect(try explain("http://web:9191/").outcome == "forwarded to web.default.dc1")
        let stranger = try explain(
            "http://web:9191/", from: "spiffe://other.mesh/ns/default/dc/dc1/svc/api")
        #expect(stranger.outcome == "403, denied")
        #expect(stranger.phases.contains { $0.phase == .identity && $0.verdict == .none })
        #expect(stranger.phases.last?.rule == "mesh.intentions_default")
        let denied = try explain("http://web:9191/secret")
        #expect(denied.outcome == "403, denied")
        #expect(denied.phases.last?.detail == "calls of web.default.dc1: permission 1")
    }

    @Test func healthDecidesAboutEndpoints() throws {
        let reader = try Plans.reader(try node())
        let slots = Dictionary(
            uniqueKeysWithValues: reader.endpoints.map {
                (reader.text($0.instance), $0.overlay_slot)
            })
        let (first, second, third) = try (
            #require(slots["web-18000"]), #require(slots["web-18001"]), #require(slots["api-18002"])
        )
        let one = try explain("http://x:8080/", down: [first])
        #expect(one.phases.last?.detail.contains("1 of 2 endpoints: web-18001") == true)
        let failed = try explain("http://x:8080/", down: [first, second])
        #expect(failed.outcome == "forwarded to api.default.dc1")
        #expect(
            try explain("http://x:8080/", down: [first, second, third]).outcome
                == "503, no_endpoint")
        #expect(
            try explain("http://x:7000/", down: [first, second, third]).outcome
                == "connection closed, no_endpoint")
    }

    @Test func limitsAreExplained() throws {
        var node = try node()
        var guarded = GuardPlan()
        guarded.maxRequests = 7
        guarded.failures = 5
        guarded.ejection = 30_000
        guarded.ejectionMax = 300_000
        guarded.interval = 10_000
        guarded.ejectedMost = 10
        node.targets[0].guarded = guarded
        let phases = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://x:8080/")
        ).phases
        #expect(
            phases.first { $0.phase == .limits }?.detail
                == "web.default.dc1: at most 7 requests; an endpoint is left out after 5 failures "
                + "in a row, for 30000 ms and more, at most 10 % of them")
    }

    @Test func boundsOfARouteAreExplained() throws {
        var node = try node()
        var traffic = TrafficPlan()
        traffic.maxBody = 1000
        traffic.rates = [
            RatePlan(name: "r", nanoseconds: 500_000_000, burst: 3, sharing: .client)
        ]
        node.listeners[0].kind = .l7([
            RoutePlan(
                action: .forward(SplitPlan.all(to: "web.default.dc1")), traffic: traffic,
                rule: "route 1", origin: "y:1")
        ])
        let phases = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://x:8080/")
        ).phases
        let limits = try #require(phases.first { $0.phase == .limits })
        #expect(
            limits.detail == "3 requests of a client at once, then one in 0.5 s, or 429; "
                + "bodies up to 1000 bytes, or 413")
        #expect(limits.rule == "route 1" && limits.origin == "y:1")
    }

    @Test func changesOfFieldsAreExplained() throws {
        var node = try node()
        node.listeners[0].kind = .l7([
            RoutePlan(
                action: .forward(SplitPlan.all(to: "web.default.dc1")),
                headerOps: [
                    HeaderOpPlan(name: "x-from", kind: .set("<%{client.ip}>"), onResponse: false),
                    HeaderOpPlan(name: "server", kind: .remove, onResponse: true),
                    HeaderOpPlan(name: "x-by", kind: .add("%{upstream.address}"), onResponse: true),
                ], rule: "route 1", origin: "y:1")
        ])
        let phases = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://x:8080/")
        ).phases
        let headers = phases.filter { $0.phase == .headers }
        #expect(
            headers.map(\.detail) == [
                "request: sets x-from: <%{client.ip}>", "answer: removes server",
                "answer: adds x-by: %{upstream.address}",
            ])
        #expect(headers.allSatisfy { $0.rule == "route 1" && $0.origin == "y:1" })
        for variable in HeaderVariable.allCases {
            let template = try HeaderTemplate("a%{\(variable.rawValue)}b", onResponse: true)
            #expect(HeaderTemplate.written(template.marked) == "a%{\(variable.rawValue)}b")
        }
    }

    @Test func changesOfALegAndIdleTimesAreExplained() throws {
        var node = try node()
        let own = HeaderOpPlan(name: "x-leg", kind: .set("a"), onResponse: false)
        let routes = HeaderOpPlan(name: "x-route", kind: .set("r"), onResponse: true)
        var traffic = TrafficPlan()
        traffic.idleTimeout = 700
        node.listeners[0].kind = .l7([
            RoutePlan(
                action: .forward([
                    SplitPlan(weight: 1, target: "web.default.dc1", headerOps: [own, routes]),
                    SplitPlan(weight: 1, target: "web.default.dc1"),
                ]), headerOps: [routes], traffic: traffic, rule: "route 1", origin: "y:1")
        ])
        let phases = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://x:8080/")
        ).phases
        #expect(
            phases.filter { $0.phase == .headers }.map(\.detail) == [
                "answer: sets x-route: r", "web.default.dc1, request: sets x-leg: a",
            ])
        let times = try #require(phases.first { $0.phase == .timeout })
        #expect(times.detail.hasSuffix("700 ms in which nothing of the request moves"))
        #expect(times.rule == "route 1")
    }

    @Test func copiesAreExplained() throws {
        var node = try node()
        var traffic = TrafficPlan()
        traffic.mirror = SplitPlan(weight: 250, target: "web.default.dc1")
        node.listeners[0].kind = .l7([
            RoutePlan(
                action: .forward(SplitPlan.all(to: "web.default.dc1")), traffic: traffic,
                rule: "route 1", origin: "y:1")
        ])
        let phases = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://x:8080/")
        ).phases
        let mirror = try #require(phases.first { $0.phase == .mirror })
        #expect(mirror.detail == "2.5 % are copied to web.default.dc1")
        #expect(mirror.rule == "route 1" && mirror.origin == "y:1")
    }

    @Test func triesAreExplained() throws {
        var node = try node()
        var route = RoutePlan(
            action: .forward(SplitPlan.all(to: "web.default.dc1")), retries: 2,
            retryOn: [.connect, .gatewayErrors, .timeout],
            traffic: TrafficPlan(
                retryCodes: [425, 429], tryTimeout: 2000, backoff: 25, backoffMax: 250),
            rule: "route 1", origin: "y:1")
        node.listeners[0].kind = .l7([route])
        func retry(_ method: String) throws -> Explanation.Phase? {
            let explanation = try Explainer(try Plans.reader(node)).explain(
                ExplainedRequest(method: method, url: "http://x:8080/"))
            return explanation.phases.first { $0.phase == .retry }
        }
        let get = try #require(try retry("GET"))
        #expect(
            get.detail == "at most 2 further tries after an instance that cannot be reached, "
                + "502, 503, 504, 425, 429, silence; 2000 ms for each try; pauses of 25 to 250 ms")
        #expect(get.rule == "route 1" && get.origin == "y:1")
        #expect(
            try retry("POST")?.detail.hasSuffix("POST is not repeated once it was sent") == true)
        route.retryOn.insert(.anyMethod)
        node.listeners[0].kind = .l7([route])
        #expect(try retry("POST")?.detail == get.detail)
        route.retryOn = [.connect, .unavailable, .cancelled]
        route.traffic?.maxReplay = 9
        node.listeners[0].kind = .l7([route])
        let call = try #require(try retry("POST")?.detail)
        #expect(call.contains("reached, grpc-status cancelled, unavailable; 2000 ms"))
        #expect(call.hasSuffix("; with bodies up to 9 bytes"))
        route.retries = 0
        node.listeners[0].kind = .l7([route])
        #expect(try retry("GET")?.verdict == Explanation.Phase.Verdict.none)
    }

    @Test func whatCannotBeAskedIsTold() throws {
        #expect(try explain("http://x:1/").outcome == "connection refused")
        #expect(try explain("http://x:8080/%2f").outcome == "400, bad_request")
        #expect(throws: MeshError.self) { try explain("http://x:8080/", listener: "none") }
        #expect(throws: MeshError.self) { try explain("/y") }
        #expect(try explain("http://x:8080/", method: "G T").outcome == "400, bad_request")
        #expect(try explain("ftp://x/").outcome == "400, bad_request")
        #expect(try explain("/y", listener: "public").outcome == "forwarded to web.default.dc1")
    }

    @Test func theDumpListsWhatRuns() throws {
        let dump = SnapshotDump(try Plans.reader(try node())) { $0 == 0 ? 2 : 0 }
        #expect(dump.listeners.map(\.name) == ["api to web", "public", "raw", "web inbound"])
        let open = dump.listeners[1]
        #expect(open.routes.map(\.rule) == ["route 1", "route 2", "route 3"])
        #expect(open.routes[0].hosts == ["*.example.com", "old.example.com"])
        #expect(open.routes[0].match == "path begins with /admin")
        #expect(open.routes[2].hosts == ["*"])
        #expect(dump.listeners[2].splits == "web.default.dc1")
        #expect(dump.listeners[3].tls == "mtls")
        #expect(dump.listeners[3].role == "mesh-inbound")
        #expect(dump.targets.map(\.name) == ["api.default.dc1", "web.default.dc1"])
        #expect(dump.targets.flatMap(\.endpoints).count { !$0.healthy } == 1)
        #expect(dump.targets[1].failover == ["api.default.dc1"])
    }

    @Test func settingsAreToldBeforeTheRequestIsLookedAt() throws {
        var node = try node()
        node.targets[0].proxyHeader = .v2
        node.listeners[0].hops = HopsPlan(
            proxy: .init(v1: true, v2: true, from: [try NetworkPlan("10.0.0.0/8")], timeout: 3000))
        let told = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "http://a:8080/x"))
        let setting = try #require(told.phases.first { $0.phase == .setting })
        #expect(told.phases[1] == setting)
        #expect(
            setting.detail
                == "proxy_protocol: v1, v2 from 10.0.0.0/8 within 3000 ms; others are closed")
        let choose = try #require(told.phases.last { $0.phase == .choose })
        #expect(choose.detail.hasSuffix("; with a PROXY header, v2, where it is not a sidecar"))
    }

    /// TLS that goes on as it is: the URL's host stands for the server name.
    @Test(arguments: [
        ("db.test", "forwarded to web.default.dc1"), ("x.db.test", "alert"), ("other", "alert"),
    ])
    func streamsByServerName(host: String, outcome: String) throws {
        var node = try node()
        node.listeners[3] = ListenerPlan(
            name: "raw", address: Plans.loopback(7000),
            kind: .serverName(
                [
                    RoutePlan(
                        host: "db.test", action: .forward(SplitPlan.all(to: "web.default.dc1")),
                        rule: "sni 1", origin: "y:5")
                ], nil))
        let told = try Explainer(try Plans.reader(node)).explain(
            ExplainedRequest(method: "GET", url: "https://\(host):7000/"))
        #expect(told.outcome.hasPrefix(outcome), "\(told.outcome)")
        #expect(told.phases.contains { $0.detail == "server name \"\(host)\"" })
        let dump = SnapshotDump(try Plans.reader(node))
        let raw = try #require(dump.listeners.first { $0.name == "raw" })
        #expect(raw.routes.map(\.hosts) == [["db.test"]])
        #expect(raw.splits == nil)
        #expect(raw.settings.lines.map(\.name) == ["sni"])
    }
}
