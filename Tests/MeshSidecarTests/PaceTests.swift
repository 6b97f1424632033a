import MeshSidecar
import Testing

@Suite struct PaceTests {
    @Test func anIndexThatGrowsIsBlockedOn() {
        var pace = WatchPace()
        #expect(pace.index == nil)
        #expect(pace.answered(index: 7, hash: nil, took: .milliseconds(1)) == .ask)
        #expect(pace.index == 7)
        #expect(pace.answered(index: 9, hash: nil, took: .seconds(3)) == .ask)
        #expect(pace.index == 9)
    }

    @Test func anIndexThatGoesBackStartsAgain() {
        var pace = WatchPace()
        _ = pace.answered(index: 90, hash: nil, took: .zero)
        _ = pace.answered(index: 3, hash: nil, took: .seconds(1))
        #expect(pace.index == nil)
        _ = pace.answered(index: 3, hash: nil, took: .zero)
        #expect(pace.index == 3)
    }

    @Test func zeroIsNeverSent() {
        var pace = WatchPace()
        _ = pace.answered(index: 0, hash: nil, took: .zero)
        #expect(pace.index == nil)
    }

    @Test func whoeverDoesNotBlockIsAskedSeldom() {
        var pace = WatchPace()
        #expect(
            pace.answered(index: nil, hash: nil, took: .zero) == .pause(WatchPace.unblockedPause))
        #expect(pace.answered(index: 5, hash: nil, took: .zero) == .ask)
        #expect(
            pace.answered(index: 5, hash: nil, took: .milliseconds(3))
                == .pause(WatchPace.unblockedPause))
        // A block that timed out gives the same answer, and is no reason to wait.
        #expect(pace.answered(index: 5, hash: nil, took: .seconds(60)) == .ask)
    }

    @Test func aHashIsBlockedOn() {
        var pace = WatchPace()
        #expect(pace.answered(index: nil, hash: "aa", took: .zero) == .ask)
        #expect(pace.hash == "aa")
        #expect(pace.answered(index: nil, hash: "bb", took: .zero) == .ask)
        #expect(pace.hash == "bb")
    }

    @Test(arguments: [0.0, 0.5, 1.0])
    func pausesDoubleUpToABoundAndForgetTheIndex(chance: Double) {
        var pace = WatchPace()
        _ = pace.answered(index: 5, hash: "aa", took: .zero)
        var last = Duration.zero
        for _ in 0..<40 {
            let pause = pace.failed(chance: chance)
            #expect(pause >= last)
            #expect(pause <= WatchPace.longestPause)
            #expect(pause >= WatchPace.firstPause / 2)
            last = pause
        }
        #expect(pace.index == nil && pace.hash == nil)
        #expect(last == WatchPace.longestPause * (0.5 + 0.5 * chance))
        _ = pace.answered(index: 5, hash: nil, took: .zero)
        #expect(pace.failed(chance: 1) == WatchPace.firstPause)
    }
}
