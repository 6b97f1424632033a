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
            let document = try ServiceFile.read(file)
            try await connection.run { connection in
                try await connection.change(
                    "PUT", "/v1/services", body: document, done: "registered", output: output)
            }
        }
    }

    struct Deregister: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a service out of the catalog, by its id or by the file that registered it.")

        @Argument(help: "Service id, or a file as `register` takes it.", completion: .file())
        var target: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let id = try ServiceFile.identifier(target)
            try await connection.run { connection in
                try await connection.change(
                    "DELETE", URLPath.make("v1", "services", id), done: "deregistered \(id)",
                    output: output)
            }
        }
    }
}

/// Service definitions as users keep them.
enum ServiceFile {
    static func read(_ path: String) throws -> [UInt8] {
        if path == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
        guard let data = FileManager.default.contents(atPath: path) else {
            Output.error("\(path) cannot be read: give a JSON or YAML file, or - for standard input")
            throw ExitStatus.failed.code
        }
        return Array(data)
    }

    /// The id that an argument means: of a file's service, or the argument itself.
    static func identifier(_ target: String) throws -> String {
        guard FileManager.default.fileExists(atPath: target) else { return target }
        let text = String(decoding: try read(target), as: UTF8.self)
        guard let id = value(of: "id", in: text) ?? value(of: "name", in: text) else {
            Output.error("\(target) names no service: it has neither id nor name")
            throw ExitStatus.failed.code
        }
        return id
    }

    /// The first scalar with this key in JSON or YAML, in any of the spellings. Enough to name a service;
    /// the control plane reads the document itself.
    static func value(of key: String, in text: String) -> String? {
        for line in text.split(whereSeparator: { $0 == "\n" || $0 == "," || $0 == "{" || $0 == "}" }) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let trim: (Substring) -> String = {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: " \t\r\"'-"))
            }
            guard trim(line[..<colon]).lowercased() == key else { continue }
            let value = trim(line[line.index(after: colon)...].drop { $0 == " " })
            if !value.isEmpty { return line[line.index(after: colon)...]
                .trimmingCharacters(in: CharacterSet(charactersIn: " \t\r\"'")) }
        }
        return nil
    }
}
