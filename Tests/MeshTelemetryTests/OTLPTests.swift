import Foundation
import SwiftProtobuf
import Testing

@testable import MeshTelemetry

/// What is sent to a collector, byte by byte, and what its answers mean.
@Suite struct OTLPTests {
    private static func span(_ service: String = "web", id: UInt8 = 2) -> TraceSpan {
        TraceSpan(
            service: service, traceID: [UInt8](repeating: 1, count: 16),
            spanID: [UInt8](repeating: id, count: 8), name: "GET", kind: .server,
            startNanoseconds: 5, endNanoseconds: 9)
    }

    private static let resource = OTLPRequest.Resource(
        attributes: [("host.name", "n")], scope: "ringmesh", version: "1")

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String(format: "%02x", $0) }.joined()
    }

    /// The bytes were written down by hand from the protocol's definitions.
    @Test func theBytesOfASpan() throws {
        var span = Self.span()
        span.parentID = [UInt8](repeating: 3, count: 8)
        span.hasRemoteParent = true
        span.traceState = "a=1"
        span.isError = true
        span.attributes = [("k", .text("v")), ("n", .number(300))]
        let message =
            "0a10" + String(repeating: "01", count: 16)  // trace_id
            + "1208" + String(repeating: "02", count: 8)  // span_id
            + "1a03613d31"  // trace_state
            + "2208" + String(repeating: "03", count: 8)  // parent_span_id
            + "2a03474554"  // name
            + "3002"  // kind: server
            + "390500000000000000" + "410900000000000000"  // from, to
            + "4a08" + "0a016b" + "12030a0176"  // k = "v"
            + "4a08" + "0a016e" + "120318ac02"  // n = 300
            + "7a021802"  // status: error
            + "850101030000"  // flags
        let bytes = Self.hex(try OTLPRequest.encode([span], resource: Self.resource))
        #expect(bytes.contains(message))
        #expect(bytes.contains(Self.hex(Array("service.name".utf8))))
    }

    @Test func oneResourceForEachService() throws {
        let spans = [Self.span("a"), Self.span("b", id: 3), Self.span("a", id: 4)]
        let bytes = try OTLPRequest.encode(spans, resource: Self.resource)
        let read = try Ringmesh_Otlp_ExportRequest(serializedBytes: bytes)
        #expect(read.resourceSpans.count == 2)
        #expect(read.resourceSpans.map { $0.scopeSpans[0].spans.count } == [2, 1])
        let names = read.resourceSpans.map { $0.resource.attributes.map(\.key) }
        #expect(names.allSatisfy { $0 == ["service.name", "host.name"] })
        #expect(try OTLPRequest.encode([], resource: Self.resource).isEmpty)
    }

    /// Head and trailer as RFC 1952 has them; what lies between is undone where real collectors
    /// are asked.
    @Test(arguments: [0, 1, 512])
    func bodiesInGzip(_ count: Int) throws {
        let spans = (0..<count).map { Self.span("s\($0 % 3)", id: UInt8($0 % 255 + 1)) }
        let body = try OTLPRequest.encode(spans, resource: Self.resource)
        let coded = try #require(Gzip.compressed(body))
        #expect(coded.starts(with: [0x1f, 0x8b, 8]))
        let size = coded.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(size == body.count)
        if count > 1 { #expect(coded.count < body.count / 8) }
    }

    /// What cannot be made smaller needs more room than was thought of.
    @Test func noiseInGzip() throws {
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<300_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let coded = try #require(Gzip.compressed(noise))
        #expect(coded.count > noise.count && coded.count < noise.count + 1000)
    }

    @Test func aClockThatWasSetBackMakesNoNegativeSpan() throws {
        var span = Self.span()
        (span.startNanoseconds, span.endNanoseconds) = (9, 5)
        let bytes = try OTLPRequest.encode([span], resource: Self.resource)
        let read = try Ringmesh_Otlp_ExportRequest(serializedBytes: bytes)
        #expect(read.resourceSpans[0].scopeSpans[0].spans[0].endTimeUnixNano == 9)
    }

    @Test func answers() throws {
        func answer(_ status: Int, _ after: String? = nil) -> OTLPAnswer {
            OTLPAnswer(status: status, retryAfter: after, now: 784_111_770)
        }
        for status in [200, 202, 204] {
            #expect(answer(status) == .taken(rejected: 0, message: ""))
        }
        for status in [429, 502, 503, 504] { #expect(answer(status) == .later(after: nil)) }
        for status in [301, 400, 401, 404, 413, 415, 500, 501] {
            #expect(answer(status) == .refused)
        }
        #expect(answer(503, "7") == .later(after: .seconds(7)))
        #expect(answer(429, " 0 ") == .later(after: .zero))
        #expect(answer(503, "99999") == .later(after: .seconds(300)))
        #expect(answer(503, "Sun, 06 Nov 1994 08:49:37 GMT") == .later(after: .seconds(7)))
        #expect(answer(503, "Sun, 06 Nov 1994 08:49:00 GMT") == .later(after: .zero))
        for text in ["", "-1", "7.5", "soon", "Sun, 6 Nov 1994 08:49:37 GMT"] {
            #expect(answer(503, text) == .later(after: nil))
        }
    }

    @Test func aPartOfABatchIsRejected() throws {
        var response = Ringmesh_Otlp_ExportResponse()
        response.partialSuccess.rejectedSpans = 3
        response.partialSuccess.errorMessage = String(repeating: "x", count: 999)
        let body: [UInt8] = try response.serializedBytes()
        let whole = OTLPAnswer(
            status: 200, contentType: "application/x-protobuf", body: body, now: 0)
        #expect(whole == .taken(rejected: 3, message: String(repeating: "x", count: 256)))
        // Cut anywhere it is still an answer, and never a fault.
        for length in 0..<body.count {
            let cut = OTLPAnswer(status: 200, body: Array(body.prefix(length)), now: 0)
            guard case .taken = cut else {
                Issue.record("cut at \(length): \(cut)")
                continue
            }
        }
        let page = OTLPAnswer(status: 200, contentType: "text/html", body: body, now: 0)
        #expect(page == .taken(rejected: 0, message: ""))
        response.partialSuccess.rejectedSpans = -1
        let negative = OTLPAnswer(status: 200, body: try response.serializedBytes(), now: 0)
        #expect(negative == .taken(rejected: 0, message: String(repeating: "x", count: 256)))
    }

    @Test func datesOfHTTP() {
        #expect(WallTime.seconds(ofHTTPDate: "Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
        for text in [
            "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Xxx 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49 GMT", "06 Nov 1994 08:49:37 GMT", "",
        ] {
            #expect(WallTime.seconds(ofHTTPDate: text) == nil)
        }
    }
}

/// When batches are sent, and what becomes of them.
@Suite struct SpanDeliveryTests {
    private static func spans(_ count: Int) -> [TraceSpan] {
        (0..<count).map {
            TraceSpan(
                service: "\($0)", traceID: [], spanID: [], name: "", kind: .client,
                startNanoseconds: 0, endNanoseconds: 0)
        }
    }

    private static let taken = OTLPAnswer.taken(rejected: 0, message: "")

    @Test func aFewWaitForMoreAndManyDoNot() {
        var delivery = SpanDelivery()
        #expect(delivery.next(now: 0) == nil && delivery.isEmpty)
        delivery.add(Self.spans(1), now: 0)
        #expect(delivery.next(now: 0.9) == nil && !delivery.isEmpty)
        #expect(delivery.next(now: 1)?.count == 1)
        #expect(delivery.answered(Self.taken, now: 1, chance: 0) == .delivered(1))
        delivery.add(Self.spans(SpanDelivery.batchSize + 1), now: 2)
        #expect(delivery.next(now: 2)?.count == SpanDelivery.batchSize)
        #expect(delivery.next(now: 9) == nil, "one at a time")
        _ = delivery.answered(Self.taken, now: 2, chance: 0)
        #expect(delivery.next(now: 2) == nil)
        #expect(delivery.next(now: 2, flush: true)?.count == 1)
    }

    @Test func thereIsRoomForSoManyAndTheRestStaysWhereItIs() {
        var delivery = SpanDelivery()
        delivery.add(Self.spans(SpanDelivery.capacity - 1), now: 0)
        #expect(delivery.room == 1)
        delivery.add(Self.spans(2), now: 0)
        #expect(delivery.room == 0)
        #expect(delivery.abandon() == SpanDelivery.capacity && delivery.isEmpty)
    }

    @Test func pausesGrowAndTheBatchStaysTheSame() {
        var delivery = SpanDelivery()
        delivery.add(Self.spans(3), now: 0)
        var now = 1.0
        let first = delivery.next(now: now)
        for pause in [1.0, 2, 4, 8, 16, 30, 30] {
            let end = delivery.answered(nil, now: now, chance: 1)
            #expect(end == .again(after: pause))
            delivery.add(Self.spans(1), now: now)
            #expect(delivery.next(now: now + pause - 0.1) == nil)
            now += pause
            #expect(delivery.next(now: now) == first)
        }
        #expect(delivery.answered(nil, now: now, chance: 0) == .again(after: 15))
        #expect(delivery.next(now: now, flush: true) == first, "at the end nobody waits")
    }

    @Test func theCollectorSaysWhen() {
        var delivery = SpanDelivery()
        delivery.add(Self.spans(1), now: 0)
        _ = delivery.next(now: 1)
        let end = delivery.answered(.later(after: .seconds(42)), now: 1, chance: 0)
        #expect(end == .again(after: 42))
        #expect(delivery.next(now: 42.9) == nil)
        #expect(delivery.next(now: 43) != nil)
    }

    @Test func whatIsRefusedOrTriedForTooLongIsGivenUp() {
        var delivery = SpanDelivery()
        delivery.add(Self.spans(2), now: 0)
        _ = delivery.next(now: 1)
        #expect(delivery.answered(.refused, now: 1, chance: 0) == .refused(2))
        delivery.add(Self.spans(2), now: 10)
        _ = delivery.next(now: 11)
        let last = 11 + SpanDelivery.longestTry
        let end = delivery.answered(.later(after: .seconds(1)), now: last, chance: 0)
        #expect(end == .givenUp(2))
        delivery.add(Self.spans(3), now: 400)
        _ = delivery.next(now: 401)
        let part = delivery.answered(.taken(rejected: 2, message: ""), now: 401, chance: 0)
        #expect(part == .delivered(1))
        #expect(delivery.isEmpty)
    }
}
