import Foundation
import MeshClient
import MeshConfig
import MeshConsul
import MeshHTTP
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry
import Synchronization
import Testing

/// A node without a control plane.
struct TestBackend: ConsulBackend {
    private let statuses = Statuses()
    private let told = Told()
    let store: any StateStore
    let node: NodeInfo
    private let signer: MeshAuthority
    private let defaultAction: IntentionAction

    init(
        defaultAction: IntentionAction = .allow, trustDomain: TrustDomain? = nil
    ) async throws {
        var generator = SystemRandomNumberGenerator()
        self.defaultAction = defaultAction
        signer = try MeshAuthority.make(
            trustDomain: try trustDomain
                ?? TrustDomain("11111111-2222-3333-4444-555555555555.consul"), now: Date(),
            using: &generator)
        store = try await SQLiteStore.inMemory()
        let signer = signer
        try await store.write { try $0.putAuthority(signer) }
        node = NodeInfo(
            name: try NodeName("lab"), datacenter: try DatacenterName("dc1"), address: "127.0.0.1",
            meta: ["site": "lyon"])
    }

    func localInstances(_ selection: CatalogSelection) async -> [LocalInstance] {
        store.snapshot.services.filter { selection.covers($0.definition) }.map { record in
            let checks = record.definition.checks.map {
                CatalogCheck(
                    id: $0.id ?? "", name: $0.name ?? "",
                    status: reported[$0.id ?? ""]
                        ?? $0.initialStatus)
            }
            return LocalInstance(
                record.definition, createIndex: record.createIndex,
                modifyIndex: record.modifyIndex, checks: checks)
        }
    }

    private var reported: [String: CheckStatus] { statuses.withLock { $0 } }

    func nodeChecks() async -> [CatalogCheck] { [] }

    func settle(_ cause: String) async {}

    func report(check id: String, _ status: CheckStatus, _ output: String) async throws {
        let known = store.snapshot.services.first { record in
            record.definition.checks.contains { $0.id == id }
        }
        guard let known else { throw MeshError(.notFound, "there is no check \(id)") }
        statuses.withLock { $0[id] = status }
        try await store.write { $0.note(.health, key: known.definition.name.folded) }
    }

    func connectRoots() async throws -> ConnectRoots {
        let indexes = store.snapshot.rootIndexes
        return ConnectRoots(
            signer, indexes: indexes, index: indexes.values.map(\.modify).max() ?? Index(1))
    }

    func connectLeaf(of service: ServiceName) async throws -> ConnectLeaf {
        let id = SpiffeID(
            trustDomain: signer.trustDomain, datacenter: node.datacenter, service: service)
        var generator = SystemRandomNumberGenerator()
        let stored = try store.snapshot.leaf(id)
        let leaf = try stored ?? signer.issue(id, now: Date(), lifetime: 3600, using: &generator)
        if stored == nil { try await store.write { try $0.putLeaf(leaf) } }
        guard let indexes = store.snapshot.leafIndexes(id) else {
            throw MeshError(.notFound, "no certificate of \(service)")
        }
        return ConnectLeaf(leaf, createIndex: indexes.create, modifyIndex: indexes.modify)
    }

    func hasLeaf(of service: ServiceName) async throws -> Bool {
        let id = SpiffeID(
            trustDomain: signer.trustDomain, datacenter: node.datacenter, service: service)
        return try store.snapshot.leaf(id) != nil
    }

    var leafTTL: MeshDuration { .hours(72) }

    func authoritySettings() async -> AuthoritySettings { told.value }

    func configureAuthority(_ settings: AuthoritySettings, key: AuthorityKey?) async throws {
        if let key {
            _ = try AuthorityFiles.root(
                certificatePEM: key.rootPEM, keyPEM: key.privateKeyPEM,
                trustDomain: signer.trustDomain)
        }
        told.set(settings)
    }

    func intentionsDefault() async -> IntentionAction { defaultAction }

    func configEntry(_ document: [UInt8]) throws -> ConfigEntry {
        let read = DocumentLoader.configEntries(document, source: "body")
        let errors = read.problems.filter { $0.severity == .error }
        guard errors.isEmpty, let entry = read.values.first else {
            throw EntryFailure(
                unknownKeys: errors.filter { $0.message.hasPrefix("unknown key") }.map(\.key),
                message: errors.first?.message ?? "no entry")
        }
        return entry.value
    }

    func putNodeCheck(_ check: CheckDefinition) async throws {}

    func removeNodeCheck(_ id: String) async throws -> Bool { false }
}

private final class Told: Sendable {
    private let settings = Mutex(AuthoritySettings())

    var value: AuthoritySettings { settings.withLock { $0 } }

    func set(_ new: AuthoritySettings) { settings.withLock { $0 = new } }
}

private final class Statuses: Sendable {
    private let values = Mutex<[String: CheckStatus]>([:])

    func withLock<Value>(_ body: (inout [String: CheckStatus]) -> Value) -> Value {
        values.withLock { body(&$0) }
    }
}

/// An API that answers in memory, with every group.
struct TestAPI {
    let backend: TestBackend
    let api: ConsulAPI

    init(
        access: any AccessPolicy = OpenAccess(), defaultAction: IntentionAction = .allow,
        trustDomain: TrustDomain? = nil,
        groups: (TestBackend) -> [any EndpointGroup] = { _ in [] }
    ) async throws {
        backend = try await TestBackend(
            defaultAction: defaultAction, trustDomain: trustDomain)
        let queries = Queries(store: backend.store, datacenter: "dc1")
        let logger = LogSystem(sink: LogSink { _ in }).logger("consul")
        api = ConsulAPI(
            groups: [
                StatusEndpoints(backend: backend),
                AgentSelfEndpoints(backend: backend, access: access),
                AgentServiceEndpoints(backend: backend, access: access, queries: queries),
                AgentCheckEndpoints(backend: backend, access: access),
                CatalogEndpoints(backend: backend, access: access, queries: queries),
                CatalogWriteEndpoints(backend: backend, access: access),
                HealthEndpoints(backend: backend, access: access, queries: queries),
                ConfigEndpoints(backend: backend, access: access, queries: queries),
                ChainEndpoints(backend: backend, access: access, queries: queries),
                AuthorityEndpoints(backend: backend, access: access, queries: queries),
                IntentionEndpoints(
                    backend: backend, access: access, queries: queries,
                    now: { 1_800_000_000_123_456_700 }),
            ] + groups(backend), access: access, logger: logger)
    }

    func send(
        _ method: String, _ target: String, headers: ServerHeaders = [:], body: String = ""
    ) async -> TestAnswer {
        let request = ServerRequest(
            method: method, target: target, headers: headers, body: Array(body.utf8))
        return TestAnswer(response: await api.respond(to: request))
    }
}

struct TestAnswer: Sendable {
    let response: ServerResponse

    var status: Int { response.status }
    var text: String { String(decoding: response.body, as: UTF8.self) }
    var index: UInt64? { response.headers["X-Consul-Index"].flatMap(UInt64.init) }

    var json: JSON {
        get throws { try JSONParser.parse(response.body) }
    }
}

/// Numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
