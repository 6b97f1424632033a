import MeshHealth
import MeshModel
import MeshTables
import MeshWorkers

/// What the workers are to think of instances, by their checks.
struct HealthOverlay: Sendable {
    /// What is known of one service: the worst of its checks, and whether any of it comes from
    /// results.
    struct Standing: Sendable, Equatable {
        var status: CheckStatus
        var isProven: Bool
    }

    private var standings: [ServiceID: Standing] = [:]

    init(_ reports: [CheckReport]) {
        for report in reports {
            let id = report.spec.service
            let before = standings[id]
            standings[id] = Standing(
                status: max(before?.status ?? .passing, report.status),
                isProven: (before?.isProven ?? true) && report.isProven)
        }
    }

    /// The standing of a service; one without checks is well.
    subscript(_ service: ServiceID) -> Standing {
        standings[service] ?? Standing(status: .passing, isProven: true)
    }

    /// The word for an endpoint of an instance, which may be one that warnings take out.
    static func condition(
        _ status: CheckStatus, weights: ServiceWeights, takesWarnings: Bool = true
    ) -> EndpointCondition {
        switch status {
        case .passing: .normal
        case .warning where !takesWarnings: EndpointCondition(isDown: true)
        case .warning: EndpointCondition(weight: UInt16(clamping: weights.warning))
        case .critical, .maintenance: EndpointCondition(isDown: true)
        }
    }
}
