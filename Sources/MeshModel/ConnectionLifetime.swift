/// How long connections may last, where that is bounded: `max_connection_lifetime`.
package enum ConnectionLifetime {
    /// LIMIT_LIFETIME_MS.
    package static let greatest = MeshDuration.hours(24)
    package static let least = MeshDuration.milliseconds(100)
    package static let advice = "write 0s for none, or a time of 100ms to 24h"

    /// Whether connections can be bounded so; zero: not at all.
    package static func isSound(_ time: MeshDuration) -> Bool {
        time == .zero || (time >= least && time <= greatest)
    }

    static func check(_ time: MeshDuration?, _ checks: inout FieldChecks) {
        guard let time else { return }
        checks.require(
            isSound(time), ["max_connection_lifetime"], "\(time) is out of range: \(advice)")
    }
}
