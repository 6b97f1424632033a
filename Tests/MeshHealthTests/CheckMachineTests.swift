import MeshModel
import Testing

@testable import MeshHealth

@Suite struct CheckMachineTests {
    private let start = ContinuousClock.now

    private func machine(successes: Int = 0, failures: Int = 0) -> CheckMachine {
        CheckMachine(
            CheckDefinition(
                tcp: "127.0.0.1:1", successBeforePassing: successes,
                failuresBeforeCritical: failures), now: start)
    }

    private func saw(_ machine: inout CheckMachine, _ status: CheckStatus) -> Bool {
        machine.observed(CheckResult(status, ""), now: start)
    }

    @Test func beginsCriticalUnlessToldOtherwise() {
        #expect(machine().status == .critical)
        #expect(machine().criticalSince == start)
        let told = CheckMachine(CheckDefinition(tcp: "127.0.0.1:1", status: .passing), now: start)
        #expect(told.status == .passing)
        #expect(told.criticalSince == nil)
    }

    @Test(arguments: [(0, 1), (1, 1), (2, 2), (3, 3)])
    func turnsAfterResultsInARow(threshold: Int, needed: Int) {
        var machine = machine(successes: threshold, failures: threshold)
        for result in 1...needed {
            #expect(saw(&machine, .passing) == (result == needed))
        }
        #expect(machine.status == .passing)
        for result in 1...needed {
            #expect(saw(&machine, .critical) == (result == needed))
        }
        #expect(machine.status == .critical)
    }

    @Test func aResultOfTheOtherKindStartsTheCountAgain() {
        var machine = machine(successes: 3)
        for status in [CheckStatus.passing, .passing, .critical, .passing, .passing] {
            #expect(!saw(&machine, status))
        }
        #expect(saw(&machine, .passing))
    }

    @Test func aMissedReportIsCriticalAtOnce() {
        var machine = machine(failures: 5)
        _ = saw(&machine, .passing)
        let isTold = machine.expired("no report", now: start + .seconds(1))
        #expect(isTold)
        #expect(machine.status == .critical)
        #expect(machine.output == "no report")
        #expect(machine.criticalSince == start + .seconds(1))
    }

    @Test func outputIsBoundedAtACharacter() {
        let text = String(repeating: "é", count: CheckResult.outputLimit)
        let kept = CheckResult(.passing, text).output
        #expect(kept.utf8.count <= CheckResult.outputLimit + 3)
        #expect(kept.hasPrefix("éééé"))
    }
}
