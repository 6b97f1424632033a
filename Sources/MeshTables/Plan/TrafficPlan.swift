/// What a route asks for beyond a destination.
package struct TrafficPlan: Hashable, Sendable {
    /// Further statuses that are worth another try, growing.
    package var retryCodes: [UInt16]
    /// Milliseconds from a request sent to the head of its answer; 0 = none.
    package var tryTimeout: UInt32
    /// Milliseconds before the second try after an answer, doubled for each further.
    package var backoff: UInt32
    /// Milliseconds of the longest pause.
    package var backoffMax: UInt32

    package init(
        retryCodes: [UInt16] = [], tryTimeout: UInt32 = 0, backoff: UInt32 = 0,
        backoffMax: UInt32 = 0
    ) {
        self.retryCodes = retryCodes
        self.tryTimeout = tryTimeout
        self.backoff = backoff
        self.backoffMax = backoffMax
    }
}
