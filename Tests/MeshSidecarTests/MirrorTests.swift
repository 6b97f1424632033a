import MeshDiscovery
import MeshModel
import MeshSidecar
import Testing

/// The mirror against an agent that says what the test wants.
@Suite(.timeLimit(.minutes(5))) struct MirrorTests {
    private struct Stuck: Error {}

    private func pauses() -> AgentMirror.Pauses {
        var pauses = AgentMirror.Pauses()
        pauses.presence = .milliseconds(20)
        pauses.query = .milliseconds(20)
        pauses.policy = .milliseconds(50)
        pauses.checks = .milliseconds(20)
        pauses.newChecks = .milliseconds(20)
        return pauses
    }

    /// Runs a mirror of `web-sidecar-proxy` while `body` looks at it.
    private func mirror(
        _ agent: FakeAgent, isL4: Bool = false, as proxy: MirrorState.Proxy? = nil,
        _ body: (AgentMirror) async throws -> Void
    ) async throws {
        let mirror = AgentMirror(agent, isL4: isL4, pauses: pauses(), log: silent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await mirror.run(as: proxy ?? .registered("web-sidecar-proxy")) {}
            }
            try await body(mirror)
            group.cancelAll()
        }
    }

    private func wait(
        _ mirror: AgentMirror, _ condition: (MeshView?, [String]) -> Bool
    ) async throws {
        for _ in 0..<12_000 {
            if condition(await mirror.view, await mirror.problems) { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("it never came to that: \(String(describing: await mirror.problems))")
        throw Stuck()
    }

    private func ports(_ view: MeshView?) -> [UInt16] {
        view?.ways.first??.endpoints.values.flatMap { $0 }.map(\.port) ?? []
    }

    @Test func everythingIsGathered() async throws {
        let mesh = try FakeMesh()
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in view != nil }
            let view = try #require(await mirror.view)
            #expect(view.service.text == "web")
            #expect(view.datacenter.text == "dc1")
            #expect(view.serviceProtocol == .tcp)
            #expect(view.intentionsDefault == .allow)
            #expect(ports(view) == [21000])
            #expect(await mirror.problems.isEmpty)
        }
    }

    @Test func changesAreTakenAndNothingIsAskedTwice() async throws {
        let mesh = try FakeMesh()
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in ports(view) == [21000] }
            mesh.tellInstances("db", ports: [21000, 21001], index: 7)
            try await wait(mirror) { view, _ in ports(view) == [21000, 21001] }
            mesh.tellInstances("db", ports: [], index: 9)
            try await wait(mirror) { view, _ in ports(view).isEmpty }
            let asked = mesh.agent.asked.filter { $0.contains("health/connect/db") }
            #expect(asked.contains { $0.contains("index=1") })
            #expect(asked.contains { $0.contains("index=7") })
            #expect(!asked.contains { $0.contains("index=0") })
            // The first, and after each index one that blocks.
            #expect(asked.count <= 5)
        }
    }

    @Test func anIndexThatGoesBackIsFollowed() async throws {
        let mesh = try FakeMesh()
        mesh.tellInstances("db", ports: [21000], index: 500)
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in ports(view) == [21000] }
            mesh.tellInstances("db", ports: [21009], index: 2)
            try await wait(mirror) { view, _ in ports(view) == [21009] }
            mesh.tellInstances("db", ports: [21010], index: 3)
            try await wait(mirror) { view, _ in ports(view) == [21010] }
        }
    }

    @Test func listenersFollowTheRegistration() async throws {
        let mesh = try FakeMesh()
        try mesh.tellChain("cache")
        mesh.tellInstances("cache", ports: [22000])
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in view?.ways.count == 1 }
            mesh.agent.tell(
                "/v1/agent/service/web-sidecar-proxy",
                try FakeMesh.proxy(["cache": 9000, "db": 9191]), index: 2)
            try await wait(mirror) { view, _ in
                view?.ways.count == 2 && view?.ways.allSatisfy { $0 != nil } == true
            }
            mesh.agent.tell(
                "/v1/agent/service/web-sidecar-proxy", try FakeMesh.proxy(["cache": 9000]),
                index: 3)
            try await wait(mirror) { view, _ in
                view?.registration.upstreams.map(\.destinationName.text) == ["cache"]
            }
        }
    }

    @Test func anAgentThatIsAwayTakesNothingAway() async throws {
        let mesh = try FakeMesh()
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in view != nil }
            mesh.agent.goAway()
            try await wait(mirror) { _, problems in !problems.isEmpty }
            let told = try #require(await mirror.problems.first)
            #expect(told.contains("http://fake:8500"))
            #expect(told.contains("connection refused"))
            #expect(told.contains("traffic goes on"))
            #expect(ports(await mirror.view) == [21000])
            mesh.tellInstances("db", ports: [21005], index: 3)
            mesh.agent.comeBack()
            try await wait(mirror) { view, problems in
                ports(view) == [21005] && problems.isEmpty
            }
        }
    }

    @Test func anAgentThatIsAwayFromTheStartIsWaitedFor() async throws {
        let mesh = try FakeMesh()
        mesh.agent.goAway()
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { _, problems in
                problems.first?.contains("nothing is served yet") == true
            }
            #expect(await mirror.view == nil)
            mesh.agent.comeBack()
            try await wait(mirror) { view, _ in view != nil }
        }
    }

    @Test func whatIsRefusedLeavesTheRest() async throws {
        let mesh = try FakeMesh()
        mesh.agent.tell(
            "/v1/discovery-chain/db", .string("Permission denied"), status: 403)
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, problems in
                view != nil && problems.contains { $0.contains("chain of db") }
            }
            #expect(await mirror.view?.ways == [nil])
        }
    }

    /// Checks that the agent makes by way of the proxy have their listeners as soon as it says where.
    @Test func checksAreExposedWhereTheAgentMakesThem() async throws {
        let mesh = try FakeMesh()
        var proxy = try FakeMesh.proxy([:])
        guard case .object(var all) = proxy, case .object(var section)? = all["Proxy"] else {
            throw Stuck()
        }
        section["Expose"] = .object(["Checks": .bool(true)])
        all["Proxy"] = .object(section)
        proxy = .object(all)
        func told(_ output: String) -> DataValue {
            .object([
                "service:web": .object([
                    "ServiceID": .string("web"), "Type": .string("http"),
                    "Output": .string(output),
                ])
            ])
        }
        mesh.agent.tell("/v1/agent/service/web-sidecar-proxy", proxy)
        mesh.agent.tell("/v1/agent/checks", told(""))
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, problems in
                view != nil && problems.contains { $0.contains("not exposed yet") }
            }
            mesh.agent.tell(
                "/v1/agent/checks", told("Get \"http://127.0.0.1:21500/up\": connection refused"))
            try await wait(mirror) { view, problems in
                let expose = view?.registration.definition.proxy?.expose
                return problems.isEmpty
                    && ExposedPath.paths(expose) == [
                        ExposedPath(listenerPort: 21_500, path: "/up", isFromCheck: true)
                    ]
            }
            all["Proxy"] = .object(section.filter { $0.key != "Expose" })
            mesh.agent.tell("/v1/agent/service/web-sidecar-proxy", .object(all), index: 2)
            try await wait(mirror) { view, _ in
                ExposedPath.paths(view?.registration.definition.proxy?.expose).isEmpty
            }
        }
        #expect(
            mesh.agent.asked.contains("GET /v1/agent/checks?filter=ServiceID == \"web\""))
    }

    private func transparent(_ mesh: FakeMesh, _ upstreams: [DataValue] = []) throws {
        guard case .object(var all) = try FakeMesh.proxy([:]),
            case .object(var section)? = all["Proxy"]
        else { throw Stuck() }
        section["Mode"] = .string("transparent")
        section["TransparentProxy"] = .object(["OutboundListenerPort": .int(15_002)])
        section["Upstreams"] = .array(upstreams)
        all["Proxy"] = .object(section)
        mesh.agent.tell("/v1/agent/service/web-sidecar-proxy", .object(all))
    }

    private func tellPlaces(_ mesh: FakeMesh, _ name: String, virtual: String? = nil) throws {
        var service: [String: DataValue] = [
            "ID": .string("\(name)-proxy"), "Port": .int(21_000), "Address": .string("10.0.0.7"),
            "Proxy": .object([
                "DestinationServiceID": .string("\(name)-1"), "LocalServicePort": .int(9000),
                "TransparentProxy": .object(["DialedDirectly": .bool(name == "db")]),
            ]),
        ]
        if let virtual {
            service["TaggedAddresses"] = .object([
                "consul-virtual": .object(["Address": .string(virtual), "Port": .int(9000)])
            ])
        }
        mesh.agent.tell(
            "/v1/health/connect/\(name)",
            .array([
                .object([
                    "Node": .object(["Node": .string("n"), "Address": .string("10.0.0.1")]),
                    "Service": .object(service),
                    "Checks": .array([.object(["Status": .string("passing")])]),
                ])
            ]))
        try mesh.tellChain(name)
    }

    /// Intentions say what a transparent proxy calls, proxies of instances say where.
    @Test func whatATransparentProxyCallsIsFoundOut() async throws {
        let mesh = try FakeMesh()
        mesh.agent.setPolicy("deny")
        // What holds without an intention, whichever of the two that changes is seen first.
        mesh.agent.tell("/v1/agent/connect/authorize", .object(["Authorized": .bool(false)]))
        try transparent(mesh)
        mesh.agent.tell(
            "/v1/connect/intentions/match",
            .object([
                "web": .array([
                    .object([
                        "SourceName": .string("*"), "DestinationName": .string("*"),
                        "Action": .string("allow"),
                    ]),
                    .object([
                        "SourceName": .string("web"), "DestinationName": .string("secret"),
                        "Action": .string("deny"),
                    ]),
                ])
            ]))
        let names = ["consul", "db", "web", "web-sidecar-proxy", "cache", "secret", "outside"]
        mesh.agent.tell(
            "/v1/catalog/services",
            .object(Dictionary(names.map { ($0, .array([])) }) { first, _ in first }))
        for name in ["cache", "secret"] { try tellPlaces(mesh, name) }
        for name in ["outside", "web"] {
            mesh.agent.tell("/v1/health/connect/\(name)", .array([]))
        }
        try tellPlaces(mesh, "db", virtual: "240.0.0.1")
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, problems in
                view?.reached?.services.count == 2 && problems.isEmpty
            }
            let reached = try #require(await mirror.view?.reached)
            #expect(!reached.isClosed, "there is no entry that says so")
            #expect(reached.services.map(\.upstream.destinationName.text) == ["cache", "db"])
            let db = reached.services[1]
            let place = try #require(db.places.first)
            #expect(place.instance == "db-1" && place.isDirect && place.virtual == ["240.0.0.1"])
            #expect(place.address == HostPort(host: "10.0.0.7", port: 9000))
            #expect(place.endpoint?.port == 21_000)
            #expect(db.way.endpoints.values.flatMap { $0 }.map(\.port) == [21_000])
            mesh.agent.tell(
                "/v1/config/mesh/mesh",
                .object([
                    "Kind": .string("mesh"),
                    "TransparentProxy": .object(["MeshDestinationsOnly": .bool(true)]),
                ]), index: 2)
            mesh.agent.tell("/v1/connect/intentions/match", .object(["web": .array([])]), index: 2)
            try await wait(mirror) { view, _ in
                view?.reached?.services.isEmpty == true
            }
        }
        let asked = mesh.agent.asked
        #expect(asked.contains { $0.contains("by=source&name=web") })
        for name in ["secret", "consul", "web-sidecar-proxy"] {
            #expect(!asked.contains { $0.contains("health/connect/\(name)?") }, "\(name)")
        }
        #expect(!asked.contains { $0.contains("discovery-chain/outside") })
    }

    /// Consul before 1.10 knows no such entry; what may not be read closes the mesh.
    @Test func theEntryOfTheMeshDecidesAboutStrangers() async throws {
        for (status, text, isClosed) in [
            (500, "invalid config entry kind: mesh", false), (404, "Config entry not found", false),
            (403, "Permission denied", true),
        ] {
            let mesh = try FakeMesh()
            try transparent(mesh)
            mesh.agent.tell("/v1/catalog/services", .object([:]))
            mesh.agent.tell("/v1/config/mesh/mesh", .string(text), status: status)
            try await mirror(mesh.agent) { mirror in
                try await wait(mirror) { view, _ in view?.reached?.isClosed == isClosed }
                #expect(
                    await mirror.problems.contains { $0.contains("the entry mesh") } == isClosed)
            }
        }
    }

    /// An agent allows one client some connections, no more.
    @Test func anAgentIsAskedAboutSomeServicesOnly() async throws {
        let mesh = try FakeMesh()
        mesh.agent.setPolicy("allow")
        try transparent(
            mesh,
            [.object(["DestinationName": .string("zebra"), "Config": .object([:])])])
        let names = (100..<200).map { "s\($0)" }
        mesh.agent.tell(
            "/v1/catalog/services",
            .object(Dictionary(names.map { ($0, .array([])) }) { first, _ in first }))
        for name in names { mesh.agent.tell("/v1/health/connect/\(name)", .array([])) }
        try tellPlaces(mesh, "zebra", virtual: "240.0.0.9")
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, problems in
                view?.reached?.services.count == 1
                    && problems.contains { $0.contains("37 services are not reached") }
            }
        }
        let asked = Set(mesh.agent.asked.filter { $0.contains("health/connect") })
        #expect(
            asked.filter { $0.contains("health/connect/s") && !$0.contains("index") }.count == 63)
    }

    /// Nobody comes in while the rules are not known, whatever holds without one.
    @Test func withoutIntentionsNobodyComesIn() async throws {
        let mesh = try FakeMesh()
        mesh.agent.tell("/v1/connect/intentions/match", .string("Permission denied"), status: 403)
        mesh.agent.setPolicy("allow")
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in view != nil }
            #expect(await mirror.view?.intentionsDefault == .deny)
        }
    }

    @Test func nonsenseKeepsWhatWasKnown() async throws {
        let mesh = try FakeMesh()
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in view != nil }
            mesh.agent.tell("/v1/health/connect/db", .object(["no": .string("list")]), index: 4)
            try await wait(mirror) { _, problems in
                problems.contains { $0.contains("instances of db") }
            }
            #expect(ports(await mirror.view) == [21000])
            mesh.tellInstances("db", ports: [21001], index: 5)
            try await wait(mirror) { view, problems in
                ports(view) == [21001] && problems.isEmpty
            }
        }
    }

    @Test func aConsulWithoutChainsHasPlainOnes() async throws {
        let mesh = try FakeMesh()
        for name in ["web", "db"] { mesh.agent.forget("/v1/discovery-chain/\(name)") }
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in ports(view) == [21000] }
        }
    }

    @Test func l4AsksForChainsOfBytes() async throws {
        let mesh = try FakeMesh()
        try mesh.tellChain("web", protocol: "http")
        try await mirror(mesh.agent, isL4: true) { mirror in
            try await wait(mirror) { view, _ in view != nil }
            #expect(mesh.agent.asked.contains("POST /v1/discovery-chain/db"))
            #expect(await mirror.view?.serviceProtocol == .tcp)
        }
    }

    @Test func aGivenProxyNeedsNoRegistration() async throws {
        let mesh = try FakeMesh()
        let registration = try Registration(
            AgentJSON(try FakeMesh.proxy(["db": 9191]), "given"))
        mesh.agent.forget("/v1/agent/service/web-sidecar-proxy")
        try await mirror(mesh.agent, as: .given(registration)) { mirror in
            try await wait(mirror) { view, _ in ports(view) == [21000] }
            #expect(!mesh.agent.asked.contains { $0.contains("/v1/agent/service/") })
        }
    }

    @Test func preparedQueriesArePolled() async throws {
        let mesh = try FakeMesh()
        guard case .object(var proxy) = try FakeMesh.proxy([:]),
            case .object(var inner)? = proxy["Proxy"]
        else { return }
        inner["Upstreams"] = .array([
            .object([
                "DestinationType": .string("prepared_query"), "DestinationName": .string("near"),
                "LocalBindPort": .int(9000),
            ])
        ])
        proxy["Proxy"] = .object(inner)
        mesh.agent.tell("/v1/agent/service/web-sidecar-proxy", .object(proxy))
        func tell(_ port: Int64) {
            mesh.agent.tell(
                "/v1/query/near/execute",
                .object([
                    "Service": .string("db"), "Datacenter": .string("dc2"),
                    "Nodes": .array([
                        .object([
                            "Node": .object(["Node": .string("n"), "Address": .string("10.1.1.1")]),
                            "Service": .object(["ID": .string("db"), "Port": .int(port)]),
                        ])
                    ]),
                ]))
        }
        tell(7000)
        try await mirror(mesh.agent) { mirror in
            try await wait(mirror) { view, _ in ports(view) == [7000] }
            let way = await mirror.view?.ways.first
            #expect(way??.chain.targets.values.map(\.datacenter.text) == ["dc2"])
            tell(7001)
            try await wait(mirror) { view, _ in ports(view) == [7001] }
        }
    }
}

/// What holds where no intention covers a call.
@Suite struct PolicyTests {
    private func state(
        intentions: String = "[]", probe: Bool?, policy: String?
    ) throws -> IntentionAction {
        let mesh = try FakeMesh()
        let web = try ServiceName("web")
        var state = MirrorState()
        state.start(
            .given(try Registration(AgentJSON(try FakeMesh.proxy([:]), "given"))))
        try state.take(
            .intentions(web),
            answer(try JSONReader.read(Array("{\"web\":\(intentions)}".utf8)), policy: policy))
        try state.take(
            .policy(web),
            probe.map { answer(.object(["Authorized": .bool($0)])) }
                ?? answer(.string("Permission denied"), status: 403))
        _ = mesh
        return state.intentionsDefault
    }

    @Test func theProbeDecides() throws {
        #expect(try state(probe: true, policy: "deny") == .allow)
        #expect(try state(probe: false, policy: "allow") == .deny)
    }

    @Test func theHeaderStandsIn() throws {
        #expect(try state(probe: nil, policy: "allow") == .allow)
        #expect(try state(probe: nil, policy: nil) == .deny)
    }

    @Test func permissionsForAllHideIt() throws {
        let all = """
            [{"SourceName":"*","DestinationName":"web",
              "Permissions":[{"Action":"allow","HTTP":{"PathPrefix":"/"}}]}]
            """
        #expect(try state(intentions: all, probe: false, policy: "allow") == .allow)
        #expect(try state(intentions: all, probe: true, policy: "deny") == .deny)
    }
}

/// Which proxy stands in front of a service.
@Suite struct SearchTests {
    private func agent(_ services: DataValue) -> FakeAgent {
        let agent = FakeAgent()
        agent.tell("/v1/agent/services", services)
        return agent
    }

    private func proxy(_ id: String, of name: String, _ service: String) -> (String, DataValue) {
        (
            id,
            .object([
                "ID": .string(id), "Kind": .string("connect-proxy"),
                "Proxy": .object([
                    "DestinationServiceName": .string(name),
                    "DestinationServiceID": .string(service),
                ]),
            ])
        )
    }

    private func services(_ list: (String, DataValue)...) -> DataValue {
        .object(Dictionary(uniqueKeysWithValues: list))
    }

    @Test func byIDBeforeName() async throws {
        let agent = agent(
            services(proxy("a", of: "web", "web-1"), proxy("b", of: "other", "web")))
        #expect(try await SidecarSearch.find("WEB", agent) == "b")
        #expect(try await SidecarSearch.find("web-1", agent) == "a")
        #expect(try await SidecarSearch.find("other", agent) == "b")
    }

    @Test func severalAreToldApart() async throws {
        let agent = agent(services(proxy("a", of: "web", "w1"), proxy("b", of: "web", "w2")))
        let error = await #expect(throws: SidecarSearch.Ambiguous.self) {
            try await SidecarSearch.find("web", agent)
        }
        #expect(error?.description.contains("a, b") == true)
    }

    @Test func nobody() async throws {
        await #expect(throws: MeshError.self) {
            try await SidecarSearch.find("web", agent(.object([:])))
        }
    }

    @Test func recordedServices() async throws {
        let agent = agent(try Recorded.json("agent", "agent/services").value)
        #expect(try await SidecarSearch.find("web-1", agent) == "web-1-sidecar-proxy")
    }
}
