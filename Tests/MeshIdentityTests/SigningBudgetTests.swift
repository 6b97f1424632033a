import MeshIdentity
import Testing

@Suite struct SigningBudgetTests {
    private let start = ContinuousClock.now

    @Test func aSecondsWorthIsGivenAtOnceThenInTurnThenRefused() {
        var budget = SigningBudget(perSecond: 50)
        let answers = (0..<100).map { _ in budget.take(now: start) }
        // Those of the last second and this moment's, then half a second's turns.
        #expect(answers[..<51].allSatisfy { $0 == .now })
        #expect(answers[51] == .after(.milliseconds(20)))
        #expect(answers[75] == .after(.milliseconds(500)))
        #expect(answers[76...].allSatisfy { $0 == .refused })
    }

    @Test func turnsComeBackWithTime() {
        var budget = SigningBudget(perSecond: 10)
        while budget.take(now: start) != .refused {}
        #expect(budget.take(now: start + .milliseconds(99)) == .refused)
        #expect(budget.take(now: start + .milliseconds(100)) == .after(.milliseconds(500)))
        #expect(budget.take(now: start + .seconds(10)) == .now)
    }

    @Test func noBoundIsNoBound() {
        var budget = SigningBudget(perSecond: 0)
        #expect((0..<10_000).allSatisfy { _ in budget.take(now: start) == .now })
    }
}
