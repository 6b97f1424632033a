package import MeshModel
import Synchronization

/// What is known of one service instance: the worst of its checks, and whether all of it comes from
/// results.
package struct HealthStanding: Sendable, Equatable {
    package var status: CheckStatus
    package var isProven: Bool

    /// That of an instance without checks.
    package static let unchecked = HealthStanding(status: .passing, isProven: true)

    package init(status: CheckStatus, isProven: Bool) {
        self.status = status
        self.isProven = isProven
    }

    /// The standing of an instance with these checks.
    init(_ reports: some Sequence<CheckReport>) {
        self = .unchecked
        for report in reports {
            status = max(status, report.status)
            isProven = isProven && report.isProven
        }
    }
}

/// The standings of all instances, for readers that must not wait: whoever writes to the overlay
/// reads and writes in one go, so that the newest standing is always the last one written.
package final class HealthStandings: Sendable {
    private let known = Mutex<[ServiceID: HealthStanding]>([:])

    init() {}

    package subscript(_ service: ServiceID) -> HealthStanding {
        known.withLock { $0[service] ?? .unchecked }
    }

    /// The standings of several instances, taken together.
    package func of(_ services: some Sequence<ServiceID>) -> [HealthStanding] {
        known.withLock { known in services.map { known[$0] ?? .unchecked } }
    }

    func set(_ service: ServiceID, _ standing: HealthStanding) {
        // Most instances are well: they need no place.
        known.withLock { $0[service] = standing == .unchecked ? nil : standing }
    }

    func replace(_ standings: [ServiceID: HealthStanding]) {
        known.withLock { $0 = standings }
    }
}
