import Testing

@testable import MeshWorkers

struct PublicationTests {
    private func phase(_ worker: Int?, _ generation: UInt64, _ phase: PhaseReport.Phase)
        -> PhaseReport
    {
        PhaseReport(worker: worker, generation: generation, phase: phase)
    }

    @Test func live() {
        var publication = Publication(generation: 5)
        publication.heard(phase(0, 5, .prepared))
        publication.heard(phase(0, 5, .committed))
        #expect(
            publication.ended(.init(generation: 5, outcome: .live, laggards: [])) == .live)
    }

    @Test func refusedCollectsWhoAndWhy() {
        var publication = Publication(generation: 5)
        publication.heard(phase(1, 5, .refused(reason: "tls")))
        publication.heard(phase(nil, 5, .refused(reason: "listener")))
        publication.heard(phase(2, 4, .refused(reason: "of another generation")))
        #expect(
            publication.ended(.init(generation: 5, outcome: .refused, laggards: []))
                == .refused([
                    PublishRefusal(worker: 1, reason: "tls"),
                    PublishRefusal(worker: nil, reason: "listener"),
                ]))
    }

    @Test func refusedWithoutAReasonSaysSo() {
        let publication = Publication(generation: 5)
        guard
            case .refused(let refusals)? = publication.ended(
                .init(generation: 5, outcome: .refused, laggards: []))
        else {
            Issue.record("not refused")
            return
        }
        #expect(refusals.count == 1)
    }

    @Test func partialNamesLaggardsAndSilenceIsForgiven() {
        var publication = Publication(generation: 5)
        publication.heard(phase(1, 5, .timedOut))
        publication.heard(phase(3, 5, .timedOut))
        #expect(publication.late == [1, 3])
        publication.heard(phase(3, 5, .committed))
        #expect(publication.late == [1])
        #expect(
            publication.ended(.init(generation: 5, outcome: .partial, laggards: [1]))
                == .partial(laggards: [1]))
    }

    @Test func theEndOfAnotherIsNotItsOwn() {
        let publication = Publication(generation: 5)
        #expect(publication.ended(.init(generation: 4, outcome: .live, laggards: [])) == nil)
        #expect(publication.ended(.init(generation: 6, outcome: .live, laggards: [])) == nil)
    }
}

struct GenerationLedgerTests {
    @Test func isReleasedOnceEveryWorkerHasLetGo() {
        var ledger = GenerationLedger()
        for worker in 0..<2 {
            ledger.adopted(worker, generation: 0)
            ledger.committed(worker, generation: 1)
            ledger.committed(worker, generation: 2)
        }
        #expect(!ledger.isReleased(through: 1))
        ledger.released(0, generation: 1)
        #expect(!ledger.isReleased(through: 1))
        ledger.released(1, generation: 1)
        #expect(ledger.isReleased(through: 1))
        #expect(!ledger.isReleased(through: 2))
    }

    @Test func aDeadWorkerHoldsNothing() {
        var ledger = GenerationLedger()
        ledger.committed(0, generation: 1)
        #expect(!ledger.isReleased(through: 1))
        ledger.replaced(0)
        #expect(ledger.isReleased(through: 1))
        ledger.committed(0, generation: 2)
        #expect(ledger.isReleased(through: 1))
    }

    @Test func anAdoptedWorkerMayHoldAnythingOlder() {
        var ledger = GenerationLedger()
        ledger.adopted(0, generation: 7)
        #expect(ledger.uncertain == [0])
        #expect(!ledger.isReleased(through: 3))
        ledger.committed(0, generation: 8)
        ledger.released(0, generation: 7)
        #expect(!ledger.isReleased(through: 3))
        ledger.holdsOne(0)
        #expect(ledger.uncertain.isEmpty)
        #expect(ledger.isReleased(through: 7))
        #expect(!ledger.isReleased(through: 8))
    }

    @Test func withoutWorkersNothingIsHeld() {
        #expect(GenerationLedger().isReleased(through: .max))
    }
}

struct BackOffTests {
    @Test func doublesUpToItsBoundAndStartsAgain() {
        var backOff = BackOff(first: .milliseconds(20), most: .milliseconds(100))
        #expect(backOff.failed() == .milliseconds(20))
        #expect(backOff.failed() == .milliseconds(40))
        #expect(backOff.failed() == .milliseconds(80))
        #expect(backOff.failed() == .milliseconds(100))
        #expect(backOff.failed() == .milliseconds(100))
        backOff.succeeded()
        #expect(backOff.failed() == .milliseconds(20))
    }
}
