/// How many certificates may be signed for those who ask: so many a second, as many at once. Pure:
/// time is a parameter.
package struct SigningBudget: Sendable, Equatable {
    package enum Answer: Sendable, Equatable {
        case now
        /// It is his turn after this long: the turn is taken.
        case after(Duration)
        /// Too many are before him.
        case refused
    }

    /// Nobody waits longer for his turn.
    package static let longestWait: Duration = .milliseconds(500)

    /// 0: there is no bound.
    package let perSecond: Double
    /// When the next turn is; in the past, turns have been left over.
    private var next: ContinuousClock.Instant?

    package init(perSecond: Double) { self.perSecond = perSecond }

    /// Asks for a turn.
    package mutating func take(now: ContinuousClock.Instant) -> Answer {
        guard perSecond > 0 else { return .now }
        let pause = Duration.seconds(1 / perSecond)
        // Turns of the last second that nobody took may be taken at once.
        let turn = max(next ?? now - .seconds(1), now - .seconds(1))
        let wait = turn - now
        guard wait <= Self.longestWait else { return .refused }
        next = turn + pause
        return wait > .zero ? .after(wait) : .now
    }
}
