import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel
import Testing

@testable import meshctl

@Suite struct OutcomeTests {
    @Test func aChangeIsToldByItsOutcome() {
        func text(_ report: ChangeReport) -> ChangeText { ChangeText(report, done: "did it") }
        #expect(
            text(ChangeReport(outcome: .live, generation: 8)).results
                == ["did it; generation 8 is live in every worker"])
        #expect(
            text(ChangeReport(outcome: .stored, generation: 0)).results
                == ["did it; no data plane is connected: it takes effect when one is"])
        #expect(
            text(ChangeReport(outcome: .partial, generation: 8, laggards: [1])).complaints
                == ["did it; worker 1 has not acknowledged generation 8 in time"])
        #expect(
            text(ChangeReport(outcome: .partial, generation: 8, laggards: [1, 3])).complaints
                == ["did it; workers 1, 3 have not acknowledged generation 8 in time"])
        #expect(
            text(
                ChangeReport(
                    outcome: .refused, generation: 8,
                    refusals: [
                        .init(worker: 0, reason: "bad"), .init(worker: nil, reason: "worse"),
                    ])
            ).complaints == [
                "did it, but it is not in force: generation 8 was refused", "worker 0: bad",
                "the data plane: worse",
            ])
    }

    @Test func outcomesAreExitCodes() {
        #expect(ExitStatus(of: .live) == nil)
        #expect(ExitStatus(of: .stored) == nil)
        #expect(ExitStatus(of: .partial)?.rawValue == 4)
        #expect(ExitStatus(of: .refused)?.rawValue == 1)
    }

    @Test(
        arguments: [
            (MeshError.Code.unavailable, 69), (.timeout, 69), (.tls, 69), (.denied, 77),
            (.invalid, 1), (.tooLarge, 1), (.system, 1),
        ] as [(MeshError.Code, Int32)])
    func errorsOnTheWayAreExitCodes(code: MeshError.Code, status: Int32) {
        #expect(ExitStatus(onTheWay: MeshError(code, "x")).rawValue == status)
    }

    /// A control plane that answers has been reached, whatever it lacks itself.
    @Test(
        arguments: [("unavailable", 1), ("timeout", 1), ("not_found", 1), ("denied", 77)]
            as [(String, Int32)])
    func answeredErrorsAreExitCodes(code: String, status: Int32) {
        #expect(ExitStatus(answered: ErrorReport(code: code, message: "x")).rawValue == status)
    }

    @Test func aConflictIsARefusalOrAnError() throws {
        func answer(_ status: Int, _ body: some Encodable) throws -> OutboundResponse {
            OutboundResponse(status: status, body: Array(try APICoding.encoder().encode(body)))
        }
        let refused = try answer(409, Sample.refusedChange)
        #expect(try Connection.report(in: refused) == Sample.refusedChange)
        let late = ChangeReport(outcome: .partial, generation: 8, laggards: [1])
        #expect(try Connection.report(in: answer(202, late)) == late)
        let error = ErrorReport(code: "owned_by_file", message: "mesh.yaml owns it")
        #expect {
            _ = try Connection.report(in: answer(409, error))
        } throws: { thrown in
            (thrown as? ErrorAnswer)?.report == error
        }
    }

    @Test func whatIsNoAdminAddressIsSuspected() {
        let page = OutboundResponse(status: 404, body: Array("<html>".utf8))
        #expect(
            ErrorAnswer(page).report.message
                == "the server answered 404: is it a Ringmesh admin address?")
        #expect {
            _ = try Connection.report(in: OutboundResponse(status: 200, body: [0x3C]))
        } throws: { error in
            (error as? MeshError)?.message.contains("is it a Ringmesh admin address?") == true
        }
    }
}
