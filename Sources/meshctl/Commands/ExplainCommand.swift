import ArgumentParser
import Foundation
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
    @Option(
        help: ArgumentHelp("A header field; may be repeated.", valueName: "name:value"),
        transform: Self.field)
    var header: [ExplainRequest.Header] = []
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
            method: method, url: url, headers: header, from: from,
            token: token, listener: listener)
        try await connection.run { connection in
            let report: ExplainReport = try await connection.ask("/status/explain", request)
            try output.show(report) { Self.text(report) }
        }
    }

    static func field(_ text: String) throws -> ExplainRequest.Header {
        guard let colon = text.firstIndex(of: ":") else {
            throw ValidationError("write a header as `Name: value`")
        }
        let name = text[..<colon]
        guard !name.isEmpty, !name.contains(where: \.isWhitespace) else {
            throw ValidationError("a header's name has no blanks and is not empty")
        }
        let value = text[text.index(after: colon)...]
            .trimmingCharacters(in: CharacterSet(charactersIn: " \t"))
        return ExplainRequest.Header(name: String(name), value: value)
    }

    static func text(_ report: ExplainReport) -> String {
        var table = Table("phase", "verdict", "detail", "by")
        for phase in report.phases {
            table.add(phase.phase, phase.verdict, phase.detail, Self.author(phase))
        }
        let end = Printable.text(report.outcome)
        return "\(table.rendered(orElse: "no decisions"))\n\n=> \(end)"
            + " (generation \(report.generation))"
    }

    /// The rule that decided and where it was written, as far as there is one.
    private static func author(_ phase: ExplainReport.Phase) -> String {
        let origin = phase.origin.map(Format.origin)
        return switch (phase.rule, origin) {
        case (let rule?, let origin?): "\(rule), \(origin)"
        case (let rule?, nil): rule
        case (nil, let origin?): origin
        case (nil, nil): ""
        }
    }
}
