import MeshAdmin
import MeshClient
import MeshConfig
import MeshModel
import MeshSidecar
import MeshTelemetry

/// The parts of a node that only the sidecar of a Consul agent has.
struct AgentParts: Sendable {
    let mirror: AgentMirror
    let states: AgentStates
    private let role: SidecarRole
    private let agent: HTTPAgent
    private let http: OutboundHTTP
    private let names = HostNames()
    private let board: ProblemBoard
    private let log: Logger

    init(
        _ role: SidecarRole, own: DesiredSource, _ configuration: Configuration,
        board: ProblemBoard, log: Logger
    ) {
        self.role = role
        self.board = board
        self.log = log
        http = OutboundHTTP(connectionsPerHost: SidecarRole.connections)
        agent = HTTPAgent(role.agent, http: http)
        mirror = AgentMirror(
            agent, isL4: role.isL4, exposePorts: configuration.mesh.exposePorts, log: log)
        states = AgentStates(own: own, mirror: mirror, names: names)
    }

    func backend(_ node: NodeBackend) -> SidecarBackend {
        SidecarBackend(node: node, mirror: mirror, subject: agent.subject)
    }

    /// Tells the agent of a proxy that the command line describes, if that is wanted.
    private func enrolment(_ pipeline: Pipeline) throws -> [NodeService] {
        guard role.registers, case .given(let registration) = role.wanted else { return [] }
        let enrolment = try Enrolment(registration, with: agent, log: log)
        let id = registration.definition.id.text
        return [
            NodeService(name: "registration") {
                await enrolment.run(
                    silence: { await pipeline.silence(of: id) },
                    told: { board.replace(.agent, kind: "registration", $0.map { [$0] } ?? []) })
            } finish: { _ in
                await enrolment.end()
            }
        ]
    }

    func services(_ pipeline: Pipeline) throws -> [NodeService] {
        try [
            NodeService(name: "agent") {
                let proxy = try await role.proxy(of: agent, board: board, log: log)
                await mirror.run(as: proxy) {
                    board.replace(.agent, kind: "mirror", await mirror.problems)
                    await pipeline.invalidate("the agent at \(agent.subject) has news")
                }
            } finish: { _ in
                // Nobody asks any more; what is left of connections goes with the process.
                try? await http.shutdown()
            },
            NodeService(name: "names of the mesh") {
                await names.run { await pipeline.invalidate() }
            },
        ] + enrolment(pipeline)
    }
}
