import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel

/// Where the control plane is and who asks.
struct ConnectionOptions: ParsableArguments {
    static let defaultAddress = "unix:///run/ringmesh/admin.sock"

    @Option(
        help: ArgumentHelp(
            "Admin address of the control plane: unix:///PATH, http://HOST:PORT or https://….",
            discussion: "Default: $RINGMESH_ADDR, else \(Self.defaultAddress).",
            valueName: "url"))
    var addr: String?

    @Option(
        help: ArgumentHelp(
            "File with the token for changes over TCP.",
            discussion: "Default: $RINGMESH_TOKEN holds the token itself.", valueName: "file"),
        completion: .file())
    var tokenFile: String?

    /// Runs `body` with a connection; errors are printed and become exit codes.
    func run(_ body: (Connection) async throws -> Void) async throws {
        do {
            try await OutboundHTTP.withClient { http in
                try await body(try self.connection(over: http))
            }
        } catch let error as MeshError {
            Output.error(error.description)
            throw ExitStatus(of: error).code
        }
    }

    private func connection(over http: OutboundHTTP) throws -> Connection {
        let environment = ProcessInfo.processInfo.environment
        let address = try ServerAddress(
            addr ?? environment["RINGMESH_ADDR"].flatMap { $0.isEmpty ? nil : $0 }
                ?? Self.defaultAddress)
        return Connection(
            client: APIClient(address, token: try token(environment), http: http))
    }

    private func token(_ environment: [String: String]) throws -> String? {
        guard let tokenFile else {
            return environment["RINGMESH_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        }
        guard let text = try? String(contentsOfFile: tokenFile, encoding: .utf8) else {
            throw MeshError(.invalid, "the token file \(tokenFile) cannot be read")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Asks the admin API in its own JSON.
struct Connection {
    let client: APIClient

    func read<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) async throws
        -> Value
    {
        try Self.decoded(try await client.request("GET", path))
    }

    func ask<Value: Decodable>(_ path: String, _ body: some Encodable) async throws -> Value {
        let json = try APICoding.encoder().encode(body)
        return try Self.decoded(try await client.request("POST", path, json: Array(json)))
    }

    /// Sends a change and reports how far it came; throws the exit code when not everywhere.
    func change(
        _ method: String, _ path: String, body: [UInt8]? = nil, done: String, output: OutputOptions
    ) async throws {
        let answer = try await client.answer(method, path, json: body)
        guard (200...299).contains(answer.status) || answer.status == 409,
            let report: ChangeReport = try? Self.decoded(answer)
        else { throw Self.failure(answer) }
        if output.json { try output.show(report) { "" } }
        try Self.conclude(report, done: done, quiet: output.json)
    }

    private static func conclude(_ report: ChangeReport, done: String, quiet: Bool) throws {
        switch report.outcome {
        case .live:
            if !quiet { Output.line("\(done); generation \(report.generation) is live") }
        case .stored:
            Output.error("\(done); it takes effect when a data plane is connected")
        case .partial:
            let names = report.laggards.map(String.init).joined(separator: ", ")
            Output.error(
                "\(done); worker \(names) has not acknowledged generation \(report.generation)")
            throw ExitStatus.late.code
        case .refused:
            for refusal in report.refusals {
                let who = refusal.worker.map { "worker \($0)" } ?? "the data plane"
                Output.error("\(who) refused generation \(report.generation): \(refusal.reason)")
            }
            throw ExitStatus.failed.code
        }
    }

    private static func decoded<Value: Decodable>(_ response: OutboundResponse) throws -> Value {
        do {
            return try APICoding.decoder().decode(Value.self, from: Data(response.body))
        } catch {
            throw MeshError(
                .invalid, "the answer is not what was expected: is it a Ringmesh admin address?",
                cause: error)
        }
    }

    private static func failure(_ response: OutboundResponse) -> MeshError {
        if let told: ErrorReport = try? decoded(response) {
            return MeshError(MeshError.Code(rawValue: told.code), told.message)
        }
        return MeshError(.invalid, "the server answered \(response.status)")
    }
}
