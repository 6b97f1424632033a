/// Pauses between attempts: they double from `first` up to `most`.
package struct BackOff: Sendable, Equatable {
    package let first: Duration
    package let most: Duration
    private var next: Duration

    package init(first: Duration, most: Duration) {
        self.first = first
        self.most = most
        self.next = first
    }

    /// The pause before the next attempt.
    package mutating func failed() -> Duration {
        let pause = next
        next = min(next * 2, most)
        return pause
    }

    /// An attempt has succeeded: the next failure pauses for `first` again.
    package mutating func succeeded() {
        next = first
    }
}
