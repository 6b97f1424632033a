import MeshTelemetry
import Testing

@testable import MeshWorkers
@testable import controlplane

/// What workers tell, in OpenTelemetry's words.
@Suite struct SpanConventionTests {
    private static func span(_ kind: WorkerSpan.Kind = .server) -> WorkerSpan {
        WorkerSpan(
            kind: kind, traceID: [1], spanID: [2], parentID: [], hasRemoteParent: false,
            traceFlags: 1, traceState: "", startNanoseconds: 1000, durationNanoseconds: 50,
            bytesIn: 0, bytesOut: 7, attempt: 0, status: 200, outcome: .ok, version: .http11,
            isTLS: true, isReused: false, clientIP: "::1", clientPort: 4,
            local: .init(ip: [127, 0, 0, 1], port: 80),
            remote: .init(ip: [UInt8](repeating: 0, count: 15) + [1], port: 81),
            listener: "public", owner: "", clientIdentity: "", method: "GET", host: "h",
            path: "/p", route: "r", service: "web", target: "web.default.dc1", instance: "web-1",
            userAgent: "")
    }

    private static func told(_ change: (inout WorkerSpan) -> Void = { _ in }) -> TraceSpan {
        var span = span()
        change(&span)
        return SpanConventions(serviceName: "edge", clockOffset: 10).span(span)
    }

    private static func value(_ name: String, _ span: TraceSpan) -> TraceSpan.Value? {
        let found = span.attributes.filter { $0.name == name }
        #expect(found.count <= 1)
        return found.first?.value
    }

    @Test func aServerSpan() {
        let span = Self.told()
        #expect(span.service == "edge" && span.name == "GET r" && !span.isError)
        #expect(span.startNanoseconds == 1010 && span.endNanoseconds == 1060)
        #expect(Self.value("url.scheme", span) == .text("https"))
        #expect(Self.value("server.port", span) == .number(80))
        #expect(Self.value("user_agent.original", span) == nil, "what is empty is left out")
        #expect(Self.value("url.query", span) == nil)
    }

    @Test func aClientSpan() {
        let span = Self.told { $0 = Self.span(.client) }
        #expect(span.name == "GET" && span.kind == .client)
        #expect(Self.value("network.peer.address", span) == .text("::1"))
        #expect(Self.value("http.request.resend_count", span) == nil)
        let again = Self.told {
            $0 = Self.span(.client)
            $0.attempt = 2
        }
        #expect(Self.value("http.request.resend_count", again) == .number(2))
    }

    @Test func methodsThatNobodyKnowsMakeNoNewNames() {
        let span = Self.told { $0.method = "BREW" }
        #expect(span.name == "HTTP r")
        #expect(Self.value("http.request.method", span) == .text("_OTHER"))
        #expect(Self.value("http.request.method_original", span) == .text("BREW"))
    }

    @Test func spansOfAServiceAreItsOwn() {
        #expect(Self.told { $0.owner = "api" }.service == "api")
    }

    @Test(arguments: [
        (WorkerSpan.Kind.server, RequestOutcome.ok, 404, false),
        (.server, .ok, 500, true), (.client, .ok, 404, true), (.client, .ok, 302, false),
        (.server, .denied, 403, false), (.server, .noEndpoint, 503, true),
        (.server, .clientGone, 200, true), (.client, .connectFailed, 0, true),
        (.server, .responded, 204, false),
    ])
    func errors(kind: WorkerSpan.Kind, outcome: RequestOutcome, status: Int, isError: Bool) {
        let span = Self.told {
            $0 = Self.span(kind)
            $0.outcome = outcome
            $0.status = status
        }
        #expect(span.isError == isError)
        #expect((Self.value("error.type", span) != nil) == isError)
    }

    @Test func addresses() {
        #expect(SpanConventions.text(of: [10, 0, 0, 255]) == "10.0.0.255")
        #expect(SpanConventions.text(of: []) == "")
    }
}
