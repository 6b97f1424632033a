/// What a route asks for beyond a destination.
package struct TrafficPlan: Hashable, Sendable, Codable {
    /// Further statuses that are worth another try, growing.
    package var retryCodes: [UInt16]
    /// Milliseconds from a request sent to the head of its answer; 0 = none.
    package var tryTimeout: UInt32
    /// Milliseconds before the second try after an answer, doubled for each further.
    package var backoff: UInt32
    /// Milliseconds of the longest pause.
    package var backoffMax: UInt32
    /// Bytes of a request's head; 0 = the data plane's bound.
    package var maxHead: UInt32 = 0
    /// Bytes of a request's body; 0 = no bound.
    package var maxBody: UInt64 = 0
    /// Milliseconds in which nothing moves before a request is given up; 0 = none.
    package var idleTimeout: UInt32 = 0
    /// Bytes of a request's body that are kept for another try.
    package var maxReplay: UInt32 = TrafficPlan.standardReplay
    /// All must admit a request.
    package var rates: [RatePlan] = []
    /// Who gets copies, and of how many ten-thousandths of the requests.
    package var mirror: SplitPlan?

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

/// A bucket of tokens; a request takes one.
package struct RatePlan: Hashable, Sendable, Codable {
    package enum Sharing: Hashable, Sendable, Codable {
        case all
        case client
        case identity
        case connection
    }

    /// Names the bucket: rates of the same name share it.
    package var name: String
    /// Between two tokens.
    package var nanoseconds: UInt64
    package var burst: UInt32
    package var sharing: Sharing

    package init(name: String, nanoseconds: UInt64, burst: UInt32, sharing: Sharing) {
        self.name = name
        self.nanoseconds = nanoseconds
        self.burst = burst
        self.sharing = sharing
    }
}
