import Foundation
import MeshConsul
import MeshHTTP
import MeshModel
import MeshStore
import MeshTelemetry

/// An API with the groups about state, in memory.
struct StateAPI {
    static let management = "11111111-1111-4111-8111-111111111111"
    static let now = Date(timeIntervalSince1970: 1_800_000_000)

    let api: ConsulAPI
    let store: any StateStore

    /// Without access control, or with it.
    init(
        isDefaultAllow: Bool? = nil, management: String? = Self.management,
        resetIndex: UInt64? = nil, instances: [FoundInstance] = [], now: Date = Self.now
    ) async throws {
        let backend = try await TestBackend()
        store = backend.store
        let queries = Queries(store: store, datacenter: "dc1")
        let policy: any AccessPolicy
        let tokens: any EndpointGroup
        if let isDefaultAllow {
            try await StoredAccess.prepare(
                store, node: backend.node, management: management, agent: nil, now: now)
            let access = StoredAccess(
                store: store, datacenter: "dc1", isDefaultAllow: isDefaultAllow, now: { now })
            policy = access
            tokens = ACLEndpoints(
                queries: queries, access: access, resetIndex: resetIndex, now: { now })
        } else {
            policy = OpenAccess()
            tokens = NoACLEndpoints()
        }
        let groups: [any EndpointGroup] = [
            StatusEndpoints(backend: backend), AgentSelfEndpoints(backend: backend, access: policy),
            KeyValueEndpoints(queries: queries, access: policy),
            SessionEndpoints(
                queries: queries, access: policy, keeper: SessionKeeper(store: store),
                facts: CatalogInstances(backend: backend), node: "lab"),
            TransactionEndpoints(queries: queries, access: policy, backend: backend),
            PreparedQueryEndpoints(
                queries: queries, access: policy, source: TestInstances(instances: instances),
                node: "lab"),
            EventEndpoints(queries: queries, access: policy),
            CoordinateEndpoints(queries: queries, access: policy, node: backend.node), tokens,
        ]
        api = ConsulAPI(
            groups: groups, access: policy,
            logger: LogSystem(sink: LogSink { _ in }).logger("consul"))
    }

    func send(
        _ method: String, _ target: String, _ body: String = "", token: String? = nil
    ) async -> TestAnswer {
        var headers = ServerHeaders()
        if let token { headers["X-Consul-Token"] = token }
        let request = ServerRequest(
            method: method, target: target, headers: headers, body: Array(body.utf8))
        return TestAnswer(response: await api.respond(to: request))
    }
}

/// Instances that are given.
struct TestInstances: InstanceSource {
    let instances: [FoundInstance]

    static func instance(
        _ name: String, id: String? = nil, node: String = "lab", tags: [String] = [],
        status: CheckStatus = .passing
    ) throws -> FoundInstance {
        var definition = ServiceDefinition(
            name: try ServiceName(name), id: try ServiceID(id ?? name), port: 80)
        definition.tags = tags
        let place = NodeInfo(
            name: try NodeName(node), datacenter: try DatacenterName("dc1"), address: "127.0.0.1")
        return FoundInstance(
            node: place, definition: definition, checks: [("check", status)],
            json: ["ID": .string(id ?? name)])
    }

    func instances(of service: String, isConnect: Bool) async -> [FoundInstance] {
        let name = isConnect ? "\(service)-sidecar-proxy" : service
        return instances.filter { $0.definition.name.folded == name.lowercased() }
    }

    func node(_ name: String) async -> NodeInfo? {
        instances.map(\.node).first { $0.name.text.lowercased() == name.lowercased() }
    }
}
