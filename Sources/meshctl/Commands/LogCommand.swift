import ArgumentParser
import MeshAdminAPI

struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Access logs.", subcommands: [Reopen.self])

    struct Reopen: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Open the files of access logs by their names again.",
            discussion: """
                For tools that rename log files. A file that was renamed or removed is noticed \
                without being told, too, within half a second.
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let report: HealthReport = try await connection.post("/v1/log/reopen")
                try output.show(report) { "the data plane was told to open its access logs again" }
            }
        }
    }
}
