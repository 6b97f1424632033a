import ArgumentParser
import MeshAdminAPI

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "The node, its workers and what is wrong.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await connection.run { connection in
            let status: StatusReport = try await connection.read("/status")
            try output.show(status) { Self.text(status) }
        }
    }

    static func text(_ status: StatusReport) -> String {
        var lines = [
            "node         \(status.node) (\(status.datacenter)), control plane \(status.version)",
            "ready        \(status.ready ? "yes" : "no: \(status.readyReason ?? "unknown")")",
            "generation   \(status.generation) live, \(status.builtGeneration) built",
            "data plane   \(dataplane(status.dataplane))",
            "store        \(status.store.healthy ? "well" : status.store.error ?? "failing")"
                + ", index \(status.store.index)",
            "trust domain \(status.trustDomain)",
        ]
        for problem in status.problems {
            lines.append("problem      \(problem.subsystem): \(problem.message)")
        }
        lines.append("")
        lines.append(workers(status.workers))
        return lines.joined(separator: "\n")
    }

    private static func dataplane(_ report: DataPlaneReport) -> String {
        guard report.connected else { return "not connected" }
        let pid = report.pid.map { "process \($0)" } ?? "running"
        return "\(pid), \(report.version ?? "?"), engine \(report.engine ?? "?")"
            + (report.managed ? "" : ", not managed here")
    }

    private static func workers(_ workers: [WorkerReport]) -> String {
        var table = Table(
            "worker", "process", "state", "generation", "connections", "upstream", "requests",
            "starts", numbers: [1, 3, 4, 5, 6, 7])
        for worker in workers {
            table.add(
                "\(worker.id)", "\(worker.pid)", worker.state, "\(worker.generation)",
                "\(worker.connections)", "\(worker.upstreamConnections)",
                "\(worker.requestsActive)", "\(worker.starts)")
        }
        return table.rendered()
    }
}
