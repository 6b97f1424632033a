package import Foundation

/// When a leaf is to be renewed: at a random point between 60 % and 90 % of its life, so that the
/// leaves of a whole mesh do not come due together. Pure: clock and randomness are parameters.
package struct LeafSchedule: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        /// In good time; look again then.
        case fresh(until: Date)
        /// To be renewed now; the present one still serves.
        case due
        /// Peers refuse it.
        case expired
    }

    /// After a change of roots leaves are renewed within this time, not all at once.
    package static let rootChangeWindow: TimeInterval = 30
    /// Delays after failures in a row to renew, the last for all that follow.
    package static let retryDelays: [TimeInterval] = [1, 5, 15, 60, 300]

    package private(set) var renewal: Date
    private let notBefore: Date
    private let notAfter: Date

    package init(
        notBefore: Date, notAfter: Date, using generator: inout some RandomNumberGenerator
    ) {
        let life = max(0, notAfter.timeIntervalSince(notBefore))
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.renewal = notBefore.addingTimeInterval(
            life * Double.random(in: 0.6...0.9, using: &generator))
    }

    package init(
        _ leaf: LeafCertificate, using generator: inout some RandomNumberGenerator
    ) {
        self.init(notBefore: leaf.notBefore, notAfter: leaf.notAfter, using: &generator)
    }

    package func state(now: Date) -> State {
        if now >= notAfter { return .expired }
        return now >= renewal ? .due : .fresh(until: renewal)
    }

    /// Another root signs from now on: the leaf is renewed soon.
    package mutating func rootChanged(
        now: Date, using generator: inout some RandomNumberGenerator
    ) {
        let delay = Double.random(in: 0...Self.rootChangeWindow, using: &generator)
        renewal = min(renewal, now.addingTimeInterval(delay))
    }

    /// Renewing failed for the `failures`-th time in a row: when to try again.
    package mutating func renewalFailed(now: Date, failures: Int) {
        let step = min(max(failures, 1), Self.retryDelays.count) - 1
        renewal = now.addingTimeInterval(Self.retryDelays[step])
    }
}
