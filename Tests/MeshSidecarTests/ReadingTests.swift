import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshSidecar
import Testing

/// What an agent answers, read: recorded answers of Consul 1.9.8, chains of 1.9.8 and of 1.21.
@Suite struct ReadingTests {
    @Test func aRegistration() throws {
        let read = try Registration(Recorded.json("agent", "agent/service-sidecar"))
        #expect(read.definition.id.text == "web-1-sidecar-proxy")
        #expect(read.service.text == "web")
        #expect(read.definition.address == "127.0.0.1")
        #expect(read.definition.port == 21000)
        #expect(read.problems.isEmpty)
        let proxy = try #require(read.definition.proxy)
        #expect(proxy.localServicePort == 8080)
        #expect(proxy.config["handshake_timeout_ms"]?.int == 5000)
        #expect(proxy.upstreams.map(\.destinationName.text) == ["db", "nearest-db"])
        #expect(proxy.upstreams.map(\.destinationType) == [.service, .preparedQuery])
        #expect(proxy.upstreams[0].options.connectTimeout == .seconds(3))
    }

    @Test func aServiceIsNoProxy() throws {
        let error = #expect(throws: MeshError.self) {
            try Registration(Recorded.json("agent", "agent/service-plain"))
        }
        #expect(error?.message.contains("--sidecar-for") == true)
    }

    @Test func anUpstreamThatCannotBeDoneLeavesTheOthers() throws {
        let document = try JSONReader.read(
            Array(
                """
                {"Kind":"connect-proxy","ID":"p","Service":"p","Port":1,"New":{"a":[1]},
                 "Proxy":{"DestinationServiceName":"web","Upstreams":[
                  {"DestinationName":"far","DestinationPeer":"p1","LocalBindPort":2},
                  {"DestinationName":"db","LocalBindPort":3},
                  {"DestinationName":"ns","DestinationNamespace":"team","LocalBindPort":4},
                  {"DestinationName":"other","Datacenter":"dc2","LocalBindPort":5}]}}
                """.utf8))
        let read = try Registration(AgentJSON(document, "p"))
        #expect(read.upstreams.map(\.destinationName.text) == ["db", "other"])
        #expect(read.upstreams[1].datacenter?.text == "dc2")
        #expect(read.problems.count == 2)
        #expect(read.definition.address == "0.0.0.0")
    }

    @Test func pathsAreExposedAsTheAgentSays() throws {
        let document = try JSONReader.read(
            Array(
                """
                {"Kind":"connect-proxy","ID":"p","Service":"p","Port":1,
                 "Proxy":{"DestinationServiceName":"web","Expose":{"Checks":true,"Paths":[
                  {"ListenerPort":21500,"Path":"/health","LocalPathPort":8080}]}}}
                """.utf8))
        let read = try Registration(AgentJSON(document, "p"))
        #expect(
            ExposedPath.paths(read.definition.proxy?.expose)
                == [ExposedPath(listenerPort: 21_500, path: "/health", localPathPort: 8080)])
        #expect(read.problems.isEmpty)
    }

    private func checks(_ output: String, type: String = "http", port: Int? = nil) throws
        -> AgentJSON
    {
        var check: [String: DataValue] = [
            "ServiceID": .string("web"), "Type": .string(type), "Output": .string(output),
        ]
        if let port { check["ExposedPort"] = .int(Int64(port)) }
        let other: DataValue = .object([
            "ServiceID": .string("db"), "Type": .string("http"),
            "Output": .string("HTTP GET http://10.0.0.1:21555/db: 200 OK Output: "),
        ])
        return AgentJSON(.object(["c": .object(check), "other": other]), "checks")
    }

    /// What a check asks for is seen in what it gave: results as Consul 1.8.7 and newer ones write
    /// them.
    @Test(arguments: [
        (
            "Get \"http://127.0.0.1:21500/health?x=1\": dial tcp 127.0.0.1:21500: connect: "
                + "connection refused", 21_500, "/health"
        ),
        ("HTTP GET http://10.0.0.5:21501/a/b: 200 OK Output: http://1.1.1.1:9/x", 21_501, "/a/b"),
        ("HTTP HEAD http://[fd00::5]:21502: 503 Service Unavailable Output: no", 21_502, "/"),
        ("Head http://[::1]:21503/odd:: context deadline exceeded", 21_503, "/odd:"),
        ("HTTP GET http://10.0.0.5:21504/?a: 200 OK Output: ", 21_504, "/"),
    ])
    func whatAnHTTPCheckAsksForIsSeenInItsResult(
        _ output: String, _ port: UInt16, _ path: String
    ) throws {
        let read = try ExposedChecks.read(checks(output), of: try ServiceID("web"))
        let wanted = ExposedPath(listenerPort: port, path: path, isFromCheck: true)
        #expect(read.paths == ["c": wanted])
        #expect(read.problems.isEmpty && !read.isWaiting)
        let told = try ExposedChecks.read(
            checks(output, port: Int(port)), of: try ServiceID("web"))
        #expect(told == read)
    }

    @Test(arguments: [
        "gRPC check 127.0.0.1:21502/web: success",
        "gRPC check 127.0.0.1:21502: success",
        "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while "
            + "dialing dial tcp 127.0.0.2:21502: connect: connection refused\"",
    ])
    func whatAGRPCCheckAsksForIsKnown(_ output: String) throws {
        let read = try ExposedChecks.read(checks(output, type: "grpc"), of: try ServiceID("web"))
        let wanted = ExposedPath(
            listenerPort: 21_502, path: "/grpc.health.v1.Health/Check", isHTTP2: true,
            isFromCheck: true)
        #expect(read.paths == ["c": wanted])
        let told = try ExposedChecks.read(
            checks("rpc error: code = DeadlineExceeded", type: "grpc", port: 21_502),
            of: try ServiceID("web"))
        #expect(told == read)
    }

    /// Nothing is opened for what does not say that the agent makes it by way of the proxy, and
    /// what was known stays while a result says nothing.
    @Test func aCheckThatSaysNothingIsWaitedFor() throws {
        let web = try ServiceID("web")
        let known = try ExposedChecks.read(
            checks("HTTP GET http://10.0.0.5:21501/health: 200 OK Output: "), of: web)
        for output in [
            "", "TTL expired", "http", "https", "HTTP GET http://", "Get \"http://x:/\"",
            "HTTP GET http://10.0.0.5:99999/: 200 OK", "the application says http://a:21500/b",
        ] {
            let read = try ExposedChecks.read(checks(output), of: web)
            #expect(read.paths.isEmpty && read.isWaiting, "\(output)")
            #expect(read.problems.count == 1)
            let later = try ExposedChecks.read(checks(output), of: web, before: known)
            #expect(later == known, "\(output)")
        }
        let before = try ExposedChecks.read(
            checks("HTTP GET http://127.0.0.1:8080/health: 200 OK Output: "), of: web)
        #expect(before.paths.isEmpty && before.problems.first?.contains("at port 8080") == true)
        let elsewhere = try ExposedChecks.read(
            checks("HTTP GET http://127.0.0.1:8080/health: 200 OK Output: "), of: web,
            within: 8000...8080)
        #expect(elsewhere.paths["c"]?.listenerPort == 8080)
        let moved = try ExposedChecks.read(
            checks("HTTP GET http://127.0.0.1:8080/health: 200 OK", port: 30_001), of: web)
        #expect(moved.paths.isEmpty && moved.isWaiting)
        let tls = try ExposedChecks.read(
            checks("Get \"https://127.0.0.1:21500/h\": EOF"), of: web)
        #expect(tls.paths.isEmpty && !tls.isWaiting && tls.problems.count == 1)
        let script = try ExposedChecks.read(
            checks("HTTP GET http://127.0.0.1:21500/h: 200 OK", type: "script"), of: web)
        #expect(script == ExposedChecks.Read())
        #expect(throws: MeshError.self) {
            try ExposedChecks.read(AgentJSON(.array([]), "checks"), of: web)
        }
    }

    /// Where the application answers is not to be seen: a path of the same name says it.
    @Test func aWrittenPathSaysWhereTheApplicationAnswers() throws {
        let read = try ExposedChecks.read(
            checks("HTTP GET http://10.0.0.5:21501/health: 200 OK Output: "),
            of: try ServiceID("web"),
            written: [ExposedPath(listenerPort: 22_000, path: "/health", localPathPort: 9090)])
        #expect(read.paths["c"]?.localPathPort == 9090)
        #expect(read.paths["c"]?.listenerPort == 21_501)
    }

    @Test func roots() throws {
        let read = try MeshRoots(Recorded.json("connect", "connect/agent-roots"))
        #expect(read.trustDomain.text == "f041c853-1fa4-14ac-5387-e907857bb068.consul")
        #expect(read.roots.count == 1)
        #expect(read.roots[0].isActive)
        #expect(read.trust.count == read.roots[0].certificate.der.count)
    }

    @Test func aLeafIsReadFromItsCertificate() throws {
        var authority = try Authority()
        let json = AgentJSON(try authority.leafDocument("web"), "leaf")
        let leaf = try LeafCertificate(json)
        #expect(leaf.id.uri == "spiffe://\(Authority.domain)/ns/default/dc/dc1/svc/web")
        #expect(leaf.notAfter > leaf.notBefore)
    }

    @Test func aLeafWithTheKeyOfAnotherIsRefused() throws {
        var authority = try Authority()
        guard case .object(var members) = try authority.leafDocument("web"),
            case .object(let other) = try authority.leafDocument("web")
        else { return }
        members["PrivateKeyPEM"] = other["PrivateKeyPEM"]
        let error = #expect(throws: MeshError.self) {
            try LeafCertificate(AgentJSON(.object(members), "leaf"))
        }
        #expect(error?.description.contains("BEGIN") == false)
    }

    @Test func aRecordedChain() throws {
        let web = try ServiceName("web")
        let read = try Chains.read(Recorded.json("chain", "chain/web"), service: web)
        #expect(read.problems.isEmpty)
        #expect(read.chain.serviceProtocol == .http)
        let traffic = ChainTraffic(read.chain)
        #expect(traffic.routes.count == 2)
        #expect(traffic.routes[0].match.path == .prefix("/admin"))
        #expect(traffic.routes[0].destination?.numRetries == 2)
        #expect(traffic.routes[0].shares.map(\.target.service.text) == ["admin"])
        #expect(traffic.routes[1].shares.map(\.weight) == [9000, 1000])
        let subset = try #require(traffic.routes[1].shares.first?.target)
        #expect(subset.subsetName?.text == "v1")
        #expect(subset.subset.filter.contains("Service.Meta.version"))
        #expect(
            subset.name(in: try TrustDomain("x.consul")) == "v1.web.default.dc1.internal.x.consul")
    }

    /// Every chain of the vectors, as both versions wrote it, leads where the entries do.
    @Test(arguments: [
        "default", "failover", "loadbalancer", "override", "resolver", "router", "splitter",
    ])
    func chainsOfOldAndNewConsuls(file: String) throws {
        var count = 0
        for item in AgentJSON(try Recorded.document("discovery-chain/\(file).json"), file).items {
            let name = item.text("id") ?? ""
            for (version, expected) in item["expect"]?.members ?? [] {
                guard let chain = expected["chain"] else { continue }
                // Of peers and other namespaces nothing can be made here.
                let isForeign = chain["Targets"]?.members.contains { _, target in
                    target.text("Peer") != nil
                        || ["Namespace", "Partition"].contains {
                            target.text($0).map { $0 != "default" } ?? false
                        }
                }
                let document = AgentJSON(.object(["Chain": chain.value]), "\(name) \(version)")
                let service = try ServiceName(try chain.need("ServiceName"))
                if isForeign == true {
                    #expect(throws: MeshError.self) {
                        try Chains.read(document, service: service)
                    }
                    continue
                }
                let read = try Chains.read(document, service: service)
                #expect(read.chain.nodes.count == chain["Nodes"]?.members.count, "\(name)")
                #expect(read.chain.targets.count == chain["Targets"]?.members.count, "\(name)")
                let traffic = ChainTraffic(read.chain, reachesDatacenters: true)
                #expect(!traffic.routes.isEmpty)
                #expect(traffic.routes.allSatisfy { !$0.shares.isEmpty }, "\(name)")
                count += 1
            }
        }
        #expect(count > 0)
    }

    @Test func instancesWithTheirHealth() throws {
        func instances(_ statuses: [String], onlyPassing: Bool = false) throws -> [MeshEndpoint] {
            let checks = statuses.map { DataValue.object(["Status": .string($0)]) }
            let entry = DataValue.object([
                "Node": .object(["Node": .string("n"), "Address": .string("10.0.0.9")]),
                "Service": .object([
                    "ID": .string("web-proxy"), "Address": .string(""), "Port": .int(21000),
                    "Weights": .object(["Passing": .int(10), "Warning": .int(1)]),
                ]), "Checks": .array(checks),
            ])
            return Instances.read(
                AgentJSON(.array([entry, .null, .object([:])]), "list"),
                onlyPassing: onlyPassing, isRemote: false)
        }
        let passing = try instances(["passing", "passing"]).first
        #expect(passing?.host == "10.0.0.9")
        #expect(passing?.weight == 10)
        #expect(try instances(["passing", "warning"]).first?.weight == 1)
        #expect(try instances(["passing", "warning"], onlyPassing: true).isEmpty)
        #expect(try instances(["critical"]).isEmpty)
        #expect(try instances(["maintenance"]).isEmpty)
        #expect(try instances(["unheard of"]).isEmpty)
        #expect(try instances([]).count == 1)
    }

    @Test func recordedInstances() throws {
        let list = try Recorded.json("health", "health/connect")
        #expect(Instances.read(list, onlyPassing: false, isRemote: false).isEmpty)
        let native = try Recorded.json("health", "health/connect-native")
        #expect(
            Instances.read(native, onlyPassing: false, isRemote: false).map(\.port) == [7001])
    }

    @Test func aQueryResult() throws {
        let read = try QueryResult(
            Recorded.json("query", "query/execute-connect"), home: try DatacenterName("dc1"))
        #expect(read.service.text == "db")
        #expect(read.endpoints.map(\.port) == [21001])
    }

    @Test func recordedIntentions() throws {
        let read = try Intentions.read(
            Recorded.json("intentions", "intentions/match-dest"), service: try ServiceName("DB"))
        #expect(read.intentions.map(\.precedence) == [9, 8, 6, 5])
        #expect(read.intentions[0].effect == .action(.allow))
        #expect(read.intentions[1].effect == .action(.deny))
        #expect(read.problems.isEmpty)
    }

    private func intentions(_ list: String) throws -> Intentions.Read {
        try Intentions.read(
            AgentJSON(try JSONReader.read(Array("{\"web\":\(list)}".utf8)), "match"),
            service: try ServiceName("web"))
    }

    @Test func permissions() throws {
        let read = try intentions(
            """
            [{"SourceName":"api","DestinationName":"web","Precedence":9,"Permissions":[
              {"Action":"allow","HTTP":{"PathPrefix":"/v1","Methods":["GET"],
               "Header":[{"Name":"X-A","Present":true,"Invert":true}]}},
              {"Action":"deny","HTTP":{"PathRegex":"/x.*"}}]}]
            """)
        guard case .permissions(let list) = try #require(read.intentions.first).effect else {
            Issue.record("no permissions")
            return
        }
        #expect(list.map(\.action) == [.allow, .deny])
        #expect(list[0].http.path == .prefix("/v1"))
    }

    /// A rule that is not understood lets nobody through.
    @Test(arguments: [
        #""Permissions":[{"Action":"allow","HTTP":{"PathPrefix":"/","Moon":"full"}}]"#,
        #""Permissions":[{"Action":"maybe","HTTP":{"PathPrefix":"/"}}]"#,
        #""Action":"allow","JWT":{"Providers":[{"Name":"o"}]}"#,
        #""Permissions":[{"Action":"allow","JWT":{},"HTTP":{"PathPrefix":"/"}}]"#,
    ])
    func whatIsNotUnderstoodDenies(intention: String) throws {
        let read = try intentions(
            #"[{"SourceName":"api","DestinationName":"web",\#(intention)}]"#)
        #expect(read.intentions.map(\.effect) == [.action(.deny)])
        #expect(read.problems.count == 1)
    }

    @Test func anUnknownActionDenies() throws {
        let read = try intentions(
            #"[{"SourceName":"api","DestinationName":"web","Action":"maybe"}]"#)
        #expect(read.intentions.map(\.effect) == [.action(.deny)])
    }

    @Test func rulesForOthersAreNotOurs() throws {
        let read = try intentions(
            """
            [{"SourceName":"api","SourcePeer":"east","DestinationName":"web","Action":"allow"},
             {"SourceName":"api","SourceNS":"team","DestinationName":"web","Action":"allow"}]
            """)
        #expect(read.intentions.isEmpty)
    }

    @Test func nobodysIntentionsAreNull() throws {
        let read = try Intentions.read(
            AgentJSON(.object(["web": .null]), "match"), service: try ServiceName("web"))
        #expect(read.intentions.isEmpty)
    }
}
