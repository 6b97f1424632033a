import ArgumentParser
import Foundation
import MeshClient
import MeshModel

struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Register and deregister services.",
        subcommands: [Register.self, Deregister.self])

    struct Register: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register the service of a file, or change it.",
            discussion: """
                The file holds one service in Consul's shape, as JSON or YAML:
                  service:
                    name: web
                    port: 8080
                    checks: [ { http: "http://127.0.0.1:8080/health", interval: 5s } ]
                    connect: { sidecar_service: {} }
                """)

        @Argument(help: "JSON or YAML file, or - for standard input.", completion: .file())
        var file: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await connection.run { connection in
                try await connection.change(
                    "PUT", "/v1/services", body: try ServiceFile.read(file),
                    done: "registered \(ServiceFile.name(file))", output: output)
            }
        }
    }

    struct Deregister: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Take a service out of the catalog, by its id or by the file that registered it.")

        @Argument(help: "Service id, or a file as `register` takes it.", completion: .file())
        var target: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let document = ServiceFile.isFile(target)
            let path = document ? "/v1/services" : URLPath.make("v1", "services", target)
            try await connection.run { connection in
                try await connection.change(
                    "DELETE", path, body: document ? try ServiceFile.read(target) : nil,
                    done: "deregistered \(ServiceFile.name(target))", output: output)
            }
        }
    }
}

/// Service definitions as users keep them.
enum ServiceFile {
    /// Whether the argument means a file rather than a service id.
    static func isFile(_ target: String) -> Bool {
        target == "-" || FileManager.default.fileExists(atPath: target)
            || [".json", ".yaml", ".yml"].contains { target.hasSuffix($0) }
    }

    /// How messages name it.
    static func name(_ target: String) -> String {
        target == "-" ? "the service of standard input" : Printable.text(target)
    }

    static func read(_ path: String) throws -> [UInt8] {
        if path == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
        do {
            return try InputFile.bytes(path)
        } catch let error as MeshError {
            throw MeshError(
                error.code, "\(error.message): give a JSON or YAML file, or - for standard input")
        }
    }
}
