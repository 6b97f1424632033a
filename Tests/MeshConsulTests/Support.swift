import Foundation
import MeshClient
import MeshConsul
import MeshHTTP
import MeshModel
import MeshStore
import MeshTelemetry
import Testing

/// A node without a control plane.
struct TestBackend: ConsulBackend {
    let store: any StateStore
    let node: NodeInfo

    init() async throws {
        store = try await SQLiteStore.inMemory()
        node = NodeInfo(
            name: try NodeName("lab"), datacenter: try DatacenterName("dc1"), address: "127.0.0.1",
            meta: ["site": "lyon"])
    }
}

/// An API that answers in memory.
struct TestAPI {
    let backend: TestBackend
    let api: ConsulAPI

    init(
        access: any AccessPolicy = OpenAccess(),
        groups: (TestBackend) -> [any EndpointGroup] = { _ in [] }
    ) async throws {
        backend = try await TestBackend()
        let logger = LogSystem(sink: LogSink { _ in }).logger("consul")
        api = ConsulAPI(
            groups: [
                StatusEndpoints(backend: backend),
                AgentSelfEndpoints(backend: backend, access: access),
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
