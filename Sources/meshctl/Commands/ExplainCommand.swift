import ArgumentParser
import MeshAdminAPI

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Every decision that a request would meet, with the rule that makes it.",
        discussion: """
            Asks the same compiled tables that the workers use. The URL's port picks the listener \
            unless --listener names one.

            Example: meshctl explain GET http://127.0.0.1:9191/orders --from api
            """)

    @Argument(help: "Request method.")
    var method: String
    @Argument(help: "URL as the client would ask for it.")
    var url: String
    @Option(help: "A header field, `Name: value`; may be repeated.")
    var header: [String] = []
    @Option(help: "The caller: a service name or a SPIFFE id.")
    var from: String?
    @Option(help: "A bearer token that the request carries.")
    var token: String?
    @Option(help: "The listener that takes the request.")
    var listener: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let request = ExplainRequest(
            method: method, url: url, headers: try header.map(Self.field), from: from,
            token: token, listener: listener)
        try await connection.run { connection in
            let report: ExplainReport = try await connection.ask("/status/explain", request)
            try output.show(report) { Self.text(report) }
        }
    }

    static func field(_ text: String) throws -> ExplainRequest.Header {
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
            throw ValidationError("\(text): write a header as `Name: value`")
        }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        return ExplainRequest.Header(name: String(text[..<colon]), value: String(value))
    }

    static func text(_ report: ExplainReport) -> String {
        var table = Table("phase", "verdict", "detail", "rule", "written in")
        for phase in report.phases {
            table.add(
                phase.phase, phase.verdict, phase.detail, phase.rule ?? "-", phase.origin ?? "-")
        }
        return "\(table.rendered())\n\n=> \(report.outcome) (generation \(report.generation))"
    }
}
