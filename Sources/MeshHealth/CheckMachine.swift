package import MeshModel

/// The status of one check: when results in a row make it turn. Pure; time is a parameter.
///
/// A status turns to passing after `success_before_passing` good results in a row and to critical
/// after `failures_before_critical` bad ones; 0 and 1 both mean at once.
package struct CheckMachine: Sendable, Equatable {
    package private(set) var status: CheckStatus
    package private(set) var output = ""
    /// Since when it is critical; nil when it is not.
    package private(set) var criticalSince: ContinuousClock.Instant?
    private var successes = 0
    private var failures = 0
    private let successBeforePassing: Int
    private let failuresBeforeCritical: Int

    /// A check that goes on under a changed definition keeps the status `before`.
    package init(
        _ definition: CheckDefinition, before: CheckStatus? = nil, now: ContinuousClock.Instant
    ) {
        status = before ?? definition.initialStatus
        successBeforePassing = definition.successBeforePassing
        failuresBeforeCritical = definition.failuresBeforeCritical
        criticalSince = status == .critical ? now : nil
    }

    /// Takes a result; says whether the status is another one now.
    package mutating func observed(_ result: CheckResult, now: ContinuousClock.Instant) -> Bool {
        output = result.output
        if result.status == .passing || result.status == .warning {
            failures = 0
            successes = min(successes + 1, Int(Int32.max))
            guard successes >= successBeforePassing else { return false }
        } else {
            successes = 0
            failures = min(failures + 1, Int(Int32.max))
            guard failures >= failuresBeforeCritical else { return false }
        }
        return become(result.status, now: now)
    }

    /// The service has not reported in time: no threshold applies.
    package mutating func expired(_ reason: String, now: ContinuousClock.Instant) -> Bool {
        output = reason
        successes = 0
        failures += 1
        return become(.critical, now: now)
    }

    private mutating func become(_ new: CheckStatus, now: ContinuousClock.Instant) -> Bool {
        guard new != status else { return false }
        status = new
        criticalSince = new == .critical ? now : nil
        return true
    }
}
