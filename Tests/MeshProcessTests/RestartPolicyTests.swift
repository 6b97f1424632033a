import Testing

@testable import MeshProcess

struct RestartPolicyTests {
    @Test func aProcessThatEndsYoungWaitsLongerEachTime() {
        var policy = RestartPolicy(first: .milliseconds(100), most: .seconds(1))
        let pauses = (0..<6).map { _ in policy.ended(after: .seconds(1)) }
        #expect(
            pauses == [
                .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800),
                .seconds(1), .seconds(1),
            ])
    }

    @Test func aLongLifeIsStartedAgainAtOnceAndForgives() {
        var policy = RestartPolicy(healthyAfter: .seconds(10))
        _ = policy.ended(after: .zero)
        _ = policy.ended(after: .zero)
        #expect(policy.ended(after: .seconds(10)) == .zero)
        #expect(policy.ended(after: .milliseconds(9999)) == .milliseconds(100))
    }

    @Test func daemonsAreStartedThreeTimesAtOnce() {
        var policy = RestartPolicy.daemon
        let pauses = (0..<9).map { _ in policy.ended(after: .seconds(9)) }
        #expect(
            pauses
                == [.zero, .zero, .zero] + [2, 4, 8, 16, 32, 60].map { Duration.seconds($0) })
        #expect(policy.ended(after: .seconds(10)) == .zero)
        #expect(policy.ended(after: .zero) == .zero)
    }

    @Test func pausesStayBoundedForever() {
        var policy = RestartPolicy()
        for _ in 0..<1000 { #expect(policy.ended(after: .zero) <= .seconds(10)) }
    }
}
