import MeshTables
import MeshTelemetry
import MeshWorkers

/// What workers tell in OpenTelemetry's words: the semantic conventions of HTTP spans, and names of
/// our own (`ringmesh.…`) for what they have none for. A query is never told: it may hold secrets.
struct SpanConventions: Sendable {
    /// The `service.name` of the node's own listeners.
    var serviceName: String
    /// From CLOCK_MONOTONIC to Unix time, nanoseconds.
    var clockOffset: Int64

    func span(_ span: WorkerSpan) -> TraceSpan {
        let start = UInt64(clamping: Int64(clamping: span.startNanoseconds) &+ clockOffset)
        return TraceSpan(
            service: span.owner.isEmpty ? serviceName : span.owner, traceID: span.traceID,
            spanID: span.spanID, parentID: span.parentID, hasRemoteParent: span.hasRemoteParent,
            traceFlags: span.traceFlags, traceState: span.traceState, name: name(of: span),
            kind: span.kind == .server ? .server : .client, startNanoseconds: start,
            endNanoseconds: start &+ span.durationNanoseconds,
            attributes: attributes(of: span).compactMap { name, value in value.map { (name, $0) } },
            isError: isError(span))
    }

    private static let methods: Set<String> = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ]

    /// Few names: the method and, of requests that came in, the route. Never the path.
    private func name(of span: WorkerSpan) -> String {
        let method = Self.methods.contains(span.method) ? span.method : "HTTP"
        return span.kind == .server && !span.route.isEmpty ? "\(method) \(span.route)" : method
    }

    /// A server's span fails with 5xx, a client's with 4xx too; both with no whole answer.
    private func isError(_ span: WorkerSpan) -> Bool {
        switch span.outcome {
        case .ok, .responded: span.status >= (span.kind == .server ? 500 : 400)
        case .denied, .noRoute, .badRequest, .tooLarge, .loop, .headTimeout, .idleTimeout:
            span.kind == .client || span.status >= 500
        default: true
        }
    }

    private func attributes(of span: WorkerSpan) -> [(String, TraceSpan.Value?)] {
        let known = Self.methods.contains(span.method)
        var list: [(String, TraceSpan.Value?)] = [
            ("http.request.method", .text(known ? span.method : "_OTHER")),
            ("http.request.method_original", known ? nil : text(span.method)),
            ("http.response.status_code", number(span.status)),
            ("network.protocol.name", .text("http")),
            ("network.protocol.version", span.version.map { .text($0.rawValue) }),
            ("error.type", isError(span) ? .text(errorType(span)) : nil),
            ("ringmesh.flag", .text(span.outcome.rawValue)),
            ("ringmesh.listener", text(span.listener)),
            ("ringmesh.service", text(span.service)),
            ("ringmesh.target", text(span.target)),
            ("ringmesh.instance", text(span.instance)),
        ]
        switch span.kind {
        case .server: list += server(span)
        case .client: list += client(span)
        }
        return list
    }

    private func server(_ span: WorkerSpan) -> [(String, TraceSpan.Value?)] {
        [
            ("url.scheme", .text(span.isTLS ? "https" : "http")),
            ("url.path", text(span.path)),
            ("http.route", text(span.route)),
            ("server.address", text(span.host)),
            ("server.port", number(span.local.port)),
            ("client.address", text(span.clientIP)),
            ("client.port", number(span.clientPort)),
            ("user_agent.original", text(span.userAgent)),
            ("http.request.body.size", .number(Int64(clamping: span.bytesIn))),
            ("http.response.body.size", .number(Int64(clamping: span.bytesOut))),
            ("ringmesh.client.identity", text(span.clientIdentity)),
        ]
    }

    private func client(_ span: WorkerSpan) -> [(String, TraceSpan.Value?)] {
        let address = Self.text(of: span.remote.ip)
        return [
            ("server.address", text(span.instance.isEmpty ? address : span.instance)),
            ("server.port", number(span.remote.port)),
            ("network.peer.address", text(address)),
            ("network.peer.port", number(span.remote.port)),
            ("http.request.resend_count", number(span.attempt)),
            ("ringmesh.connection.reused", .text(span.isReused ? "true" : "false")),
            ("ringmesh.upstream.tls", .text(span.isTLS ? "true" : "false")),
        ]
    }

    /// The status, or how it ended where there is none.
    private func errorType(_ span: WorkerSpan) -> String {
        let isWhole = span.outcome == .ok || span.outcome == .responded
        return isWhole ? "\(span.status)" : span.outcome.rawValue
    }

    private func text(_ text: String) -> TraceSpan.Value? { text.isEmpty ? nil : .text(text) }
    private func number(_ number: Int) -> TraceSpan.Value? {
        number == 0 ? nil : .number(Int64(number))
    }

    static func text(of ip: [UInt8]) -> String {
        func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
            bytes.reduce(0) { $0 << 8 | UInt64($1) }
        }
        switch ip.count {
        case 4: return "\(IPAddress(v4: UInt32(number(ip))))"
        case 16: return "\(IPAddress(v6High: number(ip.prefix(8)), low: number(ip.suffix(8))))"
        default: return ""
        }
    }
}
