/// When something is looked at again whose looking costs: often, but for a hundredth of the time at
/// most. Pure: time is a parameter.
struct LookPace: Sendable, Equatable {
    /// Looking takes one part of this many.
    static let parts = 100
    static let longest: Duration = .seconds(30)

    private var due: ContinuousClock.Instant?

    func isDue(now: ContinuousClock.Instant) -> Bool { due.map { $0 <= now } ?? true }

    /// It was looked at between these two.
    mutating func looked(from begun: ContinuousClock.Instant, to end: ContinuousClock.Instant) {
        due = end + min((end - begun) * (Self.parts - 1), Self.longest)
    }
}
