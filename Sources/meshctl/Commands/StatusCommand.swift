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
        let store = status.store
        var lines = [
            "node          \(status.node) in \(status.datacenter), version \(status.version), "
                + "since \(Format.date(status.startedAt))",
            "ready         \(status.ready ? "yes" : "no: \(status.readyReason ?? "unknown")")",
            "generation    \(generation(status))",
            "data plane    \(dataplane(status.dataplane))",
            "store         \(store.healthy ? "works" : store.error ?? "fails"), "
                + "index \(store.index)",
            "trust domain  \(status.trustDomain)",
        ]
        for problem in status.problems {
            lines.append(
                "problem       \(problem.subsystem), since \(Format.date(problem.since)): "
                    + problem.message)
        }
        return lines.map(Printable.text).joined(separator: "\n") + "\n\n"
            + workers(status.workers)
    }

    private static func generation(_ status: StatusReport) -> String {
        let number =
            status.builtGeneration == status.generation
            ? "\(status.generation)"
            : "\(status.generation) is live, \(status.builtGeneration) was built last"
        return number + (status.pin.map { ", \(GenerationsCommand.words($0))" } ?? "")
    }

    static func dataplane(_ report: DataPlaneReport) -> String {
        guard report.connected else { return "not connected" }
        let pid = report.pid.map { "process \($0)" } ?? "running"
        return "\(pid), \(report.version ?? "?"), engine \(report.engine ?? "?")"
            + (report.managed ? "" : ", not managed here")
    }

    static func workers(_ workers: [WorkerReport]) -> String {
        var table = Table(
            "worker", "process", "state", "generation", "connections", "upstream", "requests",
            "starts", numbers: [1, 3, 4, 5, 6, 7])
        for worker in workers {
            table.add(
                "\(worker.id)", "\(worker.pid)", worker.state, "\(worker.generation)",
                "\(worker.connections)", "\(worker.upstreamConnections)",
                "\(worker.requestsActive)", "\(worker.starts)")
        }
        return table.rendered(orElse: "no workers")
    }
}
