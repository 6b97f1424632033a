import MeshAdminAPI
import MeshModel
import MeshTables
import MeshTelemetry

extension NodeBackend {
    func metrics() async -> [MetricFamily] { [] }

    func checkIntention(source: String, destination: String) async throws -> IntentionCheckReport {
        throw MeshError(.unavailable, "not yet")
    }

    func routes() async throws -> RoutesReport {
        throw MeshError(.unavailable, "not yet")
    }

    func stats() async throws -> StatsReport {
        throw MeshError(.unavailable, "not yet")
    }

    func explain(_ request: ExplainRequest) async throws -> ExplainReport {
        throw MeshError(.unavailable, "not yet")
    }
}
