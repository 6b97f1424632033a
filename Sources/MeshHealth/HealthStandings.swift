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
        for report in reports { take(report.status, isProven: report.isProven) }
    }

    /// Adds what one check says.
    mutating func take(_ status: CheckStatus, isProven: Bool) {
        self.status = max(self.status, status)
        self.isProven = self.isProven && isProven
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

    /// All standings, taken together; instances that are simply well are left out.
    package var all: [ServiceID: HealthStanding] { known.withLock { $0 } }

    func set(_ service: ServiceID, _ standing: HealthStanding) {
        // Most instances are well: they need no place.
        known.withLock { $0[service] = standing == .unchecked ? nil : standing }
    }

    func replace(_ standings: [ServiceID: HealthStanding]) {
        known.withLock { $0 = standings }
    }
}
