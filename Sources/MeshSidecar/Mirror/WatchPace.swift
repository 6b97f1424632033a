/// When a thing is asked for again, and after which index. Pure.
///
/// Rules of Consul's blocking queries: an index that is smaller than the one before starts again
/// from nothing, as after a restored snapshot; 0 is never sent as an index, since it would not
/// block.
package struct WatchPace: Sendable, Equatable {
    /// What is done next.
    package enum Next: Sendable, Equatable {
        case ask
        /// Not before this has passed.
        case pause(Duration)
    }

    /// Failures double the pause up to this.
    package static let longestPause: Duration = .seconds(15)
    package static let firstPause: Duration = .milliseconds(500)
    /// Answers that come faster than this without anything new: whoever gives them does not block.
    package static let unblocked: Duration = .milliseconds(200)
    /// How often such a one is asked.
    package static let unblockedPause: Duration = .seconds(5)

    /// The index to block after; nil: the answer is wanted at once.
    package private(set) var index: UInt64?
    /// The hash to block on; nil: the answer is wanted at once.
    package private(set) var hash: String?
    private var failures = 0

    package init() {}

    /// An answer came; `took` is how long it was waited for.
    package mutating func answered(
        index new: UInt64?, hash newHash: String?, took: Duration
    ) -> Next {
        let isSame = new == index && newHash == hash
        let blocked = index != nil || hash != nil
        failures = 0
        if let new, new >= 1, new >= index ?? 0 {
            index = new
        } else {
            index = nil
        }
        hash = newHash
        if new == nil, newHash == nil { return .pause(Self.unblockedPause) }
        return blocked && isSame && took < Self.unblocked ? .pause(Self.unblockedPause) : .ask
    }

    /// There was no answer, or none that can be used. `chance` is of 0 to 1.
    package mutating func failed(chance: Double) -> Duration {
        failures = min(failures + 1, 16)
        // The agent may be another one when it is back: everything is asked for anew.
        index = nil
        hash = nil
        let doubled = Self.firstPause * (1 << min(failures - 1, 5))
        return min(doubled, Self.longestPause) * (0.5 + 0.5 * chance)
    }
}
