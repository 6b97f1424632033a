import Testing

@testable import controlplane

@Suite struct LookPaceTests {
    private let start = ContinuousClock.now

    @Test func theFirstLookIsDueAtOnce() { #expect(LookPace().isDue(now: start)) }

    @Test func looksTakeAHundredthOfTheTime() {
        var pace = LookPace()
        pace.looked(from: start, to: start + .milliseconds(60))
        #expect(!pace.isDue(now: start + .milliseconds(5999)))
        #expect(pace.isDue(now: start + .milliseconds(6000)))
    }

    @Test func aQuickLookIsDueAtTheNextRound() {
        var pace = LookPace()
        pace.looked(from: start, to: start + .microseconds(50))
        #expect(pace.isDue(now: start + .milliseconds(5)))
    }

    @Test func aSlowLookIsNotPutOffForEver() {
        var pace = LookPace()
        pace.looked(from: start, to: start + .seconds(10))
        #expect(!pace.isDue(now: start + .seconds(39)))
        #expect(pace.isDue(now: start + .seconds(40)))
    }
}
