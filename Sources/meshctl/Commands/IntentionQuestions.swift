import ArgumentParser
import MeshAdminAPI

extension IntentionCommand {
    struct Match: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The intentions that calls of a service, or by it, are looked up in.",
            discussion: "In the order in which they are consulted: the first that covers a call "
                + "decides. Example: meshctl intention match web")

        @Argument(help: "Service that is called; with --source, that calls.")
        var service: String
        @Flag(help: "Those of calls that the service makes.")
        var source = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let all: [IntentionReport] = try await connection.read("/status/intentions")
                let name = service.lowercased()
                let found = all.filter {
                    let side = (source ? $0.source : $0.destination).lowercased()
                    return side == name || side == "*"
                }
                try output.show(found) {
                    List.table(found).rendered(
                        orElse: "no intentions: mesh.intentions_default decides")
                }
            }
        }
    }

    struct Why: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Everything that is looked at for a request, with what decides.",
            discussion: """
                Exit status 0: allowed; 1: denied.

                Example: meshctl intention why api web --method POST --path /orders --header x-a:1
                """)

        @Argument(help: "Service that calls.")
        var source: String
        @Argument(help: "Service that is called.")
        var destination: String
        @Option(help: "Request method.")
        var method = "GET"
        @Option(help: "Path, perhaps with a query.")
        var path = "/"
        @Option(
            help: ArgumentHelp("A header field; may be repeated.", valueName: "name:value"),
            transform: ExplainCommand.field)
        var header: [ExplainRequest.Header] = []
        @Option(help: "A bearer token that the request carries.")
        var token: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let question = IntentionQuestion(
                source: source, destination: destination, method: method, path: path,
                headers: header, token: token)
            try await connection.run { connection in
                let report: ExplainReport = try await connection.ask(
                    "/status/intentions/why", question)
                try output.show(report) { ExplainCommand.text(report) }
                if report.outcome != "allow" { throw ExitStatus.failed.code }
            }
        }
    }
}
