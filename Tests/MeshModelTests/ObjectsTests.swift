import Foundation
import MeshModel
import Testing

@Suite struct ServiceTests {
    private func service(_ change: (inout ServiceDefinition) -> Void = { _ in }) throws
        -> ServiceDefinition
    {
        var service = ServiceDefinition(name: try ServiceName("web"), port: 8080)
        change(&service)
        return service
    }

    private func paths(_ service: ServiceDefinition) -> [String] {
        service.problems().map { $0.path.dotted }
    }

    @Test func aPlainServiceIsSound() throws {
        #expect(try service().problems().isEmpty)
        #expect(try service().id.text == "web")
        #expect(try service().validated() == service())
    }

    @Test func sidecarTakesWhatIsNotGiven() throws {
        let web = try service {
            $0.address = "10.0.0.1"
            $0.tags = ["v1"]
            $0.connect.sidecarService = SidecarDefinition()
        }
        let sidecar = try #require(try web.sidecar(port: 21000))
        #expect(sidecar.id.text == "web-sidecar-proxy")
        #expect(sidecar.name.text == "web-sidecar-proxy")
        #expect(sidecar.kind == .connectProxy)
        #expect(sidecar.port == 21000)
        #expect(sidecar.address == "10.0.0.1")
        #expect(sidecar.tags == ["v1"])
        #expect(sidecar.proxy?.localServicePort == 8080)
        #expect(sidecar.proxy?.destinationServiceName == web.name)
        #expect(sidecar.problems().isEmpty)
        #expect(try service().sidecar(port: 1) == nil)
    }

    @Test func sidecarKeepsWhatIsGiven() throws {
        let web = try service {
            $0.connect.sidecarService = SidecarDefinition(
                port: 21555, tags: [], proxy: ProxyDefinition(localServicePort: 9))
        }
        let sidecar = try #require(try web.sidecar(port: 21000))
        #expect(sidecar.port == 21555)
        #expect(sidecar.tags.isEmpty)
        #expect(sidecar.proxy?.localServicePort == 9)
    }

    @Test func rulesOfAService() throws {
        #expect(try paths(service { $0.address = "0.0.0.0" }) == ["address"])
        #expect(try paths(service { $0.address = "a b" }) == ["address"])
        #expect(try paths(service { $0.socketPath = "/run/web.sock" }) == ["port"])
        #expect(try paths(service { $0.weights.passing = 0 }) == ["weights.passing"])
        #expect(try paths(service { $0.weights.passing = 65535 }).isEmpty)
        #expect(try paths(service { $0.weights.passing = 65536 }) == ["weights.passing"])
        #expect(try paths(service { $0.weights.warning = -1 }) == ["weights.warning"])
        #expect(try paths(service { $0.tags = ["a", ""] }) == ["tags[1]"])
        #expect(
            try paths(service { $0.meta = ["k": String(repeating: "v", count: 513)] })
                == ["meta.k"])
        #expect(try paths(service { $0.meta = ["k": String(repeating: "v", count: 512)] }).isEmpty)
        let many = Dictionary(uniqueKeysWithValues: (0..<65).map { ("k\($0)", "v") })
        #expect(try paths(service { $0.meta = many }) == ["meta"])
        #expect(try paths(service { $0.proxy = ProxyDefinition() }) == ["proxy"])
    }

    @Test func rulesOfConnect() throws {
        let both = ConnectDefinition(native: true, sidecarService: SidecarDefinition())
        #expect(try paths(service { $0.connect = both }) == ["connect"])
        let noPort = try service {
            $0.port = 0
            $0.connect.sidecarService = SidecarDefinition()
        }
        #expect(paths(noPort) == ["connect.sidecar_service"])
        let proxy = ServiceDefinition(name: try ServiceName("p"), kind: .connectProxy)
        #expect(
            proxy.problems().map(\.message).map { $0.prefix(24) }
                == ["Port must be set for a C", "Proxy.DestinationService"])
    }

    @Test func rulesOfUpstreams() throws {
        let db = try ServiceName("db")
        func proxy(_ upstreams: [UpstreamDefinition]) -> [String] {
            ProxyDefinition(upstreams: upstreams).problems().map { $0.path.dotted }
        }
        #expect(proxy([UpstreamDefinition(destinationName: db, localBindPort: 9)]).isEmpty)
        #expect(proxy([UpstreamDefinition(destinationName: db)]) == ["upstreams[0]"])
        let nine = UpstreamDefinition(destinationName: db, localBindPort: 9)
        #expect(proxy([nine, nine]) == ["upstreams[1]"])
        var other = nine
        other.localBindAddress = "127.0.0.2"
        #expect(proxy([nine, other]).isEmpty)
        other.localBindAddress = "here"
        #expect(proxy([other]) == ["upstreams[0].local_bind_address"])
        let socket = UpstreamDefinition(
            destinationName: db, localBindPort: 1, localBindSocketPath: "/run/db")
        #expect(proxy([socket]) == ["upstreams[0].local_bind_port"])
        for (value, sound) in [(0, false), (1, true), (600_000, true), (600_001, false)] {
            var timed = nine
            timed.config = ["ConnectTimeoutMs": .int(Int64(value))]
            #expect(proxy([timed]).isEmpty == sound)
        }
        var timed = nine
        timed.config = ["connect_timeout_ms": .double(3000)]
        #expect(timed.options.connectTimeout == .seconds(3))
    }

    @Test func rulesOfChecks() {
        func paths(_ check: CheckDefinition) -> [String] { check.problems().map { $0.path.dotted } }
        #expect(paths(CheckDefinition(ttl: .seconds(1))).isEmpty)
        #expect(paths(CheckDefinition(ttl: .zero)) == ["ttl"])
        #expect(paths(CheckDefinition()) == [""])
        #expect(paths(CheckDefinition(tcp: "a:1", ttl: .seconds(1), interval: .seconds(1))) == [""])
        #expect(paths(CheckDefinition(tcp: "a:1")) == [""])
        #expect(paths(CheckDefinition(tcp: "a:0", interval: .seconds(1))) == ["tcp"])
        #expect(paths(CheckDefinition(tcp: "a:1", interval: .milliseconds(100))).isEmpty)
        #expect(paths(CheckDefinition(tcp: "a:1", interval: .milliseconds(99))) == ["interval"])
        #expect(paths(CheckDefinition(http: "ftp://a", interval: .seconds(1))) == ["http"])
        #expect(
            paths(CheckDefinition(http: "HTTP://a", interval: .seconds(1), timeout: .zero))
                == ["timeout"])
        #expect(paths(CheckDefinition(ttl: .seconds(1), status: .maintenance)) == ["status"])
    }

    @Test func statusOfAnInstanceIsItsWorstCheck() throws {
        #expect(CheckStatus.aggregate([]) == .passing)
        #expect(CheckStatus.aggregate([.warning, .critical, .passing]) == .critical)
        #expect(CheckStatus.aggregate([.critical, .maintenance]) == .maintenance)
        let node = NodeInfo(
            name: try NodeName("n"), datacenter: try DatacenterName("dc1"), address: "10.0.0.9")
        var web = try service()
        #expect(ServiceInstance(web, on: node, origin: .api).status == .passing)
        web.checks = [CheckDefinition(ttl: .seconds(1))]
        let instance = ServiceInstance(web, on: node, origin: .api)
        #expect(instance.status == .critical)
        #expect(instance.effectiveWeight == 0)
        #expect(instance.effectiveAddress == "10.0.0.9")
    }

    @Test func checkIdentifiers() throws {
        let id = try ServiceID("web-1")
        let check = CheckDefinition(ttl: .seconds(1))
        #expect(check.identifier(service: id, index: 0, count: 1) == "service:web-1")
        #expect(check.identifier(service: id, index: 1, count: 2) == "service:web-1:2")
    }
}

@Suite struct IntentionTests {
    private func name(_ text: String) throws -> NamePattern { try NamePattern(text) }

    @Test func precedenceIsConsuls() throws {
        #expect(Intention.precedence(source: try name("a"), destination: try name("b")) == 9)
        #expect(Intention.precedence(source: .any, destination: try name("b")) == 8)
        #expect(Intention.precedence(source: try name("a"), destination: .any) == 6)
        #expect(Intention.precedence(source: .any, destination: .any) == 5)
    }

    @Test func anEntryListsItsIntentionsInOrder() throws {
        let entry = ServiceIntentions(
            name: try name("db"),
            sources: [
                .init(name: .any, action: .deny), .init(name: try name("web"), action: .allow),
                .init(name: try name("API"), action: .allow),
            ])
        #expect(entry.problems().isEmpty)
        let order = entry.intentions(origin: .api).map { $0.source.description }
        #expect(order == ["API", "web", "*"])
    }

    @Test func rulesOfAnEntry() throws {
        let db = try name("db")
        let all = HTTPMatch(path: .prefix("/"))
        func paths(_ entry: ServiceIntentions) -> [String] {
            entry.problems().map { $0.path.dotted }
        }
        #expect(paths(ServiceIntentions(name: db, sources: [])) == [""])
        #expect(paths(ServiceIntentions(name: db, sources: [.init(name: .any)])) == ["sources[0]"])
        let both = ServiceIntentions.Source(
            name: .any, action: .allow, permissions: [.init(action: .allow, http: all)])
        #expect(paths(ServiceIntentions(name: db, sources: [both])) == ["sources[0].action"])
        let permitted = ServiceIntentions.Source(
            name: .any, permissions: [.init(action: .allow, http: all)])
        #expect(paths(ServiceIntentions(name: db, sources: [permitted])).isEmpty)
        #expect(
            paths(ServiceIntentions(name: .any, sources: [permitted])) == ["sources[0].permissions"]
        )
        let empty = ServiceIntentions.Source(
            name: .any, permissions: [.init(action: .allow, http: HTTPMatch())])
        #expect(
            paths(ServiceIntentions(name: db, sources: [empty])) == ["sources[0].permissions[0]"])
        let twice = [
            ServiceIntentions.Source(name: try name("Web"), action: .allow),
            ServiceIntentions.Source(name: try name("web"), action: .deny),
        ]
        #expect(paths(ServiceIntentions(name: db, sources: twice)) == ["sources[1].name"])
    }

    @Test func aTokenRequirementNamesItsProviders() throws {
        func paths(_ providers: [TokenRequirement.Provider]) throws -> [String] {
            ServiceIntentions(
                name: try name("db"), sources: [.init(name: .any, action: .allow)],
                token: TokenRequirement(providers: providers)
            ).problems().map { $0.path.dotted }
        }
        #expect(try paths([.init(name: "okta")]).isEmpty)
        #expect(try paths([]) == ["jwt.providers"])
        #expect(try paths(Array(repeating: .init(name: "okta"), count: 17)) == ["jwt.providers"])
        #expect(try paths([.init(name: "")]) == ["jwt.providers[0]"])
        let pathless = TokenRequirement.Claim(path: [], value: "x")
        #expect(
            try paths([.init(name: "a"), .init(name: "b", verifyClaims: [pathless])])
                == ["jwt.providers[1]"])
    }

    /// What is allowed with a token is a permission; what is denied needs none to be denied.
    @Test func requirementsOfEntryAndPermissionHoldTogether() throws {
        let own = TokenRequirement(providers: [.init(name: "own")])
        let all = TokenRequirement(providers: [.init(name: "all")])
        let entry = ServiceIntentions(
            name: try name("db"),
            sources: [
                .init(name: try name("a"), action: .allow),
                .init(name: try name("b"), action: .deny),
                .init(
                    name: try name("c"),
                    permissions: [
                        .init(action: .deny, http: HTTPMatch(path: .prefix("/x")), token: own),
                        .init(action: .allow, http: HTTPMatch(path: .prefix("/"))),
                    ]),
            ], token: all)
        let intentions = entry.intentions(origin: .api)
        #expect(intentions[0].asked?.map(\.tokens) == [[all]])
        #expect(intentions[0].asked?.first?.permission.action == .allow)
        #expect(intentions[1].asked == nil)
        #expect(intentions[2].asked?.map(\.tokens) == [[all, own], [all]])
        var plain = entry
        plain.token = nil
        #expect(plain.intentions(origin: .api)[0].asked == nil)
    }

    @Test func providersAreReadInConsulsShape() throws {
        func provider(_ fields: [String: DataValue]) throws -> TokenProvider {
            try TokenProvider(OtherEntry(kind: TokenProvider.kind, name: "okta", fields: fields))
        }
        func keys(_ value: DataValue) -> [String: DataValue] { ["JSONWebKeySet": value] }
        let local: DataValue = .object(["Local": .object(["JWKS": .string("e30=")])])
        let plain = try provider(keys(local))
        #expect(plain.keys == .inline("{}") && plain.places.map(\.name).count == 2)
        #expect(plain.clockSkewSeconds == 30 && plain.payloadHeader.isEmpty)
        let remote = try provider(
            keys(
                .object([
                    "remote": .object([
                        "uri": .string("https://x/k"), "request_timeout_ms": .int(700),
                        "cache_duration": .string("1h"),
                    ])
                ])))
        guard case .remote(let found) = remote.keys else {
            Issue.record("\(remote.keys)")
            return
        }
        #expect(found.url == "https://x/k" && found.cache == .hours(1))
        #expect(found.timeout == .milliseconds(700) && found.longestPause == .seconds(10))
        let wrong: [[String: DataValue]] = [
            [:], keys(.object([:])), keys(.object(["Local": .object([:])])),
            keys(.object(["Local": .object(["JWKS": .string("?")])])),
            keys(.object(["Remote": .object(["URI": .string("ftp://x")])])),
            keys(local).merging(["ClockSkewSeconds": .int(3601)]) { $1 },
            keys(local).merging(["ClockSkewSeconds": .int(-1)]) { $1 },
            keys(local).merging(["Locations": .array([.object([:])])]) { $1 },
            keys(local).merging(
                ["Locations": .array([.object(["Header": .object(["Name": .string("a b")])])])]
            ) { $1 },
            keys(local).merging(["Forwarding": .object(["HeaderName": .string("a:b")])]) { $1 },
        ]
        for fields in wrong {
            #expect(throws: MeshError.self, "\(fields)") { try provider(fields) }
        }
    }

    @Test func base64OfBothAlphabets() {
        #expect(Base64Text.decode("") == [])
        #expect(Base64Text.decode("AP-_") == [0, 255, 191])
        #expect(Base64Text.decode("AP+/") == [0, 255, 191])
        #expect(Base64Text.decode("YQ") == [97] && Base64Text.decode("YQ==") == [97])
        #expect(Base64Text.decode("YWI=") == [97, 98])
        for text in ["A", "YR", "YWJ", "Y=Q", "YQ===", "Y Q", "é"] {
            #expect(Base64Text.decode(text) == nil, "\(text)")
        }
    }
}

@Suite struct EntryTests {
    @Test func splitWeightsAddUpTo100() throws {
        let web = try ServiceName("web")
        func sound(_ weights: [Double]) throws -> Bool {
            let splits = try weights.enumerated().map { index, weight in
                ServiceSplitter.Split(weight: weight, service: try ServiceName("s\(index)"))
            }
            return ServiceSplitter(name: web, splits: splits).problems().isEmpty
        }
        #expect(try sound([100]))
        #expect(try sound([33.33, 33.33, 33.34]))
        #expect(try !sound([33.33, 33.33, 33.33]))
        #expect(try !sound([110, -10]))
        #expect(try !sound([.nan]))
        #expect(try !sound([.infinity]))
        #expect(try !sound([1e300]))
        #expect(try !sound([]))
        let twice = ServiceSplitter(name: web, splits: [.init(weight: 50), .init(weight: 50)])
        #expect(twice.problems().map { $0.path.dotted } == ["splits[1]"])
    }

    @Test func resolverRules() throws {
        let web = try ServiceName("web")
        func paths(_ resolver: ServiceResolver) -> [String] {
            resolver.problems().map { $0.path.dotted }
        }
        #expect(paths(ServiceResolver(name: web)).isEmpty)
        #expect(ServiceResolver(name: web).isDefault)
        #expect(
            paths(ServiceResolver(name: web, defaultSubset: try SubsetName("v1")))
                == ["default_subset"])
        #expect(paths(ServiceResolver(name: web, redirect: .init())) == ["redirect"])
        let redirect = ServiceResolver.Redirect(service: try ServiceName("api"))
        #expect(paths(ServiceResolver(name: web, redirect: redirect)).isEmpty)
        // Consul takes both: everything beside the redirect is ignored in the chain.
        #expect(
            paths(ServiceResolver(name: web, subsets: ["v1": .init()], redirect: redirect)).isEmpty)
        #expect(paths(ServiceResolver(name: web, failover: ["*": .init()])) == ["failover.*"])
        #expect(
            paths(
                ServiceResolver(
                    name: web,
                    failover: ["v9": .init(datacenters: [try DatacenterName("dc2")])]))
                == ["failover.v9"])
        let ring = LoadBalancer(policy: .maglev, minimumRingSize: 10)
        #expect(
            paths(ServiceResolver(name: web, loadBalancer: ring))
                == ["load_balancer.ring_hash_config"])
        let hash = LoadBalancer(hashPolicies: [.init(sourceIP: true)])
        #expect(
            paths(ServiceResolver(name: web, loadBalancer: hash)) == ["load_balancer.hash_policies"]
        )
    }

    @Test func routerRules() throws {
        func paths(_ route: ServiceRouter.Route) -> [String] {
            route.problems().map { $0.path.dotted }
        }
        #expect(paths(.init()).isEmpty)
        #expect(paths(.init(match: HTTPMatch(path: .prefix("a")))) == ["match.http.path_prefix"])
        #expect(
            paths(.init(destination: .init(prefixRewrite: "/"))) == ["destination.prefix_rewrite"])
        #expect(
            paths(
                .init(match: HTTPMatch(path: .exact("/a")), destination: .init(prefixRewrite: "/"))
            )
            .isEmpty)
        #expect(paths(.init(destination: .init(retryOn: ["nope"]))) == ["destination.retry_on[0]"])
        #expect(paths(.init(destination: .init(tryTimeout: .zero))) == ["destination.try_timeout"])
        #expect(
            paths(.init(destination: .init(retryBackoff: .seconds(61))))
                == ["destination.retry_backoff"])
        #expect(
            paths(
                .init(destination: .init(retryBackoff: .seconds(2), retryBackoffMax: .seconds(1))))
                == ["destination.retry_backoff_max"])
        #expect(
            paths(.init(match: HTTPMatch(methods: ["GET", "get"]))) == ["match.http.methods[1]"])
    }

    @Test func everyKindSurvivesJSON() throws {
        let web = try ServiceName("Web")
        let entries: [ConfigEntry] = [
            .serviceDefaults(
                ServiceDefaults(
                    name: web, serviceProtocol: .http,
                    upstreamOverrides: [.init(name: web, connectTimeout: .seconds(1))])),
            .proxyDefaults(
                ProxyDefaults(config: ["protocol": .string("http"), "n": .double(1.5)])),
            .serviceRouter(
                ServiceRouter(
                    name: web,
                    routes: [
                        .init(
                            match: HTTPMatch(
                                path: .regex("/.*"),
                                headers: [.init(name: "x", match: .present, invert: true)]),
                            destination: .init(requestTimeout: .seconds(3)))
                    ])),
            .serviceSplitter(ServiceSplitter(name: web, splits: [.init(weight: 100)])),
            .serviceResolver(
                ServiceResolver(
                    name: web, subsets: ["v1": .init(filter: "x == y")],
                    loadBalancer: .init(policy: .maglev, hashPolicies: [.init(sourceIP: true)]))),
            .serviceIntentions(
                ServiceIntentions(
                    name: .any, sources: [.init(name: .exact(web), action: .allow)])),
            .other(OtherEntry(kind: "mesh", name: "mesh", fields: ["A": .array([.null])])),
        ]
        let data = try JSONEncoder().encode(entries)
        #expect(try JSONDecoder().decode([ConfigEntry].self, from: data) == entries)
        #expect(entries[0].key == ConfigEntry.Key(kind: "service-defaults", name: "WEB"))
    }

    @Test func serviceAndInstanceSurviveJSON() throws {
        let node = NodeInfo(
            name: try NodeName("n"), datacenter: try DatacenterName("dc1"), address: "10.0.0.9")
        let service = ServiceDefinition(
            name: try ServiceName("web"), port: 1, checks: [CheckDefinition(ttl: .seconds(3))],
            connect: ConnectDefinition(
                sidecarService: SidecarDefinition(
                    proxy: ProxyDefinition(
                        config: ["a": .object(["b": .bool(true)])],
                        upstreams: [.init(destinationName: try ServiceName("db"))]))))
        let instance = ServiceInstance(
            service, on: node, origin: .file(SourceLocation(source: "f", line: 1, column: 2)),
            modifyIndex: Index(7))
        let encoder = JSONEncoder()
        let decoder = JSONDecoder()
        #expect(
            try decoder.decode(ServiceDefinition.self, from: encoder.encode(service)) == service)
        #expect(
            try decoder.decode(ServiceInstance.self, from: encoder.encode(instance)) == instance)
        let text = String(decoding: try encoder.encode(instance), as: UTF8.self)
        #expect(text.contains("\"modify_index\":7"))
    }

    @Test func whatIsBrokenInJSONIsRefused() {
        let text = Data(#"{"node":"a b","id":"x"}"#.utf8)
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(ServiceInstance.Key.self, from: text)
        }
    }
}

@Suite struct ListenerTests {
    private func paths(
        _ kind: ListenerDefinition.Kind = .l7,
        _ change: (inout ListenerDefinition) throws -> Void
    ) throws -> [String] {
        var listener = ListenerDefinition(
            name: "public", bindAddr: try HostPort("127.0.0.1:80"), kind: kind,
            service: try ServiceName("web"))
        try change(&listener)
        return listener.problems().map { $0.path.dotted }
    }

    @Test func rules() throws {
        #expect(try paths { _ in }.isEmpty)
        #expect(try paths { $0.name = "a b" } == ["name"])
        #expect(try paths { $0.bindAddr = try HostPort("web.local:80") } == ["bind_addr"])
        #expect(try paths { $0.bindAddr = try HostPort(":80") }.isEmpty)
        #expect(try paths { $0.service = nil } == [""])
        #expect(try paths(.l4) { $0.service = nil } == [""])
        #expect(
            try paths(.l4) { $0.routes = [.init(action: .respond(.init(status: 200)))] }
                == ["routes"])
        #expect(try paths { $0.timeouts.head = .zero } == ["timeouts.head"])
        #expect(try paths { $0.timeouts.head = .milliseconds(100) }.isEmpty)
        #expect(try paths { $0.timeouts.head = .milliseconds(99) } == ["timeouts.head"])
        #expect(try paths { $0.timeouts.idle = .zero }.isEmpty)
        #expect(try paths { $0.timeouts.idle = .hours(25) } == ["timeouts.idle"])
        #expect(
            try paths { $0.tls = .init(certs: [pair], alpn: ["h2", "h3"]) }
                == ["tls.alpn[1]"])
        #expect(
            try paths(.l4) { $0.tls = .init(certs: [pair], alpn: ["h2"]) } == ["tls.alpn"])
        #expect(try paths { $0.tls = .init(certs: []) } == ["tls"])
        #expect(try paths { $0.tls = .init(certs: [], certsDir: "d") }.isEmpty)
        #expect(
            try paths { $0.tls = .init(certs: [pair], clientVerify: .request) }
                == ["tls.client_verify"])
        #expect(try paths { $0.tls = .init(certs: [pair], clientCA: "ca") } == ["tls.client_ca"])
        #expect(
            try paths { $0.tls = .init(certs: [pair], clientCRL: "crl") } == ["tls.client_crl"])
        #expect(
            try paths { $0.tls = .init(certs: [pair], clientCA: "ca", clientVerify: .require) }
                .isEmpty)
        #expect(
            try paths { $0.tls = .init(certs: [pair], maxVersion: .v12) } == ["tls.max_version"])
    }

    @Test func rulesOfServerNames() throws {
        func paths(
            _ names: [String], _ change: (inout ListenerDefinition) -> Void = { _ in }
        ) throws -> [String] {
            var listener = ListenerDefinition(
                name: "edge", bindAddr: try HostPort("127.0.0.1:443"), kind: .l4,
                sni: try names.map { .init(host: $0, service: try ServiceName("web")) })
            change(&listener)
            return listener.problems().map { $0.path.dotted }
        }
        #expect(try paths(["db.example.com", "*.example.com"]).isEmpty)
        #expect(try paths(["a.test"]) { $0.service = $0.sni[0].service }.isEmpty)
        #expect(try paths([]) == [""])
        #expect(try paths(["a.test", "a.test"]) == ["sni[1].host"])
        #expect(try paths(["*"]) == ["sni[0].host"])
        #expect(try paths(["127.0.0.1"]) == ["sni[0].host"])
        #expect(
            try paths(["a.test"]) {
                $0.kind = .l7; $0.service = $0.sni[0].service
            } == ["sni"])
        #expect(try paths(["a.test"]) { $0.tls = .init(certs: [pair]) } == ["sni"])
    }

    private let pair = ListenerDefinition.KeyPair(cert: "c", key: "k")

    @Test func rulesOfRoutes() throws {
        func route(
            _ action: ListenerDefinition.RouteAction, host: String? = nil
        ) throws -> [String] {
            try paths { $0.routes = [.init(host: host, action: action)] }
        }
        #expect(try route(.respond(.init(status: 403)), host: "*.example.com").isEmpty)
        #expect(try route(.respond(.init(status: 403)), host: "*.*") == ["routes[0].match.host"])
        #expect(try route(.respond(.init(status: 199))) == ["routes[0].respond.status"])
        #expect(try route(.respond(.init(status: 200))).isEmpty)
        #expect(try route(.respond(.init(status: 599))).isEmpty)
        #expect(try route(.respond(.init(status: 600))) == ["routes[0].respond.status"])
        #expect(try route(.respond(.init(status: 204, body: "x"))) == ["routes[0].respond.body"])
        let injected = ListenerDefinition.Response(status: 200, headers: ["x": "a\r\nb: c"])
        #expect(try route(.respond(injected)) == ["routes[0].respond.headers.x"])
        #expect(try route(.redirect(.init())) == ["routes[0].redirect"])
        #expect(
            try route(.redirect(.init(host: "a.b", status: 304))) == ["routes[0].redirect.status"])
        #expect(try route(.redirect(.init(host: "a.b:8443"))).isEmpty)
        #expect(try route(.redirect(.init(path: "x"))) == ["routes[0].redirect.path"])
    }
}

@Suite struct OriginTests {
    @Test func aFileRefusesWritesNamingItself() {
        let place = SourceLocation(source: "/etc/ringmesh/web.yaml", line: 3, column: 5)
        let refusal = Origin.file(place).refusal(of: "service web")
        #expect(refusal?.code == .ownedByFile)
        #expect(refusal?.message.contains("/etc/ringmesh/web.yaml:3:5") == true)
        #expect(Origin.api.refusal(of: "service web") == nil)
        #expect(Origin.api.acceptsWrites && !Origin.derived.acceptsWrites)
    }

    @Test func keysFoldToOneSpelling() {
        #expect(FoldedKey("local_bind_port") == FoldedKey("LocalBindPort"))
        #expect(FoldedKey("bind-addr") == FoldedKey("bindAddr"))
        #expect(FoldedKey("bind_addr") != FoldedKey("bind_add"))
        #expect(
            DataValue.object(["ConnectTimeoutMs": .int(3)])[key: "connect_timeout_ms"] == .int(3))
    }

    @Test func aProblemPrintsAsEditorsReadIt() {
        let problem = Problem(
            .error, "write 1", at: SourceLocation(source: "f.yaml", line: 2, column: 7), key: "a.b")
        #expect(problem.description == "f.yaml:2:7: error: a.b: write 1")
    }
}
