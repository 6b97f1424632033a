import Foundation
import MeshHTTP
import MeshModel
import MeshStore
import MeshTelemetry

/// `/v1/agent/metrics`: the figures of Consul's that a node like this has. What the product itself
/// measures is told at the admin address.
extension AgentSelfEndpoints {
    private struct Gauge {
        let name: String
        let value: Int
        var labels: [(name: String, value: String)] = []
    }

    @concurrent func metrics(_ request: APIRequest) async throws -> APIResponse {
        try await access.authority(of: request.token)
            .require(Access(.read, .agent, backend.node.name.text))
        let gauges = await gauges()
        switch request.query["format"] ?? "" {
        case "prometheus":
            return APIResponse(
                .bytes(Array(Self.exposition(gauges).utf8), type: "text/plain; version=0.0.4"))
        default:
            return .json([
                "Timestamp": .string(Self.interval(.now())),
                "Gauges": .array(
                    gauges.map { gauge in
                        [
                            "Name": .string(gauge.name), "Value": .number(gauge.value),
                            "Labels": .object(
                                gauge.labels.map { .init($0.name, .string($0.value)) }),
                        ]
                    }), "Points": [], "Counters": [], "Samples": [],
            ])
        }
    }

    private func gauges() async -> [Gauge] {
        let state = backend.store.snapshot
        let view = CatalogView(state: state, backend: backend)
        let instances = await view.instances(.all)
        let labels = [(name: "datacenter", value: backend.node.datacenter.text)]
        return [
            Gauge(name: "consul.autopilot.failure_tolerance", value: 0),
            Gauge(name: "consul.autopilot.healthy", value: 1),
            Gauge(name: "consul.rpc.queries_blocking", value: backend.store.waiting),
            Gauge(
                name: "consul.state.nodes", value: state.allCatalogNodes.count + 1, labels: labels),
            Gauge(
                name: "consul.state.service_instances", value: instances.count, labels: labels),
            Gauge(
                name: "consul.state.services",
                value: Set(instances.map(\.definition.name.folded)).count, labels: labels),
        ]
    }

    private static func exposition(_ gauges: [Gauge]) -> String {
        gauges.map { gauge in
            let name = gauge.name.replacing(".", with: "_")
            let labels = gauge.labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
            let shown = labels.isEmpty ? name : "\(name){\(labels)}"
            return "# HELP \(name) \(name)\n# TYPE \(name) gauge\n\(shown) \(gauge.value)\n"
        }.joined()
    }

    /// The start of the interval of ten seconds, as Go prints times.
    private static func interval(_ time: WallTime) -> String {
        let seconds = time.secondsSinceEpoch / 10 * 10
        return GoTime.text(Date(timeIntervalSince1970: Double(seconds)))
            .replacing("T", with: " ").replacing("Z", with: " +0000 UTC")
    }
}
