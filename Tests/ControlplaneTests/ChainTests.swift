import MeshDiscovery
import MeshModel
import MeshTables
import Testing

@testable import controlplane

/// Routers, splitters and resolvers on their way into the plan.
@Suite struct ChainTests {
    private func name(_ text: String) throws -> ServiceName { try ServiceName(text) }

    private func world(_ entries: [ConfigEntry]) throws -> World {
        var world = World()
        world.services = [
            try service("web", port: 8000), try service("web2", port: 8002),
            try service("spare", port: 8003),
        ]
        world.entries = try [http("web"), http("web2"), http("spare")] + entries
        world.listeners = [try listener("public", port: 80)]
        return world
    }

    private func routes(_ world: World) throws -> [RoutePlan] {
        guard case .l7(let routes) = try #require(try world.plan().listener("public")).kind else {
            throw MeshError(.invalid, "the listener is not l7")
        }
        return routes
    }

    private func router(_ match: HTTPMatch, _ destination: ServiceRouter.Destination) throws
        -> ConfigEntry
    {
        .serviceRouter(
            ServiceRouter(
                name: try name("web"), routes: [.init(match: match, destination: destination)]))
    }

    @Test func defaultsOfAServiceReachItsSidecar() throws {
        let (web, api) = try (name("web"), name("api"))
        var world = World()
        world.services = [
            try service("web", port: 8000, sidecar: true),
            try service("api", port: 8001, upstreams: ["web": 9191, "other": 9192]),
        ]
        world.entries = [
            .serviceDefaults(
                ServiceDefaults(
                    name: web, serviceProtocol: .http, maxInboundConnections: 7,
                    localConnectTimeout: .milliseconds(70),
                    localRequestTimeout: .milliseconds(900))),
            .serviceDefaults(
                ServiceDefaults(
                    name: api, serviceProtocol: .http,
                    upstreamDefaults: UpstreamConfig(
                        connectTimeout: .seconds(2), limits: UpstreamLimits(maxConnections: 1)),
                    upstreamOverrides: [
                        UpstreamConfig(
                            name: web, connectTimeout: .seconds(1),
                            passiveHealthCheck: PassiveHealthCheck())
                    ])),
        ]
        let plan = try world.plan()
        #expect(plan.listener("web-sidecar-proxy")?.timeouts.request == 900)
        #expect(plan.target("local.web-sidecar-proxy")?.connectTimeout == 70)
        #expect(plan.target("local.api-sidecar-proxy")?.connectTimeout == 5000)
        #expect(plan.target("web.default.dc1@api/1s")?.connectTimeout == 1000)
        #expect(plan.target("other.default.dc1@api/tcp/2s")?.connectTimeout == 2000)
        #expect(plan.problems == [])
        let toWeb = try #require(plan.target("web.default.dc1@api/1s")?.guarded)
        #expect(toWeb.maxConnections == 1 && toWeb.failures == 5 && toWeb.ejection == 30_000)
        #expect(toWeb.ejectionMax == 300_000 && toWeb.interval == 10_000)
        #expect(toWeb.ejectedMost == 10 && toWeb.ejectedChance == 100)
        let toOther = try #require(plan.target("other.default.dc1@api/tcp/2s")?.guarded)
        #expect(toOther.maxConnections == 1 && !toOther.watches)
        #expect(plan.target("local.web-sidecar-proxy")?.guarded?.maxConnections == 7)
        #expect(plan.target("local.api-sidecar-proxy")?.guarded == nil)
    }

    @Test func aSidecarSpeaksWhatItsServiceSaysOfAnUpstream() throws {
        let names = ["plain", "web", "calls"]
        var world = World()
        world.services = try names.map { try service($0, port: 8000, sidecar: true) }
        world.services.append(
            try service("api", port: 8001, upstreams: ["plain": 9191, "web": 9192, "calls": 9193]))
        let overrides = zip(names, [ServiceProtocol.http, .tcp, .grpc])
        world.entries = [
            .serviceDefaults(ServiceDefaults(name: try name("web"), serviceProtocol: .http)),
            .serviceDefaults(ServiceDefaults(name: try name("calls"), serviceProtocol: .http)),
            .serviceDefaults(
                ServiceDefaults(
                    name: try name("api"),
                    upstreamOverrides: try overrides.map {
                        UpstreamConfig(name: try name($0), serviceProtocol: $1)
                    })),
        ]
        let plan = try world.plan()
        #expect(plan.problems == [])
        #expect(plan.target("plain.default.dc1@api/http")?.wireProtocol == .http1)
        #expect(plan.target("web.default.dc1@api/tcp")?.wireProtocol == .tcp)
        #expect(plan.target("calls.default.dc1@api/grpc")?.wireProtocol == .http2)
        guard case .l7 = try #require(plan.listener("api-sidecar-proxy:plain:9191")).kind,
            case .l4 = try #require(plan.listener("api-sidecar-proxy:web:9192")).kind
        else { throw MeshError(.invalid, "the listeners have the kinds of the services") }
    }

    @Test(arguments: [ServiceProtocol.http2, .grpc])
    func aSidecarSpeaksNoHTTP2ToAServiceThatDoesNotOfferIt(_ asked: ServiceProtocol) throws {
        var world = World()
        world.services = [
            try service("web", port: 8000, sidecar: true),
            try service("api", port: 8001, upstreams: ["web": 9191]),
        ]
        world.entries = [
            .serviceDefaults(
                ServiceDefaults(
                    name: try name("api"),
                    upstreamDefaults: UpstreamConfig(serviceProtocol: asked)))
        ]
        var plan = try world.plan()
        let said = "api-sidecar-proxy:web:9191: web speaks tcp, the upstream \(asked.rawValue), "
        let done =
            "which its proxies offer only when it says so itself: write its protocol into "
            + "service-defaults web; until then bytes are passed on"
        #expect(plan.problems.map(\.message) == [said + done])
        #expect(plan.target("web.default.dc1@api/tcp")?.wireProtocol == .tcp)
        guard case .l4 = try #require(plan.listener("api-sidecar-proxy:web:9191")).kind else {
            throw MeshError(.invalid, "the listener passes bytes on")
        }
        // What it said to do.
        world.entries.append(
            .serviceDefaults(ServiceDefaults(name: try name("web"), serviceProtocol: asked)))
        plan = try world.plan()
        #expect(plan.problems == [])
        let targets = plan.compiled.targets.filter { $0.id.hasPrefix("web.default.dc1@api") }
        #expect(targets.map(\.wireProtocol) == [.http2])
    }

    @Test func triesHaveALimit() throws {
        #expect(ChainSupport.greatestRetries == Int(RoutePlan.greatestRetries))
        #expect(ChainSupport.greatestRetryCodes == TrafficPlan.greatestRetryCodes)
        for (asked, problems) in [(3, 0), (4, 0), (10, 0), (11, 1)] {
            let world = try world([try router(HTTPMatch(), .init(numRetries: asked))])
            #expect(try world.plan().problems.count == problems)
            #expect(try routes(world).first?.retries == UInt32(min(asked, 10)))
        }
    }

    @Test func aRouterComesBeforeTheRest() throws {
        let entry = try router(
            HTTPMatch(path: .prefix("/v2")),
            .init(
                service: try name("web2"), prefixRewrite: "/", requestTimeout: .seconds(3),
                numRetries: 2, retryOnConnectFailure: true,
                requestHeaders: HeaderModifiers(set: ["x-leg": "2"], remove: ["x-secret"]),
                responseHeaders: HeaderModifiers(add: ["x-via": "mesh"])))
        let routes = try routes(try world([entry]))
        #expect(
            routes.map(\.action) == [
                .forward(SplitPlan.all(to: "web2.default.dc1")),
                .forward(SplitPlan.all(to: "web.default.dc1")),
            ])
        let first = try #require(routes.first)
        #expect(first.match.path == .prefix("/v2") && first.prefixRewrite == "/")
        #expect(first.requestTimeout == 3000 && first.retries == 2 && first.retryOn == .connect)
        #expect(first.headerOps.map(\.name) == ["x-leg", "x-secret", "x-via"])
        #expect(first.headerOps.map(\.onResponse) == [false, false, true])
        #expect(first.rule.contains("service-router web, route 1"))
        #expect(first.origin == "config entry service-router/web")
        #expect(routes[1].retries == PartCompiler.retries)
    }

    @Test func whatMakesAnotherTryReachesTheRoute() throws {
        let entry = try router(
            HTTPMatch(),
            .init(
                numRetries: 2, retryOn: ["gateway-error", "retriable-4xx"],
                retryOnStatusCodes: [503, 425, 503], tryTimeout: .milliseconds(700),
                retryBackoff: .milliseconds(40), retryNonIdempotent: true,
                retryBodyBytes: 65536))
        let route = try #require(try routes(try world([entry])).first)
        #expect(route.retries == 2)
        #expect(
            route.retryOn == [
                .connect, .reset, .gatewayErrors, .conflict, .timeout, .anyMethod,
            ])
        var traffic = TrafficPlan(
            retryCodes: [425, 503], tryTimeout: 700, backoff: 40, backoffMax: 400)
        traffic.maxReplay = 65536
        #expect(route.traffic == traffic)
        let usual = try #require(try routes(try world([])).first)
        #expect(usual.traffic == nil && usual.retryOn == PartCompiler.retryOn)
    }

    @Test func statusesOfCallsAndIdleTimesReachTheRoute() throws {
        let entry = try router(
            HTTPMatch(),
            .init(
                idleTimeout: .seconds(7),
                retryOn: [
                    "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
                    "unavailable",
                ]))
        let world = try world([entry])
        #expect(try world.plan().problems.isEmpty)
        let route = try #require(try routes(world).first)
        #expect(
            route.retryOn == [
                .cancelled, .deadlineExceeded, .failedInside, .exhausted, .unavailable,
            ])
        #expect(route.retries == 1)
        #expect(route.traffic?.idleTimeout == 7000 && route.traffic?.backoff == 25)
        #expect(route.traffic?.maxReplay == TrafficPlan.standardReplay)
    }

    @Test func aListenersRouteHasThePolicyOfARouter() throws {
        var world = try world([])
        world.listeners = [
            try listener(
                "public", port: 80, service: nil,
                routes: [
                    .init(
                        http: HTTPMatch(path: .prefix("/api")), action: .service(try name("web")),
                        policy: .init(
                            prefixRewrite: "/v1", requestTimeout: .seconds(2), numRetries: 1,
                            retryOnStatusCodes: [503], retryBackoff: .zero,
                            requestHeaders: HeaderModifiers(set: ["x-leg": "2"]))),
                    .init(
                        action: .service(try name("web")),
                        policy: .init(retryOnStatusCodes: [100, 500])),
                ])
        ]
        let plan = try world.plan()
        let routes = try routes(world)
        #expect(routes[0].prefixRewrite == "/v1" && routes[0].requestTimeout == 2000)
        #expect(routes[0].headerOps.map(\.name) == ["x-leg"])
        #expect(routes[0].traffic == TrafficPlan(retryCodes: [503]))
        #expect(routes[0].retries == 1 && routes[1].traffic?.retryCodes == [500])
        #expect(
            plan.problems.map(\.message) == [
                "listener public, route 2: retry_on_status_codes 100: "
                    + "this version's data plane cannot do that"
            ])
    }

    @Test func ratesOfARouteAndOfItsListenerAreBothAsked() throws {
        var world = try world([
            try router(
                HTTPMatch(path: .prefix("/v2")),
                .init(
                    rateLimits: [RateLimit(requestsPerSecond: 0.5, sharing: .client)],
                    maxRequestBytes: 1000, maxHeaderBytes: 200))
        ])
        world.listeners[0].rateLimits = [RateLimit(requestsPerSecond: 100, requestsMaxBurst: 7)]
        let routes = try routes(world)
        let first = try #require(routes[0].traffic)
        #expect(first.maxBody == 1000 && first.maxHead == 200)
        #expect(
            first.rates == [
                RatePlan(
                    name: "\(routes[0].rule), rate 1", nanoseconds: 2_000_000_000, burst: 1,
                    sharing: .client),
                RatePlan(
                    name: "listener public, rate 1", nanoseconds: 10_000_000, burst: 7,
                    sharing: .all),
            ])
        #expect(routes[1].traffic?.rates == [first.rates[1]])
    }

    @Test func copiesGoWhereTheMirrorsChainLeads() throws {
        let world = try world([
            try router(
                HTTPMatch(path: .prefix("/")),
                .init(mirror: RequestMirror(service: try name("web2"), percent: 2.5)))
        ])
        let mirror = try #require(routes(world)[0].traffic?.mirror)
        #expect(mirror.weight == 250 && mirror.target.hasPrefix("web2.default.dc1"))
    }

    @Test func aRewriteOfAnotherPathIsRefused() throws {
        var world = try world([
            try router(HTTPMatch(path: .prefix("/api/v2")), .init(service: try name("web2")))
        ])
        world.listeners = [
            try listener(
                "public", port: 80, service: nil,
                routes: [
                    .init(
                        http: HTTPMatch(path: .prefix("/api")), action: .service(try name("web")),
                        policy: .init(prefixRewrite: "/"))
                ])
        ]
        #expect(try routes(world).map(\.match.path) == [.prefix("/api")])
        #expect(
            try world.plan().problems.map(\.message).contains {
                $0.contains("is about another path than that of service-router web, route 1")
            })
    }

    private func subsets(
        _ subsets: [String: ServiceResolver.Subset], _ splits: [String: Int]
    ) throws -> World {
        var world = try world([
            .serviceResolver(ServiceResolver(name: try name("web"), subsets: subsets)),
            .serviceSplitter(
                ServiceSplitter(
                    name: try name("web"),
                    splits: try splits.sorted { $0.key < $1.key }.map {
                        .init(weight: Double($0.value), serviceSubset: try SubsetName($0.key))
                    })),
        ])
        world.services = try ["1": 8001, "2": 8002, "3": 8003].sorted { $0.key < $1.key }.map {
            var instance = try service("web", id: "web\($0.key)", port: UInt16($0.value))
            instance.meta["version"] = $0.key == "3" ? "2" : $0.key
            return instance
        }
        return world
    }

    @Test func subsetsChooseTheirInstances() throws {
        let plan = try subsets(
            [
                "v1": .init(filter: "Service.Meta.version == 1"),
                "v2": .init(filter: "Service.Meta.version == 2 and Node.Node == n1"),
            ],
            ["v1": 10, "v2": 90]
        ).plan()
        #expect(plan.problems == [])
        func ports(_ id: String) -> [String] {
            plan.target(id)?.endpoints.map(\.instance) ?? []
        }
        #expect(ports("v1.web.default.dc1") == ["web1"])
        #expect(ports("v2.web.default.dc1") == ["web2", "web3"])
        #expect(plan.endpoints.present.allSatisfy { $0.onlyPassing.isEmpty })
    }

    /// An instance of both is well for one and not for the other while it warns.
    @Test func onlyPassingIsOfTheSubset() throws {
        let plan = try subsets(
            ["all": .init(), "good": .init(onlyPassing: true)], ["all": 50, "good": 50]
        ).plan()
        #expect(plan.problems == [])
        let all = try #require(plan.target("all.web.default.dc1")).endpoints
        let good = try #require(plan.target("good.web.default.dc1")).endpoints
        #expect(all.map(\.address) == good.map(\.address) && all.count == 3)
        #expect(Set(all.map(\.key)).isDisjoint(with: good.map(\.key)))
        for (index, instance) in plan.endpoints.present.enumerated() {
            #expect(instance.keys == [all[index].key, good[index].key])
            #expect(instance.onlyPassing == [good[index].key])
        }
        #expect(plan.endpoints.present.map(\.id.text) == ["web1", "web2", "web3"])
    }

    @Test(arguments: [
        ("Service.Meta.version = 1", "1:22 (21): no match found"),
        ("Checks.Status == passing", "write only_passing: true"),
        ("Service.Nonsense == 1", "Selector"),
    ])
    func aFilterThatIsNoneLeadsNowhere(_ filter: String, _ message: String) throws {
        let plan = try subsets(["v1": .init(filter: filter)], ["v1": 100]).plan()
        #expect(plan.target("v1.web.default.dc1")?.endpoints == [])
        #expect(plan.problems.count == 1)
        let said = try #require(plan.problems.first).message
        #expect(said.hasPrefix("service-resolver web, subset v1: ") && said.contains(message))
    }

    @Test func aListenersRouteAndARoutersRouteMustBothHold() throws {
        var world = try world([
            try router(HTTPMatch(path: .prefix("/api/v2")), .init(service: try name("web2")))
        ])
        world.listeners = [
            try listener(
                "public", port: 80, service: nil,
                routes: [
                    .init(
                        host: "a.test", http: HTTPMatch(path: .prefix("/api")),
                        action: .service(try name("web"))),
                    .init(
                        host: "b.test", http: HTTPMatch(path: .prefix("/other")),
                        action: .service(try name("web"))),
                ])
        ]
        let routes = try routes(world)
        #expect(routes.map(\.host) == ["a.test", "a.test", "b.test"])
        #expect(
            routes.map(\.match.path) == [.prefix("/api/v2"), .prefix("/api"), .prefix("/other")])
    }

    @Test func aResolversCeilingsAreForThoseWhoSetNone() throws {
        var passive = PassiveHealthCheck()
        passive.maxFailures = 0
        passive.maxGatewayFailures = 2
        passive.baseEjectionTime = .seconds(400)
        let resolver = ConfigEntry.serviceResolver(
            ServiceResolver(
                name: try name("web"),
                limits: UpstreamLimits(
                    maxConnections: 10, maxPendingRequests: 20, maxConcurrentRequests: 30,
                    maxRetries: 4), passiveHealthCheck: passive))
        let plan = try world([resolver]).plan()
        let guarded = try #require(plan.target("web.default.dc1")?.guarded)
        #expect(guarded.maxConnections == 10 && guarded.maxPending == 20)
        #expect(guarded.maxRequests == 30 && guarded.maxRetries == 4)
        #expect(guarded.failures == 0 && guarded.gatewayFailures == 2)
        #expect(guarded.ejection == 400_000 && guarded.ejectionMax == 400_000)
        #expect(plan.problems.isEmpty)
    }

    @Test func aSplitterDivides() throws {
        let splitter = ConfigEntry.serviceSplitter(
            ServiceSplitter(
                name: try name("web"),
                splits: [.init(weight: 90), .init(weight: 10, service: try name("web2"))]))
        let first = try #require(try routes(try world([splitter])).first)
        #expect(
            first.action
                == .forward([
                    SplitPlan(weight: 9000, target: "web.default.dc1"),
                    SplitPlan(weight: 1000, target: "web2.default.dc1"),
                ]))
    }

    @Test func aLegsRulesStandBeforeThoseOfItsRoute() throws {
        let splitter = ConfigEntry.serviceSplitter(
            ServiceSplitter(
                name: try name("web"),
                splits: [
                    .init(weight: 90),
                    .init(
                        weight: 10, service: try name("web2"),
                        requestHeaders: HeaderModifiers(set: ["x-leg": "2", "x-way": "leg"]),
                        responseHeaders: HeaderModifiers(remove: ["server"])),
                ]))
        let router = try router(
            HTTPMatch(), .init(requestHeaders: HeaderModifiers(set: ["x-way": "route"])))
        let plan = try world([splitter, router])
        #expect(try plan.plan().problems.isEmpty)
        let first = try #require(try routes(plan).first)
        guard case .forward(let splits) = first.action else {
            Issue.record("\(first.action)")
            return
        }
        #expect(first.headerOps.map(\.name) == ["x-way"])
        #expect(splits[0].headerOps.isEmpty)
        #expect(splits[1].headerOps.map(\.name) == ["x-leg", "x-way", "server", "x-way"])
        #expect(splits[1].headerOps.map(\.onResponse) == [false, false, true, false])
        #expect(splits[1].headerOps.last?.kind == .set("route"))
    }

    @Test func failoverIsKnownHoweverTheTargetWasMetFirst() throws {
        let resolver = ConfigEntry.serviceResolver(
            ServiceResolver(
                name: try name("web"), failover: ["*": .init(service: try name("web2"))],
                connectTimeout: .seconds(2)))
        let second = ConfigEntry.serviceResolver(
            ServiceResolver(
                name: try name("web2"), failover: ["*": .init(service: try name("spare"))]))
        var world = try world([resolver, second])
        world.listeners.append(try listener("second", port: 81, service: "web2"))
        let plan = try world.plan()
        #expect(plan.problems == [])
        #expect(plan.target("web.default.dc1")?.failover == ["web2.default.dc1"])
        #expect(plan.target("web.default.dc1")?.connectTimeout == 2000)
        #expect(plan.target("web2.default.dc1")?.failover == ["spare.default.dc1"])
    }

    @Test func aRedirectLeadsElsewhere() throws {
        let resolver = ConfigEntry.serviceResolver(
            ServiceResolver(
                name: try name("web"), redirect: .init(service: try name("web2"))))
        let first = try #require(try routes(try world([resolver])).first)
        #expect(first.action == .forward(SplitPlan.all(to: "web2.default.dc1")))
    }

    @Test func aChainThatContradictsItselfLeadsNowhereAndIsReported() throws {
        let splitter = ConfigEntry.serviceSplitter(
            ServiceSplitter(
                name: try name("web"),
                splits: [.init(weight: 100, serviceSubset: try SubsetName("v9"))]))
        var world = try world([splitter])
        world.listeners.append(try listener("second", port: 81, service: "web2"))
        let plan = try world.plan()
        #expect(plan.problems.contains { $0.message.contains("v9") })
        #expect(plan.target("nowhere.web")?.endpoints == [])
        #expect(plan.target("web2.default.dc1")?.endpoints.count == 1)
    }

    @Test func aCallerInTheMeshIsJudgedByWhoAnswers() throws {
        var world = try world([
            .serviceResolver(
                ServiceResolver(
                    name: try name("web"), redirect: .init(service: try name("web2"))))
        ])
        world.services[1] = try service("web2", port: 8002, sidecar: true)
        world.services.append(try service("api", port: 8001, upstreams: ["web": 9191]))
        let target = try #require(try world.plan().target("web2.default.dc1@api"))
        #expect(target.service == (try name("web2")))
        #expect(target.checksIntentions)
        #expect(target.expectedID.hasSuffix("/svc/web2"))
        #expect(target.sni == "web2.default.dc1.internal.test.consul")
    }
}
