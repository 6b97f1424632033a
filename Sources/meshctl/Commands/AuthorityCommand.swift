import ArgumentParser
import Foundation
import MeshAdminAPI

struct AuthorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca", abstract: "The mesh's certificate authority.",
        subcommands: [Status.self, Rotate.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Roots that sign or are believed, and the leaves that each has signed.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let report: AuthorityReport = try await connection.read("/status/ca")
                try output.show(report) { Self.text(report) }
            }
        }

        static func text(_ report: AuthorityReport) -> String {
            var table = Table("root", "state", "not after", "cross-signed", "leaves")
            for root in report.roots {
                let state = root.rotatedOutAt.map { "believed, left \(Format.date($0))" }
                table.add(
                    root.id, state ?? "signs", Format.date(root.notAfter),
                    "\(root.crossSigned)", "\(root.leaves)")
            }
            let head = [
                "trust domain  \(report.trustDomain)", "provider      \(report.provider)",
                "leaf ttl      \(report.leafTtlSeconds / 3600)h", "",
            ]
            return head.joined(separator: "\n") + "\n" + table.rendered(orElse: "no roots")
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let another root sign.",
            discussion: """
                Every worker believes the new root when this returns; the old one is believed for \
                two more lifetimes of a leaf. Leaves are renewed within half a minute, and carry \
                the new root as signed by the old one for peers that have not heard of it. With \
                mesh.ca_cert the files must hold the next root already.
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                try await connection.change(
                    "POST", "/v1/ca/rotate", done: "another root signs", output: output)
            }
        }
    }
}
