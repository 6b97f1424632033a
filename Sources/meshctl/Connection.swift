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
            "Admin address of the control plane: unix:///PATH, http://HOST:PORT or https://…; "
                + "$RINGMESH_ADDR, else \(Self.defaultAddress), when left out.",
            valueName: "url"))
    var addr: String?

    @Option(
        help: ArgumentHelp(
            "File with the token for changes over TCP; $RINGMESH_TOKEN, which holds the token "
                + "itself, when left out.",
            valueName: "file"),
        completion: .file())
    var tokenFile: String?

    /// Runs `body` with a connection; errors are printed and become exit codes.
    func run(_ body: (Connection) async throws -> Void) async throws {
        let (address, token) = try target(ProcessInfo.processInfo.environment)
        do {
            try await OutboundHTTP.withClient { http in
                try await body(
                    Connection(client: APIClient(address, token: token, http: http)))
            }
        } catch let error as MeshError {
            Output.error(error.description)
            throw ExitStatus(onTheWay: error).code
        } catch let error as ErrorAnswer {
            Output.error(error.report.message)
            throw ExitStatus(answered: error.report).code
        }
    }

    /// Where to ask, and with which token: the flags, else the environment, else the default.
    func target(_ environment: [String: String]) throws -> (ServerAddress, token: String?) {
        do {
            let inherited = environment["RINGMESH_ADDR"].flatMap { $0.isEmpty ? nil : $0 }
            let address = try ServerAddress(addr ?? inherited ?? Self.defaultAddress)
            return (address, try token(environment))
        } catch let error as MeshError {
            Output.error(error.description)
            throw ExitStatus.usage.code
        }
    }

    private func token(_ environment: [String: String]) throws -> String? {
        guard let tokenFile else {
            return environment["RINGMESH_TOKEN"].flatMap { $0.isEmpty ? nil : $0 }
        }
        do {
            return String(decoding: try InputFile.bytes(tokenFile), as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        } catch let error as MeshError {
            throw MeshError(error.code, "the token file \(error.message)")
        }
    }
}

/// An error that the control plane answered.
struct ErrorAnswer: Error, Equatable {
    var report: ErrorReport

    /// The error in the answer, or its status when it holds none.
    init(_ response: OutboundResponse) {
        let told = try? APICoding.decoder().decode(ErrorReport.self, from: Data(response.body))
        report =
            told
            ?? ErrorReport(
                code: "unknown",
                message: "the server answered \(response.status): is it a Ringmesh admin address?")
    }
}

/// Asks the admin API in its own JSON.
struct Connection {
    let client: APIClient

    func read<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) async throws
        -> Value
    {
        try Self.decoded(try await client.answer("GET", path))
    }

    /// A document of another form than the API's own reports.
    func document(_ path: String) async throws -> [UInt8] {
        let answer = try await client.answer("GET", path)
        guard (200...299).contains(answer.status) else { throw ErrorAnswer(answer) }
        return answer.body
    }

    /// A request without a body.
    func post<Value: Decodable>(_ path: String) async throws -> Value {
        try Self.decoded(try await client.answer("POST", path))
    }

    func ask<Value: Decodable>(_ path: String, _ body: some Encodable) async throws -> Value {
        let json = try APICoding.encoder().encode(body)
        return try Self.decoded(try await client.answer("POST", path, json: Array(json)))
    }

    /// Tells the node something that no worker has to acknowledge.
    func put<Value: Decodable>(_ path: String) async throws -> Value {
        try Self.decoded(try await client.answer("PUT", path))
    }

    /// Sends a change and tells how far it came; throws the exit code when not everywhere.
    func change(
        _ method: String, _ path: String, body: [UInt8]? = nil, done: String, output: OutputOptions
    ) async throws {
        let report = try Self.report(in: try await client.answer(method, path, json: body))
        if output.json {
            try output.show(report) { "" }
        } else {
            let telling = ChangeText(report, done: done)
            for line in telling.results { Output.line(line) }
            for line in telling.complaints { Output.error(line) }
        }
        if let status = ExitStatus(of: report.outcome) { throw status.code }
    }

    /// The report in the answer to a change; an error is thrown. A refusal by the data plane comes
    /// with the status of a conflict, as do errors: what the body holds tells them apart.
    static func report(in response: OutboundResponse) throws -> ChangeReport {
        if response.status == 409 {
            guard
                let report = try? APICoding.decoder().decode(
                    ChangeReport.self, from: Data(response.body))
            else { throw ErrorAnswer(response) }
            return report
        }
        return try decoded(response)
    }

    private static func decoded<Value: Decodable>(_ response: OutboundResponse) throws -> Value {
        guard (200...299).contains(response.status) else { throw ErrorAnswer(response) }
        do {
            return try APICoding.decoder().decode(Value.self, from: Data(response.body))
        } catch {
            throw MeshError(
                .invalid,
                "the answer is not one of this version's admin API: is it a Ringmesh admin address?"
            )
        }
    }
}

/// What people are told about a change.
struct ChangeText: Equatable {
    /// For standard output.
    var results: [String] = []
    /// For standard error.
    var complaints: [String] = []

    /// `done` says what was asked for, in the past tense.
    init(_ report: ChangeReport, done: String) {
        let generation = report.generation
        switch report.outcome {
        case .live:
            results = ["\(done); generation \(generation) is live in every worker"]
            complaints = report.refusals.map { "left out, and tried again: \($0.reason)" }
        case .stored where report.pinned != nil:
            let pinned = report.pinned.map(String.init) ?? ""
            results = [
                "\(done); generation \(pinned) is pinned: it waits for meshctl generations resume"
            ]
        case .stored:
            results = ["\(done); no data plane is connected: it takes effect when one is"]
        case .partial:
            let who =
                report.laggards.count == 1
                ? "worker \(report.laggards[0]) has"
                : "workers \(report.laggards.map(String.init).joined(separator: ", ")) have"
            complaints = ["\(done); \(who) not acknowledged generation \(generation) in time"]
        case .refused:
            complaints =
                ["\(done), but it is not in force: generation \(generation) was refused"]
                + report.refusals.map { refusal in
                    let who = refusal.worker.map { "worker \($0)" } ?? "the data plane"
                    return "\(who): \(refusal.reason)"
                }
        }
    }
}
