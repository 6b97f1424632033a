import ArgumentParser
import MeshAdminAPI
import MeshClient

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Health checks, and reports of services about themselves.",
        discussion: """
            A service with a TTL check reports at least as often as its ttl says; without a \
            report it turns critical and gets no more traffic. The workers know of a report when \
            the command returns.
            """,
        subcommands: [List.self, Pass.self, Warn.self, Fail.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All checks of the node with what they found last.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let checks: [CheckStateReport] = try await connection.read("/status/checks")
                try output.show(checks) { Self.table(checks).rendered(orElse: "no checks") }
            }
        }

        static func table(_ checks: [CheckStateReport]) -> Table {
            var table = Table("check", "kind", "instance", "service", "status", "output")
            for check in checks {
                table.add(
                    check.id, check.kind, check.instance, check.service, check.status,
                    check.proven ? firstLine(of: check.output) : "no result yet")
            }
            return table
        }

        /// What people can read in a cell.
        private static func firstLine(of output: String) -> String {
            let line = output.split(whereSeparator: \.isNewline).first ?? ""
            return line.isEmpty ? "-" : String(line.prefix(100))
        }
    }

    struct Pass: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The service is well.",
            discussion: "Example: meshctl check pass service:web --note \"warmed up\"")

        @OptionGroup var report: ReportOptions

        func run() async throws { try await report.send("pass") }
    }

    struct Warn: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The service works, but not well: it gets its warning weight.")

        @OptionGroup var report: ReportOptions

        func run() async throws { try await report.send("warn") }
    }

    struct Fail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The service does not work: it gets no more traffic.")

        @OptionGroup var report: ReportOptions

        func run() async throws { try await report.send("fail") }
    }
}

/// What a service says through one of its TTL checks.
struct ReportOptions: ParsableArguments {
    @Argument(help: "Id of a TTL check, as `check list` shows it.")
    var id: String
    @Option(help: ArgumentHelp("Why, for people.", valueName: "text"))
    var note: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func send(_ verb: String) async throws {
        let path = URLPath.make(
            "v1", "checks", id, verb, query: note.map { [("note", $0)] } ?? [])
        try await connection.run { connection in
            let check: CheckStateReport = try await connection.put(path)
            try output.show(check) { Printable.text("\(check.id) is \(check.status)") }
        }
    }
}
