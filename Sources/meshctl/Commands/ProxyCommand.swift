import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient

struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy", abstract: "Proxies of services, and what managed ones write.",
        discussion: """
            A sidecar is a listener of the data plane, and so is a managed proxy without a \
            command; one with a command is a process that the node starts again when it ends; \
            an external one is run by somebody else.

            Example: meshctl proxy logs web-proxy --follow
            """,
        subcommands: [List.self, Logs.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All proxies of the node, with their processes.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let proxies: [ProxyReport] = try await connection.read("/status/proxies")
                try output.show(proxies) { Self.table(proxies).rendered(orElse: "no proxies") }
            }
        }

        static func table(_ proxies: [ProxyReport]) -> Table {
            var table = Table(
                "proxy", "service", "kind", "address", "state", "process", "starts", "upstreams",
                numbers: [6])
            for proxy in proxies {
                table.add(
                    proxy.id, proxy.service, proxy.kind, proxy.address, state(proxy),
                    proxy.process?.pid.map { "\($0)" } ?? "-",
                    proxy.process.map { "\($0.starts)" } ?? "-", Format.list(proxy.upstreams))
            }
            return table
        }

        private static func state(_ proxy: ProxyReport) -> String {
            guard let process = proxy.process else { return proxy.state }
            if process.pid != nil { return process.adopted ? "running, adopted" : proxy.state }
            return process.end.map { "\(proxy.state): \($0.prefix(80))" } ?? proxy.state
        }
    }

    struct Logs: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a managed proxy with a command has written.",
            discussion: "The end of it; all that comes with --follow.")

        @Argument(
            help: "Id of the proxy, as `proxy list` shows it.",
            completion: .shellCommand(
                "meshctl proxy list --json 2>/dev/null | grep '\"id\"' | cut -d'\"' -f4"))
        var id: String
        @Flag(help: "Its standard output, not its standard error.")
        var stdout = false
        @Flag(name: .shortAndLong, help: "Go on with what it writes, until interrupted.")
        var follow = false
        @Option(help: ArgumentHelp("How much of the end.", valueName: "KiB"))
        var last = 64

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (1...512).contains(last) else {
                throw ValidationError("--last takes 1 to 512")
            }
            guard !(follow && output.json) else {
                throw ValidationError("--json shows one piece: leave --follow out")
            }
        }

        func run() async throws {
            try await connection.run { connection in
                var report: ProxyLogReport = try await connection.read(path(from: nil))
                try output.show(report) { Self.printable(report.text) }
                while follow {
                    try await Task.sleep(for: .milliseconds(250))
                    report = try await connection.read(path(from: report.next))
                    if !report.text.isEmpty { Output.line(Self.printable(report.text)) }
                }
            }
        }

        private func path(from: UInt64?) -> String {
            URLPath.make(
                "status", "proxies", id, "log",
                query: [("stream", stdout ? "stdout" : "stderr"), ("bytes", "\(last * 1024)")]
                    + (from.map { [("from", "\($0)")] } ?? []))
        }

        /// Lines as they are but for what a terminal would obey; without the last end of line.
        static func printable(_ text: String) -> String {
            text.split(separator: "\n", omittingEmptySubsequences: false)
                .map { Printable.text(String($0)) }.joined(separator: "\n")
                .trimmingSuffix("\n")
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
