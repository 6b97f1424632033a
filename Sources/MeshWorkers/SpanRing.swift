import CMeshABI
import MeshModel
import Synchronization

/// A span as a worker tells it: what was done, without the words that OpenTelemetry has for it.
package struct WorkerSpan: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case server
        case client
    }

    package enum HTTPVersion: String, Sendable {
        case http10 = "1.0"
        case http11 = "1.1"
        case http2 = "2"
    }

    package struct Address: Sendable, Equatable {
        /// 4 or 16 bytes; none of a socket file.
        package var ip: [UInt8] = []
        package var port = 0
    }

    package var kind: Kind
    package var traceID: [UInt8]
    package var spanID: [UInt8]
    /// Empty: the trace began here.
    package var parentID: [UInt8]
    package var hasRemoteParent: Bool
    package var traceFlags: UInt8
    package var traceState: String
    /// CLOCK_MONOTONIC.
    package var startNanoseconds: UInt64
    package var durationNanoseconds: UInt64
    package var bytesIn: UInt64
    package var bytesOut: UInt64
    /// Tries before this one.
    package var attempt: Int
    /// 0: there was none.
    package var status: Int
    package var outcome: RequestOutcome
    package var version: HTTPVersion?
    package var isTLS: Bool
    package var isReused: Bool
    package var clientIP: String
    package var clientPort: Int
    /// Where the listener listens.
    package var local: Address
    /// The endpoint's, of a client span.
    package var remote: Address
    package var listener: String
    /// The service that the listener belongs to; empty: it is the node's own.
    package var owner: String
    package var clientIdentity: String
    package var method: String
    package var host: String
    package var path: String
    package var route: String
    package var service: String
    package var target: String
    package var instance: String
    package var userAgent: String
}

/// The ring in which a worker leaves its spans. One reader at a time.
package final class SpanRing: Sendable {
    private let mapping: SharedMapping
    /// Where records are copied to before they are looked at.
    private let buffer: Mutex<[UInt8]>

    init(_ file: Descriptor) throws {
        mapping = try SharedMapping(
            file, size: Int(abi_span_ring_bytes()), at: Int(abi_stats_spans_at()), writable: true)
        buffer = Mutex([UInt8](repeating: 0, count: Int(LIMIT_SPAN_RECORD)))
        let head = mapping.withBytes { $0.loadUnaligned(as: abi_records.self) }
        guard head.magic == ABI_SPANS_MAGIC, head.version == ABI_VERSION,
            head.size == LIMIT_SPAN_RING
        else { throw MeshError(.invalid, "the spans of a worker have another layout") }
    }

    /// Takes at most so many spans out, the oldest first; the room that they had is the worker's
    /// again.
    package func take(_ most: Int) -> [WorkerSpan] {
        buffer.withLock { buffer in
            let ring = mapping.start.assumingMemoryBound(to: abi_records.self)
            var tail = ring.pointee.tail  // nobody else writes it
            var spans: [WorkerSpan] = []
            buffer.withUnsafeMutableBytes { bytes in
                while spans.count < most {
                    let record = bytes.baseAddress?.assumingMemoryBound(to: abi_span.self)
                    let read = abi_span_ring_next(ring, &tail, record)
                    guard read == ABI_RECORDS_TAKEN else { break }
                    spans.append(WorkerSpan(UnsafeRawBufferPointer(bytes)))
                }
            }
            abi_records_release(ring, tail)
            return spans
        }
    }
}

extension WorkerSpan {
    /// A record that was checked, with its texts behind it.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        let span = bytes.loadUnaligned(as: abi_span.self)
        func text(_ which: abi_span_text) -> String {
            withUnsafeBytes(of: span.parts) { parts in
                let part = parts.loadUnaligned(
                    fromByteOffset: Int(which.rawValue) * MemoryLayout<abi_log_part>.stride,
                    as: abi_log_part.self)
                let start = MemoryLayout<abi_span>.size + Int(part.at)
                return String(decoding: bytes[start..<start + Int(part.len)], as: UTF8.self)
            }
        }
        func id<T>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        let parent = id(span.parent_id)
        let flags = UInt32(span.flags)
        kind = span.type == UInt8(ABI_SPAN_SERVER.rawValue) ? .server : .client
        traceID = id(span.trace_id)
        spanID = id(span.span_id)
        parentID = parent.allSatisfy { $0 == 0 } ? [] : parent
        hasRemoteParent = flags & ABI_SPAN_IS_REMOTE.rawValue != 0
        traceFlags = span.trace_flags
        traceState = text(ABI_SPAN_STATE)
        startNanoseconds = span.started_ns
        durationNanoseconds = span.duration_ns
        bytesIn = span.bytes_in
        bytesOut = span.bytes_out
        attempt = Int(span.attempt)
        status = Int(span.status)
        outcome = RequestOutcome.allCases[Int(span.outcome)]
        version =
            switch abi_log_protocol(UInt32(span.protocol)) {
            case ABI_LOG_HTTP10: .http10
            case ABI_LOG_HTTP11: .http11
            case ABI_LOG_HTTP2: .http2
            default: nil
            }
        isTLS = flags & ABI_SPAN_IS_TLS.rawValue != 0
        isReused = flags & ABI_SPAN_IS_REUSED.rawValue != 0
        clientIP = text(ABI_SPAN_CLIENT_IP)
        clientPort = Int(span.client_port)
        local = Address(span.local)
        remote = Address(span.remote)
        listener = text(ABI_SPAN_LISTENER)
        owner = text(ABI_SPAN_OWNER)
        clientIdentity = text(ABI_SPAN_CLIENT_IDENTITY)
        method = text(ABI_SPAN_METHOD)
        host = text(ABI_SPAN_HOST)
        path = text(ABI_SPAN_PATH)
        route = text(ABI_SPAN_ROUTE)
        service = text(ABI_SPAN_SERVICE)
        target = text(ABI_SPAN_TARGET)
        instance = text(ABI_SPAN_INSTANCE)
        userAgent = text(ABI_SPAN_USER_AGENT)
    }
}

extension WorkerSpan.Address {
    fileprivate init(_ record: abi_log_address) {
        let ip = withUnsafeBytes(of: record.ip) { Array($0) }
        switch abi_family(UInt32(record.family)) {
        case ABI_FAMILY_IP4: self.init(ip: Array(ip.prefix(4)), port: Int(record.port))
        case ABI_FAMILY_IP6: self.init(ip: ip, port: Int(record.port))
        default: self.init()
        }
    }
}
