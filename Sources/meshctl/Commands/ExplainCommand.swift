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
    @Option(
        help: ArgumentHelp("The caller: a service name or a SPIFFE id.", valueName: "identity"))
    var from: String?
    @Option(help: "A bearer token that the request carries.")
    var token: String?
    @Option(help: ArgumentHelp("The listener that takes the request.", valueName: "name"))
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

    /// One line a phase, and below it the rule that decided.
    static func text(_ report: ExplainReport) -> String {
        let width = report.phases.map(\.phase.count).max() ?? 0
        let verdictWidth = report.phases.map(\.verdict.count).max() ?? 0
        var lines: [String] = []
        for phase in report.phases {
            let name = phase.phase.padding(toLength: width, withPad: " ", startingAt: 0)
            let verdict = phase.verdict.padding(
                toLength: verdictWidth, withPad: " ", startingAt: 0)
            lines.append("\(name)  \(verdict)  \(phase.detail)")
            if let rule = Self.rule(of: phase) {
                lines.append(String(repeating: " ", count: width + verdictWidth + 4) + rule)
            }
        }
        lines += ["", "=> \(report.outcome) (generation \(report.generation))"]
        return lines.map(Printable.text).joined(separator: "\n")
    }

    /// `by RULE, written in FILE`, as far as there is one.
    private static func rule(of phase: ExplainReport.Phase) -> String? {
        let parts = [phase.rule.map { "by \($0)" }, phase.origin.map(Format.origin)]
        let known = parts.compactMap(\.self)
        return known.isEmpty ? nil : known.joined(separator: ", ")
    }
}
