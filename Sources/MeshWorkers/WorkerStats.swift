import CMeshABI
import MeshModel

/// Latencies in buckets, two per power of two microseconds.
package struct LatencyHistogram: Sendable, Equatable {
    /// Observations per bucket.
    package var counts: [UInt64]
    package var sumMicroseconds: UInt64

    package static let buckets = Int(ABI_HISTOGRAM_BUCKETS)

    package init() {
        self.counts = Array(repeating: 0, count: Self.buckets)
        self.sumMicroseconds = 0
    }

    package var count: UInt64 { counts.reduce(0, &+) }

    /// The bucket's upper bound in microseconds; nil for the last one, which has none.
    package static func upperBound(_ bucket: Int) -> Double? {
        switch bucket {
        case 0: return 1
        case 1..<(buckets - 1):
            let power = Double(UInt64(1) << UInt64((bucket - 1) / 2))
            return bucket % 2 == 1 ? 1.5 * power : 2 * power
        default: return nil
        }
    }

    /// Adds the observations of another worker.
    package static func += (left: inout Self, right: Self) {
        for bucket in 0..<buckets { left.counts[bucket] &+= right.counts[bucket] }
        left.sumMicroseconds &+= right.sumMicroseconds
    }
}

/// Counters of one worker process as a whole; those named in the present tense are gauges.
package struct WorkerCounters: Sendable, Equatable {
    package var connectionsOpen: UInt64 = 0
    package var upstreamOpen: UInt64 = 0
    package var upstreamIdle: UInt64 = 0
    package var requestsActive: UInt64 = 0
    package var tlsOpen: UInt64 = 0
    package var accepted: UInt64 = 0
    package var acceptErrors: UInt64 = 0
    package var shed: UInt64 = 0
    package var turns: UInt64 = 0
    package var events: UInt64 = 0
    package var staleEvents: UInt64 = 0
    package var noBuffers: UInt64 = 0
    package var splicedBytes: UInt64 = 0
    package var spillBlocks: UInt64 = 0
    package var spillBlocksHigh: UInt64 = 0
    package var connectionsHigh: UInt64 = 0
    package var requestsHigh: UInt64 = 0
    package var viewsLive: UInt64 = 0
    package var reauthorizedClosed: UInt64 = 0
    package var starts: UInt64 = 0
    package var logRecords: UInt64 = 0
    package var logDropped: UInt64 = 0
    package var logWritten: UInt64 = 0
    package var logLost: UInt64 = 0
    package var spans: UInt64 = 0
    package var spansDropped: UInt64 = 0
    package var mirrors: UInt64 = 0
    package var mirrorsFailed: UInt64 = 0

    package init() {}

    /// Adds what the slot counted before under another data plane; gauges are of the process that
    /// has it now.
    package mutating func addTotals(of former: Self) {
        let members: [WritableKeyPath<Self, UInt64>] = [
            \.accepted, \.acceptErrors, \.shed, \.turns, \.events, \.staleEvents, \.noBuffers,
            \.splicedBytes, \.reauthorizedClosed, \.starts, \.logRecords, \.logDropped,
            \.logWritten, \.logLost, \.spans, \.spansDropped, \.mirrors, \.mirrorsFailed,
        ]
        for member in members { self[keyPath: member] &+= former[keyPath: member] }
    }
}

/// Counters of one listener.
package struct ListenerCounters: Sendable, Equatable {
    package var accepted: UInt64 = 0
    package var open: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    package var handshakes: UInt64 = 0
    package var handshakesResumed: UInt64 = 0
    package var handshakesFailed: UInt64 = 0
    package var denied: UInt64 = 0
    package var requests: UInt64 = 0
    /// Answers by hundreds: index 0 is 1xx, 4 is 5xx.
    package var codes: [UInt64] = Array(repeating: 0, count: 5)
    /// How requests and connections ended, in the order of `RequestOutcome`.
    package var outcomes: [UInt64] = Array(repeating: 0, count: RequestOutcome.allCases.count)
    package var latency = LatencyHistogram()

    package init() {}

    /// Adds the counters of another worker.
    package static func += (left: inout Self, right: Self) {
        let members: [WritableKeyPath<Self, UInt64>] = [
            \.accepted, \.open, \.bytesIn, \.bytesOut, \.handshakes, \.handshakesResumed,
            \.handshakesFailed, \.denied, \.requests,
        ]
        for member in members { left[keyPath: member] &+= right[keyPath: member] }
        for index in left.codes.indices { left.codes[index] &+= right.codes[index] }
        for index in left.outcomes.indices { left.outcomes[index] &+= right.outcomes[index] }
        left.latency += right.latency
    }
}

/// Counters of one target: a resolved destination.
package struct TargetCounters: Sendable, Equatable {
    package var connects: UInt64 = 0
    package var connectFailures: UInt64 = 0
    package var open: UInt64 = 0
    package var requests: UInt64 = 0
    package var retries: UInt64 = 0
    package var bytesIn: UInt64 = 0
    package var bytesOut: UInt64 = 0
    /// Answers by hundreds: index 0 is 2xx, 3 is 5xx.
    package var codes: [UInt64] = Array(repeating: 0, count: 4)
    package var resets: UInt64 = 0
    package var ejections: UInt64 = 0
    /// How requests and connections that went there ended, in the order of `RequestOutcome`.
    package var outcomes: [UInt64] = Array(repeating: 0, count: RequestOutcome.allCases.count)
    package var latency = LatencyHistogram()

    package init() {}

    /// Adds the counters of another worker.
    package static func += (left: inout Self, right: Self) {
        let members: [WritableKeyPath<Self, UInt64>] = [
            \.connects, \.connectFailures, \.open, \.requests, \.retries, \.bytesIn, \.bytesOut,
            \.resets, \.ejections,
        ]
        for member in members { left[keyPath: member] &+= right[keyPath: member] }
        for index in left.codes.indices { left.codes[index] &+= right.codes[index] }
        for index in left.outcomes.indices { left.outcomes[index] &+= right.outcomes[index] }
        left.latency += right.latency
    }
}

/// Counters of one way that requests took: a route, or an endpoint.
package struct WayCounters: Sendable, Equatable {
    /// Answers by hundreds: index 0 is 1xx, 4 is 5xx.
    package var codes: [UInt64] = Array(repeating: 0, count: 5)
    /// What ended without an answer, or with a part of one.
    package var errors: UInt64 = 0
    /// Tries besides the first.
    package var retries: UInt64 = 0
    package var latency = LatencyHistogram()

    package init() {}

    /// Whatever the end was.
    package var requests: UInt64 { codes.reduce(errors, &+) }

    /// Adds the counters of another worker.
    package static func += (left: inout Self, right: Self) {
        for index in left.codes.indices { left.codes[index] &+= right.codes[index] }
        left.errors &+= right.errors
        left.retries &+= right.retries
        left.latency += right.latency
    }
}

/// Why a request or connection ended as it did; the raw value is the label in metrics.
package enum RequestOutcome: String, Sendable, CaseIterable {
    case ok
    case noRoute = "no_route"
    case denied
    case noEndpoint = "no_endpoint"
    case connectFailed = "connect_failed"
    case connectTimeout = "connect_timeout"
    case upstreamReset = "upstream_reset"
    case upstreamProtocol = "upstream_protocol"
    case requestTimeout = "request_timeout"
    case headTimeout = "head_timeout"
    case idleTimeout = "idle_timeout"
    case badRequest = "bad_request"
    case tooLarge = "too_large"
    case clientGone = "client_gone"
    case overload
    case tls
    case drained
    case loop
    case responded
    case connectionLimit = "connection_limit"
    case upstreamTLS = "upstream_tls"
    case proxyHeader = "proxy_header"
    case upstreamLimit = "upstream_limit"
    case rateLimited = "rate_limited"
    case notRedirected = "not_redirected"
    case noVerdict = "no_verdict"
    case maxLifetime = "max_lifetime"
}
