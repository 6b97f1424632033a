/// A span as OpenTelemetry has it: what was done for one request, from when to when.
package struct TraceSpan: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case server
        case client
    }

    package enum Value: Sendable, Equatable {
        case text(String)
        case number(Int64)
    }

    /// What the resource of a span is called: the service that it is about.
    package var service: String
    /// 16 bytes.
    package var traceID: [UInt8]
    /// 8 bytes.
    package var spanID: [UInt8]
    /// 8 bytes, or none: the trace began here.
    package var parentID: [UInt8]
    /// The parent came from another process.
    package var hasRemoteParent: Bool
    /// Of traceparent.
    package var traceFlags: UInt8
    package var traceState: String
    package var name: String
    package var kind: Kind
    /// Unix time.
    package var startNanoseconds: UInt64
    package var endNanoseconds: UInt64
    /// Each name once.
    package var attributes: [(name: String, value: Value)]
    package var isError: Bool

    package init(
        service: String, traceID: [UInt8], spanID: [UInt8], parentID: [UInt8] = [],
        hasRemoteParent: Bool = false, traceFlags: UInt8 = 1, traceState: String = "",
        name: String, kind: Kind, startNanoseconds: UInt64, endNanoseconds: UInt64,
        attributes: [(name: String, value: Value)] = [], isError: Bool = false
    ) {
        self.service = service
        self.traceID = traceID
        self.spanID = spanID
        self.parentID = parentID
        self.hasRemoteParent = hasRemoteParent
        self.traceFlags = traceFlags
        self.traceState = traceState
        self.name = name
        self.kind = kind
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
        self.attributes = attributes
        self.isError = isError
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.service == right.service && left.traceID == right.traceID
            && left.spanID == right.spanID && left.parentID == right.parentID
            && left.hasRemoteParent == right.hasRemoteParent
            && left.traceFlags == right.traceFlags && left.traceState == right.traceState
            && left.name == right.name && left.kind == right.kind
            && left.startNanoseconds == right.startNanoseconds
            && left.endNanoseconds == right.endNanoseconds && left.isError == right.isError
            && left.attributes.elementsEqual(right.attributes) { $0 == $1 }
    }
}
