import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient

struct IntentionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "intention", abstract: "Who may call whom.",
        discussion: """
            SOURCE and DESTINATION are service names or * for all. The most specific intention \
            decides: an exact pair, then any source to an exact destination, then an exact source \
            to any destination, then * to *, then mesh.intentions_default.
            """,
        subcommands: [
            Create.self, Delete.self, List.self, Match.self, Check.self, Why.self,
        ])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Allow or deny calls from one service to another.",
            discussion: "Example: meshctl intention create --allow api web")

        @Flag(help: "Calls are allowed.")
        var allow = false
        @Flag(help: "Calls are denied; live connections are closed.")
        var deny = false
        @Flag(help: "Replace the intention if there is one for this pair.")
        var replace = false
        @Option(help: "What the intention is for.")
        var description: String?
        @Argument(help: "Service that calls, or *.")
        var source: String
        @Argument(help: "Service that is called, or *.")
        var destination: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard allow != deny else { throw ValidationError("write either --allow or --deny") }
        }

        func run() async throws {
            let request = IntentionRequest(
                source: source, destination: destination, action: allow ? "allow" : "deny",
                description: description, replace: replace)
            let body = Array(try APICoding.encoder().encode(request))
            try await connection.run { connection in
                try await connection.change(
                    "POST", "/v1/intentions", body: body,
                    done: Printable.text(
                        "\(source) => \(destination): \(allow ? "allow" : "deny")"),
                    output: output)
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an intention.")

        @Argument(help: "Service that calls, or *.")
        var source: String
        @Argument(help: "Service that is called, or *.")
        var destination: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let path = URLPath.make(
                "v1", "intentions", query: [("source", source), ("destination", destination)])
            try await connection.run { connection in
                try await connection.change(
                    "DELETE", path, done: Printable.text("deleted \(source) => \(destination)"),
                    output: output)
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All intentions, those that decide first on top.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let intentions: [IntentionReport] = try await connection.read("/status/intentions")
                try output.show(intentions) {
                    Self.table(intentions).rendered(
                        orElse: "no intentions: mesh.intentions_default decides")
                }
            }
        }

        static func table(_ intentions: [IntentionReport]) -> Table {
            var table = Table(
                "source", "destination", "action", "precedence", "origin", "description",
                numbers: [3])
            for intention in intentions {
                let action =
                    intention.action == "permissions"
                    ? "\(intention.permissions) permissions" : intention.action
                table.add(
                    intention.source, intention.destination, action, "\(intention.precedence)",
                    intention.origin, intention.description)
            }
            return table
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Whether one service may call another, and which rule says so.",
            discussion: "Exit status 0: allowed; 1: denied.")

        @Argument(help: "Service that calls.")
        var source: String
        @Argument(help: "Service that is called.")
        var destination: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let path = URLPath.make(
                "status", "intentions", "check",
                query: [("source", source), ("destination", destination)])
            try await connection.run { connection in
                let check: IntentionCheckReport = try await connection.read(path)
                try output.show(check) { Self.text(check) }
                if !check.allowed { throw ExitStatus.failed.code }
            }
        }

        static func text(_ check: IntentionCheckReport) -> String {
            let verdict =
                check.dependsOnRequest
                ? "depends on the request (a plain connection: \(check.allowed ? "allow" : "deny"))"
                : check.allowed ? "allow" : "deny"
            let origin = check.origin.map { ", \(Format.origin($0))" } ?? ""
            return Printable.text("\(check.source) => \(check.destination): \(verdict)") + "\n  "
                + Printable.text(check.reason + origin)
        }
    }
}
