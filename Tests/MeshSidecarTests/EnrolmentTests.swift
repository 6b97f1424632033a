import MeshModel
import MeshSidecar
import MeshTelemetry
import Synchronization
import Testing

/// A proxy that an agent is told of for as long as it runs.
@Suite struct EnrolmentTests {
    private let register = "PUT /v1/agent/service/register"
    private let pass = "PUT /v1/agent/check/pass/web-proxy-a-ttl"

    private func registration() throws -> Registration {
        Registration(
            definition: ServiceDefinition(
                name: try ServiceName("web-proxy"), id: try ServiceID("web-proxy-a"),
                kind: .connectProxy, address: "0.0.0.0", port: 21_000,
                proxy: ProxyDefinition(
                    destinationServiceName: try ServiceName("web"), localServicePort: 8080)),
            service: try ServiceName("web"))
    }

    private func agent() -> FakeAgent {
        let agent = FakeAgent()
        agent.tell("/v1/agent/service/register", .null)
        agent.tell("/v1/agent/check/pass/web-proxy-a-ttl", .null)
        agent.tell("/v1/agent/check/fail/web-proxy-a-ttl", .null)
        return agent
    }

    /// Runs an enrolment until a condition holds.
    private func run(
        _ agent: FakeAgent, silence: @escaping @Sendable () -> String? = { nil },
        told: @escaping @Sendable (String?) -> Void = { _ in },
        until condition: @escaping () -> Bool
    ) async throws {
        var pauses = Enrolment.Pauses()
        (pauses.heartbeat, pauses.retry) = (.milliseconds(5), .milliseconds(1))
        let enrolment = try Enrolment(
            registration(), with: agent, pauses: pauses, log: Logger(label: "test"))
        let task = Task { await enrolment.run(silence: { silence() }, told: { told($0) }) }
        while !condition() { try await Task.sleep(for: .milliseconds(2)) }
        task.cancel()
        await task.value
    }

    @Test(.timeLimit(.minutes(5))) func itIsRegisteredOnceAndKeptAlive() async throws {
        let agent = agent()
        try await run(agent) { agent.asked.count { $0 == pass } >= 3 }
        #expect(agent.asked.first == register)
        #expect(agent.asked.count { $0 == register } == 1)
    }

    @Test(.timeLimit(.minutes(5))) func anAgentThatHasForgottenItIsToldAgain() async throws {
        let agent = agent()
        let path = "/v1/agent/check/pass/web-proxy-a-ttl"
        try await run(agent) {
            let registered = agent.asked.count { $0 == register }
            if registered == 1, agent.asked.contains(pass) { agent.forget(path) }
            if registered == 2 { agent.tell(path, .null) }
            return registered >= 2 && agent.asked.last == pass
        }
    }

    @Test(.timeLimit(.minutes(5))) func anAgentThatIsAwayIsToldWhenItComes() async throws {
        let agent = agent()
        agent.goAway()
        let problems = Mutex<[String?]>([])
        try await run(agent, told: { told in problems.withLock { $0.append(told) } }) {
            if problems.withLock({ !$0.isEmpty }) { agent.comeBack() }
            return agent.asked.contains(pass)
        }
        #expect(problems.withLock { $0.first??.contains("is not registered") } == true)
    }

    @Test(.timeLimit(.minutes(5))) func whatTakesNoConnectionsIsNotPassing() async throws {
        let agent = agent()
        let fail = "PUT /v1/agent/check/fail/web-proxy-a-ttl?note=not yet"
        try await run(agent, silence: { "not yet" }, until: { agent.asked.contains(fail) })
        #expect(!agent.asked.contains(pass))
    }

    @Test func itIsTakenOutInTheEnd() async throws {
        let agent = agent()
        agent.tell("/v1/agent/service/deregister/web-proxy-a", .null)
        var pauses = Enrolment.Pauses()
        pauses.retry = .milliseconds(1)
        try await Enrolment(
            registration(), with: agent, pauses: pauses, log: Logger(label: "test")
        ).end()
        #expect(agent.asked == ["PUT /v1/agent/service/deregister/web-proxy-a"])
    }
}
