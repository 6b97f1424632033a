import Foundation
import MeshModel
import MeshSidecar
import Synchronization

/// An agent that says what a test puts into it, blocks as Consul does, and writes down what it is
/// asked.
final class FakeAgent: AgentTransport {
    let subject = "http://fake:8500"

    private struct State {
        var answers: [String: (value: DataValue, index: UInt64, status: Int)] = [:]
        var asked: [String] = []
        var isAway = false
        var policy: String?
    }

    private let state = Mutex(State())

    /// What is told at a path, without its query, from now on.
    func tell(_ path: String, _ value: DataValue, index: UInt64 = 1, status: Int = 200) {
        state.withLock { $0.answers[path] = (value, index, status) }
    }

    func forget(_ path: String) { state.withLock { $0.answers[path] = nil } }
    func goAway() { state.withLock { $0.isAway = true } }
    func comeBack() { state.withLock { $0.isAway = false } }
    func setPolicy(_ policy: String?) { state.withLock { $0.policy = policy } }

    /// `METHOD path?query`, in the order in which they came.
    var asked: [String] { state.withLock { $0.asked } }

    func exchange(_ request: AgentRequest) async throws -> AgentAnswer {
        let query = request.query.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
        state.withLock {
            $0.asked.append(
                "\(request.method) \(request.path)" + (query.isEmpty ? "" : "?\(query)"))
        }
        let after = request.query.first { $0.0 == "index" }.flatMap { UInt64($0.1) }
        let hash = request.query.first { $0.0 == "hash" }?.1
        while true {
            let (answer, isAway, policy) = state.withLock {
                ($0.answers[request.path], $0.isAway, $0.policy)
            }
            if isAway { throw MeshError(.unavailable, "connection refused") }
            guard let answer else { return AgentAnswer(status: 404, body: Array("no".utf8)) }
            let isHeld =
                request.wait != nil
                && (after.map { $0 == answer.index } ?? (hash == "\(answer.index)"))
            if !isHeld {
                var headers = ["X-Consul-ContentHash": "\(answer.index)"]
                if !request.path.hasPrefix("/v1/agent/service/") {
                    headers = ["X-Consul-Index": "\(answer.index)"]
                }
                if let policy { headers["X-Consul-Default-ACL-Policy"] = policy }
                return AgentAnswer(
                    status: answer.status, headers: headers,
                    body: try AgentJSON(answer.value, "").bytes())
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}

/// What a Consul has that knows `web` with a sidecar, which calls `db`.
struct FakeMesh {
    let agent = FakeAgent()
    var authority: Authority

    init() throws {
        authority = try Authority()
        agent.tell("/v1/status/leader", .string("10.0.0.1:8300"))
        agent.tell("/v1/agent/service/web-sidecar-proxy", try Self.proxy(["db": 9191]))
        agent.tell("/v1/agent/connect/ca/roots", authority.rootsDocument)
        agent.tell("/v1/agent/connect/ca/leaf/web", try authority.leafDocument("web"))
        agent.tell("/v1/connect/intentions/match", .object(["web": .array([])]))
        agent.tell(
            "/v1/agent/connect/authorize", .object(["Authorized": .bool(true)]))
        for name in ["web", "db"] { try tellChain(name) }
        tellInstances("db", ports: [21000])
    }

    static func proxy(_ upstreams: [String: Int64]) throws -> DataValue {
        .object([
            "Kind": .string("connect-proxy"), "ID": .string("web-sidecar-proxy"),
            "Service": .string("web-sidecar-proxy"), "Port": .int(20000),
            "Address": .string("127.0.0.1"),
            "Proxy": .object([
                "DestinationServiceName": .string("web"), "DestinationServiceID": .string("web"),
                "LocalServicePort": .int(8080),
                "Upstreams": .array(
                    upstreams.sorted { $0.key < $1.key }.map { name, port in
                        .object([
                            "DestinationName": .string(name), "LocalBindPort": .int(port),
                        ])
                    }),
            ]),
        ])
    }

    func tellChain(_ name: String, protocol text: String = "tcp", index: UInt64 = 1) throws {
        let id = "\(name).default.dc1"
        agent.tell(
            "/v1/discovery-chain/\(name)",
            .object([
                "Chain": .object([
                    "ServiceName": .string(name), "Datacenter": .string("dc1"),
                    "Protocol": .string(text), "StartNode": .string("resolver:\(id)"),
                    "Nodes": .object([
                        "resolver:\(id)": .object([
                            "Type": .string("resolver"),
                            "Resolver": .object([
                                "Default": .bool(true), "ConnectTimeout": .string("5s"),
                                "Target": .string(id),
                            ]),
                        ])
                    ]),
                    "Targets": .object([
                        id: .object([
                            "ID": .string(id), "Service": .string(name),
                            "Namespace": .string("default"), "Datacenter": .string("dc1"),
                        ])
                    ]),
                ])
            ]), index: index)
    }

    func tellInstances(_ name: String, ports: [Int64], index: UInt64 = 1) {
        agent.tell(
            "/v1/health/connect/\(name)",
            .array(
                ports.map { port in
                    .object([
                        "Node": .object([
                            "Node": .string("n\(port)"), "Address": .string("10.0.0.2"),
                        ]),
                        "Service": .object([
                            "ID": .string("\(name)-proxy"), "Port": .int(port),
                        ]), "Checks": .array([.object(["Status": .string("passing")])]),
                    ])
                }), index: index)
    }
}
