import SwiftProtobuf

/// What a collector's answer means for the spans that were sent (OTLP, "OTLP/HTTP Response").
package enum OTLPAnswer: Sendable, Equatable {
    /// It has them, but for `rejected`, which are lost; `message` says why, or warns.
    case taken(rejected: UInt64, message: String)
    /// The same may be sent again, not before so long; nil: as the sender sees fit.
    case later(after: Duration?)
    /// It will never take them.
    case refused

    /// Longest pause that an answer is believed about.
    package static let mostPause = Duration.seconds(300)

    /// `now` is Unix time in seconds, for answers that name a date.
    package init(
        status: Int, retryAfter: String? = nil, contentType: String? = nil, body: [UInt8] = [],
        now: Int64
    ) {
        switch status {
        case 200..<300:
            // A body that is not what it says it is changes nothing: the spans are there.
            let isProtobuf = contentType?.hasPrefix(OTLPRequest.contentType) ?? true
            let answer = try? isProtobuf ? Ringmesh_Otlp_ExportResponse(serializedBytes: body) : nil
            let partial = answer?.partialSuccess
            self = .taken(
                rejected: UInt64(clamping: partial?.rejectedSpans ?? 0),
                message: String((partial?.errorMessage ?? "").prefix(256)))
        case 429, 502, 503, 504:
            self = .later(after: retryAfter.flatMap { Self.pause($0, now: now) })
        default:
            self = .refused
        }
    }

    /// Seconds, or a date of HTTP (RFC 9110 10.2.3).
    static func pause(_ text: String, now: Int64) -> Duration? {
        let text = text.trimmingBlanks
        if let seconds = UInt32(text) { return min(.seconds(seconds), mostPause) }
        guard let date = WallTime.seconds(ofHTTPDate: text) else { return nil }
        return min(.seconds(max(0, date - now)), mostPause)
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        let rest = drop { $0 == " " || $0 == "\t" }
        let end = rest.lastIndex { $0 != " " && $0 != "\t" }
        return end.map { String(rest[...$0]) } ?? ""
    }
}
