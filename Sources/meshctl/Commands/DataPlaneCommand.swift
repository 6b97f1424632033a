import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel

struct DataPlaneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dataplane", abstract: "The program that moves the traffic.",
        subcommands: [Status.self, Upgrade.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The data plane's processes, and those of before that still drain.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let status: StatusReport = try await connection.read("/status")
                try output.show(status.dataplane) { Self.text(status) }
            }
        }

        static func text(_ status: StatusReport) -> String {
            let report = status.dataplane
            let lines = [
                "data plane  \(StatusCommand.dataplane(report))",
                "since       \(report.since.map(Format.date) ?? "-")",
                "program     \(report.path ?? "-")" + (report.managed ? "" : ", started by others"),
            ]
            return lines.map(Printable.text).joined(separator: "\n") + "\n\n"
                + StatusCommand.workers(status.workers) + "\n\n" + draining(report.draining ?? [])
        }

        private static func draining(_ elders: [DataPlaneReport.Draining]) -> String {
            var table = Table(
                "draining", "version", "generation", "connections", "left", numbers: [2, 3, 4])
            for elder in elders {
                table.add(
                    "\(elder.pid)", elder.version ?? "-", "\(elder.generation)",
                    "\(elder.connections)", "\((elder.leftMs + 999) / 1000) s")
            }
            return table.rendered(orElse: "nothing drains")
        }
    }

    struct Upgrade: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let another program take over, without a failed request.",
            discussion: """
                The new program is started beside the one that runs, gets its listening sockets, \
                snapshot and secrets, and takes over when all its workers serve. What clients have \
                with the old one goes on for at most dataplane.drain_timeout. Whatever fails on \
                the way leaves the old one as it was.

                Without PATH the program of dataplane.path is taken: the usual case after a \
                package was updated.

                Exit status: 0 the new program serves; 1 it does not, the old one goes on, the \
                reason is on standard error; 75 not begun, because another upgrade is under way or \
                two data planes of before still drain (see --wait).
                """)

        @Argument(
            help: "The new data plane program.", completion: .file())
        var path: String?

        @Option(
            help: ArgumentHelp(
                "Try again so long while it cannot begin.", valueName: "seconds"))
        var wait: Int = 0

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (0...86400).contains(wait) else {
                throw ValidationError("--wait takes 0 to 86400 seconds")
            }
        }

        func run() async throws {
            let asked = UpgradeRequest(path: path.map(Self.absolute))
            try await connection.run { connection in
                let end = ContinuousClock.now + .seconds(wait)
                var report = try await connection.upgrade(asked)
                while report.outcome == .busy, ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(200))
                    report = try await connection.upgrade(asked)
                }
                try show(report)
            }
        }

        private func show(_ report: UpgradeReport) throws {
            if output.json {
                try output.show(report) { "" }
            } else {
                let (results, complaints) = Self.text(report)
                for line in results { Output.line(Printable.text(line)) }
                for line in complaints { Output.error(line) }
            }
            switch report.outcome {
            case .done: return
            case .failed: throw ExitStatus.failed.code
            case .busy: throw ExitStatus.later.code
            }
        }

        static func text(_ report: UpgradeReport) -> (results: [String], complaints: [String]) {
            let pid = report.pid.map { "process \($0)" } ?? "the one before"
            let reason = report.reason ?? "no reason was given"
            switch report.outcome {
            case .done:
                return (
                    ["\(report.version ?? report.path) serves, \(pid); the one before drains"]
                        + report.notes, []
                )
            case .failed:
                return ([], ["\(report.path) did not take over, \(pid) goes on: \(reason)"])
            case .busy:
                return ([], ["not begun, \(pid) goes on: \(reason)"])
            }
        }

        /// The control plane has another working directory.
        static func absolute(_ path: String) -> String {
            path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        }
    }
}

extension Connection {
    /// A report comes with the status of a conflict when it is not done.
    func upgrade(_ request: UpgradeRequest) async throws -> UpgradeReport {
        let json = try APICoding.encoder().encode(request)
        let response = try await client.answer(
            "POST", "/v1/dataplane/upgrade", json: Array(json), timeout: .seconds(45))
        guard
            let report = try? APICoding.decoder().decode(
                UpgradeReport.self, from: Data(response.body))
        else { throw ErrorAnswer(response) }
        return report
    }
}
