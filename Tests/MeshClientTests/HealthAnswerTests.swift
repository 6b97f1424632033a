import MeshModel
import NIOHPACK
import Testing

@testable import MeshClient

/// Messages of grpc.health.v1, in octets as its schema and protobuf's encoding have them.
@Suite struct HealthAnswerTests {
    @Test func theCallNamesTheService() {
        #expect(HealthAnswer.request("") == [0, 0, 0, 0, 0])
        #expect(HealthAnswer.request("web") == [0, 0, 0, 0, 5, 0x0A, 3, 0x77, 0x65, 0x62])
        let long = HealthAnswer.request(String(repeating: "x", count: 300))
        #expect(Array(long.prefix(8)) == [0, 0, 0, 1, 47, 0x0A, 0xAC, 0x02])
        #expect(long.count == 8 + 300)
    }

    private static let serving: [UInt8] = [0, 0, 0, 0, 2, 0x08, 0x01]

    private func answer(
        _ body: [UInt8], status: String? = "0", http: String = "200", message: String? = nil
    ) -> HealthAnswer {
        var answer = HealthAnswer()
        answer.take([":status": http])
        answer.body = body
        var trailers: HPACKHeaders = [:]
        if let status { trailers.add(name: "grpc-status", value: status) }
        if let message { trailers.add(name: "grpc-message", value: message) }
        answer.take(trailers)
        return answer
    }

    @Test func onlyServingPasses() {
        #expect(answer(Self.serving).failure == nil)
        // Fields that nobody knows, of every kind, and the last of several of ours.
        let strange: [UInt8] = [
            0x10, 0x80, 0x01, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4, 0x2A, 2, 9, 9, 0x08,
            0x02, 0x08, 0x01,
        ]
        #expect(answer([0, 0, 0, 0, UInt8(strange.count)] + strange).failure == nil)
        for (octet, name): (UInt8, String) in [
            (0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN"), (9, "9"),
        ] {
            #expect(
                answer([0, 0, 0, 0, 2, 0x08, octet]).failure == "the serving status is \(name)")
        }
        #expect(answer([0, 0, 0, 0, 0]).failure == "the serving status is UNKNOWN")
        #expect(answer(Self.serving, status: "12", message: "no").failure == "grpc-status 12: no")
        #expect(answer(Self.serving, status: nil).failure == "the answer has no grpc-status")
        #expect(answer(Self.serving, http: "404").failure == "the answer is HTTP 404, not gRPC")
        #expect(HealthAnswer().failure != nil)
    }

    @Test func whatIsNoAnswerFails() {
        let whole: [UInt8] = [0, 0, 0, 0, 9, 0x12, 1, 7, 0x1D, 1, 2, 3, 4, 0x08, 0x01]
        #expect(HealthAnswer.serving(whole) == nil, "its length is wrong")
        let right: [UInt8] = [0, 0, 0, 0, 10] + whole.dropFirst(5)
        #expect(HealthAnswer.serving(right) == 1)
        for end in 0..<right.count {
            #expect(HealthAnswer.serving(Array(right.prefix(end))) == nil)
            // The same octets with a length that says so: cut between fields they are one.
            let cut = Array(right[5...].prefix(max(0, end - 5)))
            let value = HealthAnswer.serving([0, 0, 0, 0, UInt8(cut.count)] + cut)
            #expect(value == nil || value == 0)
        }
        #expect(HealthAnswer.serving([1] + Self.serving.dropFirst()) == nil, "compressed")
        let endless = [UInt8](repeating: 0xFF, count: 12)
        #expect(HealthAnswer.serving([0, 0, 0, 0, 12] + endless) == nil)
        #expect(HealthAnswer.serving([0, 0, 0, 0, 2, 0x0B, 0x01]) == nil, "a group")
        let huge: [UInt8] = [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
        #expect(HealthAnswer.serving([0, 0, 0, 0, 10] + huge) == nil)
    }
}
