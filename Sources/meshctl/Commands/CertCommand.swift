import ArgumentParser
import Foundation
import MeshAdminAPI

struct CertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cert", abstract: "Certificates of the mesh.",
        subcommands: [List.self, Roots.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Leaf certificates in use and when they are renewed.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let certificates: [CertificateReport] = try await connection.read("/status/certs")
                try output.show(certificates) {
                    Self.table(certificates).rendered(orElse: "no certificates")
                }
            }
        }

        static func table(_ certificates: [CertificateReport]) -> Table {
            var table = Table("service", "renew at", "not after", "serial", "uri")
            for certificate in certificates {
                table.add(
                    certificate.service, Format.date(certificate.renewAt),
                    Format.date(certificate.notAfter), certificate.serial, certificate.uri)
            }
            return table
        }
    }

    struct Roots: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Roots of the mesh CA.",
            discussion: "With --pem the active root is printed for other programs' trust stores.")

        @Flag(help: "Print the active root in PEM.")
        var pem = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                let roots: [RootReport] = try await connection.read("/status/roots")
                if pem {
                    let texts = roots.filter(\.active).map {
                        $0.pem.trimmingCharacters(in: .newlines)
                    }
                    Output.line(texts.joined(separator: "\n"))
                    return
                }
                try output.show(roots) {
                    Self.table(roots).rendered(orElse: "no roots")
                }
            }
        }

        static func table(_ roots: [RootReport]) -> Table {
            var table = Table("root", "name", "active", "not before", "not after")
            for root in roots {
                table.add(
                    root.id, root.name, root.active ? "yes" : "no", Format.date(root.notBefore),
                    Format.date(root.notAfter))
            }
            return table
        }
    }
}
