import ArgumentParser
import Foundation
import MeshAdminAPI

struct GenerationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generations", abstract: "What was published, and going back to it.",
        discussion: """
            Every change becomes a generation that all workers run, or none. The control plane \
            keeps the newest 50 (at most 64 MiB of snapshots) since it was started.

            `rollback N` publishes what generation N held as a new one and pins it: changes are \
            stored, certificates are renewed, but nothing else goes live until `resume`. That \
            lasts over a restart of the control plane.
            """,
        subcommands: [List.self, Show.self, Diff.self, Rollback.self, Resume.self],
        defaultSubcommand: List.self)

    static func words(_ pin: PinReport) -> String {
        let waiting = pin.waiting.count
        let changes = waiting == 1 ? "1 change waits" : "\(waiting) changes wait"
        return "pinned to \(pin.generation), \(waiting == 0 ? "nothing waits" : changes)"
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The generations that are kept, the newest last.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let report: GenerationsReport = try await connection.read("/status/generations")
                try output.show(report) { Self.text(report) }
            }
        }

        static func text(_ report: GenerationsReport) -> String {
            var table = Table(
                "generation", "at", "outcome", "bytes", "cause", numbers: [0, 3])
            for entry in report.generations {
                let mark = entry.generation == report.live ? "*" : ""
                table.add(
                    "\(mark)\(entry.generation)", Format.date(entry.at), outcome(entry),
                    Format.bytes(UInt64(entry.bytes)), cause(entry))
            }
            let rest = report.pin.map { "\n\n\(words($0))" } ?? ""
            return table.rendered(orElse: "nothing was published since the control plane started")
                + rest
        }

        static func outcome(_ entry: GenerationReport) -> String {
            entry.laggards.isEmpty
                ? entry.outcome
                : "late: " + entry.laggards.map(String.init).joined(separator: ",")
        }

        private static func cause(_ entry: GenerationReport) -> String {
            let first = entry.causes.first ?? "-"
            let more = entry.causes.count > 1 ? ", and \(entry.causes.count - 1) more" : ""
            return first + more
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One generation: causes, outcome per worker, objects.")

        @Argument(help: "Its number.") var generation: UInt64
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let report: GenerationsReport = try await connection.read("/status/generations")
                guard let entry = report.generations.last(where: { $0.generation == generation })
                else {
                    Output.error("generation \(generation) is not kept")
                    throw ExitStatus.failed.code
                }
                try output.show(entry) { Self.text(entry, isLive: report.live == generation) }
            }
        }

        static func text(_ entry: GenerationReport, isLive: Bool) -> String {
            var lines = [
                "generation  \(entry.generation)" + (isLive ? ", live" : ""),
                "at          \(Format.date(entry.at))",
                "outcome     \(List.outcome(entry))",
            ]
            lines += entry.refusals.map { "refused     \($0)" }
            lines += entry.copyOf.map { ["repeats     generation \($0)"] } ?? []
            lines += entry.causes.map { "cause       \($0)" }
            lines.append(
                "objects     "
                    + entry.objects.sorted { $0.key < $1.key }
                    .map { "\($0.key) \($0.value)" }.joined(separator: ", "))
            lines.append("size        \(Format.bytes(UInt64(entry.bytes)))")
            return lines.map(Printable.text).joined(separator: "\n")
        }
    }

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What is different between two generations.",
            discussion: """
                Without numbers: between the live generation and the one before it. With one: \
                between that one and the live one.
                """)

        @Argument(help: "The older one.") var from: UInt64?
        @Argument(help: "The newer one.") var to: UInt64?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let query = [from.map { "from=\($0)" }, to.map { "to=\($0)" }]
                .compactMap { $0 }.joined(separator: "&")
            let path = "/status/generations/diff" + (query.isEmpty ? "" : "?" + query)
            try await connection.run { connection in
                let report: GenerationDiffReport = try await connection.read(path)
                try output.show(report) { Self.text(report) }
            }
        }

        static func text(_ report: GenerationDiffReport) -> String {
            let signs = ["added": "+", "removed": "-", "changed": "~"]
            var lines = ["from generation \(report.from) to \(report.to)"]
            for line in report.lines {
                lines.append("\(signs[line.change] ?? "?") \(line.kind) \(line.name)")
                if let before = line.before, line.change != "added" {
                    lines.append("    was \(before)")
                }
                if let after = line.after, line.change != "removed" {
                    lines.append("    is  \(after)")
                }
            }
            if report.lines.isEmpty { lines.append("nothing is different") }
            return lines.map(Printable.text).joined(separator: "\n")
        }
    }

    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go back to what a generation held, and pin it.")

        @Argument(help: "The generation to go back to.") var generation: UInt64
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                try await connection.change(
                    "POST", "/v1/generations/rollback",
                    body: Array(
                        try APICoding.encoder().encode(RollbackRequest(generation: generation))),
                    done: "went back to generation \(generation), which is pinned now",
                    output: output)
            }
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End the pin: what has changed meanwhile goes live.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                try await connection.change(
                    "POST", "/v1/generations/resume", done: "resumed", output: output)
            }
        }
    }
}
