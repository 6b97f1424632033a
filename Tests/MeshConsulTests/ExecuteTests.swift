import MeshConsul
import MeshDNS
import MeshHTTP
import MeshModel
import MeshStore
import Testing

/// What queries give, over HTTP and to resolvers.
@Suite struct ExecuteTests {
    private static func instances() throws -> [FoundInstance] {
        [
            try TestInstances.instance("db", id: "db-1", tags: ["v1"]),
            try TestInstances.instance("db", id: "db-2", node: "far", status: .warning),
            try TestInstances.instance("db", id: "db-3", status: .critical),
            try TestInstances.instance("db-sidecar-proxy"),
        ]
    }

    private func ids(_ answer: TestAnswer) throws -> Set<String> {
        guard case .array(let nodes)? = try answer.json["Nodes"] else { return [] }
        return Set(nodes.compactMap { $0["ID"]?.plain })
    }

    private func put(_ api: StateAPI, _ name: String, _ service: String) async throws {
        let made = await api.send(
            "POST", "/v1/query",
            "{\"Name\":\"\(name)\",\"Service\":\(service),\"DNS\":{\"TTL\":\"9s\"}}")
        #expect(made.status == 200, "\(made.text)")
    }

    @Test func aQueryGivesTheHealthyInstances() async throws {
        let api = try await StateAPI(instances: Self.instances())
        try await put(api, "all", "{\"Service\":\"db\"}")
        try await put(api, "best", "{\"Service\":\"db\",\"OnlyPassing\":true}")
        try await put(api, "mesh", "{\"Service\":\"db\",\"Connect\":true}")
        let all = await api.send("GET", "/v1/query/all/execute")
        #expect(try ids(all) == ["db-1", "db-2"])
        let json = try all.json
        #expect(json["Service"] == "db" && json["Failovers"] == 0)
        #expect(json["Datacenter"] == "dc1" && json["DNS"]?["TTL"] == "9s")
        #expect(all.index == 1)
        #expect(try ids(await api.send("GET", "/v1/query/best/execute")) == ["db-1"])
        #expect(try ids(await api.send("GET", "/v1/query/mesh/execute")) == ["db-sidecar-proxy"])
        let connect = await api.send("GET", "/v1/query/all/execute?connect=true&stale")
        #expect(try ids(connect) == ["db-sidecar-proxy"])
        #expect(connect.response.headers["X-Consul-Effective-Consistency"] == "stale")
    }

    @Test func nearAndLimitChoose() async throws {
        let api = try await StateAPI(instances: Self.instances())
        try await put(api, "all", "{\"Service\":\"db\"}")
        for _ in 0..<10 {
            for (near, expected) in [("_agent", "db-1"), ("far", "db-2")] {
                let target = "/v1/query/all/execute?limit=1&near=\(near)"
                #expect(try ids(await api.send("GET", target)) == [expected])
            }
        }
        let bad = await api.send("GET", "/v1/query/all/execute?limit=x")
        #expect(bad.status == 500)
        #expect(bad.text == "Bad limit: strconv.Atoi: parsing \"x\": invalid syntax")
        #expect(await api.send("GET", "/v1/query/gone/execute").status == 404)
        #expect(await api.send("GET", "/v1/query/all/execute?dc=dc2").status == 500)
        let cached = await api.send("GET", "/v1/query/all/execute?cached")
        #expect(cached.response.headers["X-Cache"] == "MISS")
    }

    @Test func instancesAreShownByRules() async throws {
        let api = try await StateAPI(isDefaultAllow: false, instances: Self.instances())
        let made = await api.send(
            "POST", "/v1/query", "{\"Name\":\"all\",\"Service\":{\"Service\":\"db\"}}",
            token: StateAPI.management)
        #expect(made.status == 200)
        #expect(try ids(await api.send("GET", "/v1/query/all/execute")) == [])
        let mine = await api.send("GET", "/v1/query/all/execute", token: StateAPI.management)
        #expect(try ids(mine) == ["db-1", "db-2"])
        let names = CatalogNames(
            store: api.store, source: TestInstances(instances: try Self.instances()),
            access: StoredAccess(
                store: api.store, datacenter: "dc1", isDefaultAllow: false, now: { StateAPI.now }),
            datacenter: "dc1", onlyPassing: false)
        #expect(await names.instances(of: "db", tag: "", isConnect: false).isEmpty)
        #expect(await names.node("lab") == nil)
        try await registerNative("db", api)
        #expect(await names.virtualAddress(of: "db") == nil)
    }

    private func registerNative(_ name: String, _ api: StateAPI) async throws {
        var definition = ServiceDefinition(name: try ServiceName(name), port: 80)
        definition.connect.native = true
        try await api.store.write { [definition] in try $0.putService(definition) }
    }

    @Test func resolversAreToldTheSame() async throws {
        let api = try await StateAPI(instances: Self.instances())
        try await put(api, "best", "{\"Service\":\"db\",\"OnlyPassing\":true}")
        func names(onlyPassing: Bool = false) throws -> CatalogNames {
            CatalogNames(
                store: api.store, source: TestInstances(instances: try Self.instances()),
                access: OpenAccess(), datacenter: "dc1", onlyPassing: onlyPassing)
        }
        #expect(try await names().instances(of: "DB", tag: "", isConnect: false).count == 2)
        #expect(try await names().instances(of: "db", tag: "V1", isConnect: false).count == 1)
        #expect(try await names().instances(of: "db", tag: "", isConnect: true).count == 1)
        #expect(
            try await names(onlyPassing: true).instances(of: "db", tag: "", isConnect: false).count
                == 1)
        let result = try #require(try await names().query("best"))
        #expect(result.instances.map(\.node) == ["lab"] && result.ttl == 9)
        #expect(try await names().query("gone") == nil)
        #expect(try await names().node("LAB")?.address == "127.0.0.1")
        try await registerNative("db", api)
        #expect(try await names().virtualAddress(of: "DB") == "240.0.0.1")
        #expect(try await names().virtualAddress(of: "no name!") == nil)
    }
}
