import MeshModel
package import MeshTelemetry

/// Makes a proxy known to an agent while this process runs: registered with a check that is
/// kept alive, and deregistered in the end.
///
/// An agent that was away, or has forgotten the proxy, is told again with the next sign of life.
package struct Enrolment: Sendable {
    package struct Pauses: Sendable {
        package var heartbeat: Duration = .seconds(10)
        package var retry: Duration = .milliseconds(500)

        package init() {}
    }

    /// The time after which an agent without a sign of life takes the proxy for dead.
    static let ttl = "30s"
    private static let tries = 3

    private let agent: any AgentTransport
    private let body: [UInt8]
    private let id: String
    private let pauses: Pauses
    private let log: Logger

    package init(
        _ registration: Registration, with agent: any AgentTransport, pauses: Pauses = Pauses(),
        log: Logger
    ) throws {
        self.agent = agent
        self.pauses = pauses
        self.log = log
        id = registration.definition.id.text
        body = try AgentJSON(Self.document(registration), "registration").bytes()
    }

    private var check: String { "\(id)-ttl" }

    static func document(_ registration: Registration) -> DataValue {
        let definition = registration.definition
        let any = ["", "0.0.0.0", "::"].contains(definition.address)
        var proxy: [String: DataValue] = [
            "DestinationServiceName": .string(registration.service.text)
        ]
        if let port = definition.proxy?.localServicePort {
            proxy["LocalServiceAddress"] = .string(
                definition.proxy?.localServiceAddress ?? "127.0.0.1")
            proxy["LocalServicePort"] = .int(Int64(port))
        }
        return .object([
            "Kind": .string(ServiceKind.connectProxy.rawValue),
            "ID": .string(definition.id.text), "Name": .string(definition.name.text),
            // Without an address it is reached at the agent's.
            "Address": .string(any ? "" : definition.address),
            "Port": .int(Int64(definition.port)), "Proxy": .object(proxy),
            "Check": .object([
                "CheckID": .string("\(definition.id.text)-ttl"),
                "Name": .string("Connect Proxy Alive"), "TTL": .string(ttl),
                "Notes": .string("The proxy gives a sign of life each 10s."),
            ]),
        ])
    }

    /// Keeps the agent informed until the task is cancelled. `silence` says why the proxy takes no
    /// connections, nil: it does; `told` gets what is wrong with the registration, nil: nothing.
    package func run(
        silence: @Sendable () async -> String?, told: @Sendable (String?) async -> Void
    ) async {
        var isKnown = false
        while !Task.isCancelled {
            do {
                if !isKnown { try await put("/v1/agent/service/register", body: body) }
                isKnown = true
                if let silence = await silence() {
                    try await put("/v1/agent/check/fail/\(check)", query: [("note", silence)])
                } else {
                    try await put("/v1/agent/check/pass/\(check)")
                }
                await told(nil)
            } catch is CancellationError {
                return
            } catch {
                await told("\(id) is not registered: \(error)")
                if isKnown {
                    // It may have forgotten the proxy: it is told at once.
                    isKnown = false
                    log.warning("the agent is told again", metadata: [LogKey.error: "\(error)"])
                    try? await Task.sleep(for: pauses.retry)
                    continue
                }
            }
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: pauses.heartbeat)
        }
    }

    /// Takes the proxy out again: tried a few times, the agent may be busy.
    package func end() async {
        for _ in 0..<Self.tries {
            do {
                try await put("/v1/agent/service/deregister/\(id)")
                return
            } catch {
                log.warning(
                    "the proxy is not deregistered", metadata: [LogKey.error: "\(error)"])
                try? await Task.sleep(for: pauses.retry)
            }
        }
    }

    private func put(
        _ path: String, body: [UInt8]? = nil, query: [(String, String)] = []
    ) async throws {
        let answer = try await agent.exchange(
            AgentRequest("PUT", path, query: query, body: body))
        guard answer.status == 200 else {
            throw MeshError(
                .unavailable,
                "the agent at \(agent.subject) answers \(answer.status): \(answer.text)")
        }
    }
}
