import Foundation
import MeshClient
import MeshConfig
import MeshModel
import MeshSidecar
import MeshTelemetry

/// What makes a node the sidecar of one service that a Consul agent knows.
struct SidecarRole: Sendable {
    /// Which proxy of the agent's.
    enum Wanted: Sendable, Equatable {
        case proxyID(String)
        /// The one in front of the service with this id, or else this name.
        case sidecarFor(String)
        /// As the command line says; the agent need not know it.
        case given(Registration)

        /// For the names of folders, and for people.
        var name: String {
            switch self {
            case .proxyID(let id): id
            case .sidecarFor(let service): service
            case .given(let registration): registration.definition.id.text
            }
        }
    }

    var wanted: Wanted
    var agent: AgentSettings
    var isL4 = false
    /// Whether the agent is told of the proxy for as long as this process runs.
    var registers = false

    /// The connections that long questions take, each its own.
    static let connections = 4096

    /// Finds out which proxy is meant, as soon as the agent says so. Throws what no waiting mends.
    func proxy(
        of agent: any AgentTransport, board: ProblemBoard, log: Logger
    ) async throws -> MirrorState.Proxy {
        let service: String
        switch wanted {
        case .given(let registration): return .given(registration)
        case .proxyID(let id): return .registered(id)
        case .sidecarFor(let name): service = name
        }
        var pace = WatchPace()
        var told = ""
        while true {
            try Task.checkCancellation()
            do {
                let id = try await SidecarSearch.find(service, agent)
                board.clear(.agent, "search")
                return .registered(id)
            } catch let error as SidecarSearch.Ambiguous {
                throw MeshError(.invalid, error.description)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                board.set(.agent, "search", "\(error); nothing is served yet")
                if told != "\(error)" {
                    told = "\(error)"
                    log.warning("the proxy is not known yet", metadata: [LogKey.error: "\(error)"])
                }
            }
            try await Task.sleep(for: pace.failed(chance: Double.random(in: 0...1)))
        }
    }
}
