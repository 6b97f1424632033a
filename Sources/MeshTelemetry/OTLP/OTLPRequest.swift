import Foundation
import SwiftProtobuf

/// The body of an export to a collector: OTLP over HTTP, protobuf.
package enum OTLPRequest {
    package static let contentType = "application/x-protobuf"
    /// The version of the semantic conventions that attributes have their names from.
    package static let schema = "https://opentelemetry.io/schemas/1.27.0"

    /// What all resources of a node have besides `service.name`.
    package struct Resource: Sendable, Equatable {
        package var attributes: [(name: String, value: String)]
        /// The program that made the spans.
        package var scope: String
        package var version: String

        package init(
            attributes: [(name: String, value: String)], scope: String, version: String
        ) {
            self.attributes = attributes
            self.scope = scope
            self.version = version
        }

        package static func == (left: Self, right: Self) -> Bool {
            left.scope == right.scope && left.version == right.version
                && left.attributes.elementsEqual(right.attributes) { $0 == $1 }
        }
    }

    /// One resource for each service, in the order in which they come up.
    package static func encode(_ spans: [TraceSpan], resource: Resource) throws -> [UInt8] {
        var places: [String: Int] = [:]
        var request = Ringmesh_Otlp_ExportRequest()
        for span in spans {
            let place = places[span.service] ?? request.resourceSpans.count
            if place == request.resourceSpans.count {
                places[span.service] = place
                request.resourceSpans.append(group(span.service, resource))
            }
            request.resourceSpans[place].scopeSpans[0].spans.append(message(of: span))
        }
        return try request.serializedBytes()
    }

    private static func group(
        _ service: String, _ resource: Resource
    ) -> Ringmesh_Otlp_ResourceSpans {
        var spans = Ringmesh_Otlp_ScopeSpans()
        spans.scope.name = resource.scope
        spans.scope.version = resource.version
        var group = Ringmesh_Otlp_ResourceSpans()
        group.schemaURL = schema
        group.resource.attributes =
            [pair("service.name", .text(service))]
            + resource.attributes.map { pair($0.name, .text($0.value)) }
        group.scopeSpans = [spans]
        return group
    }

    private static func message(of span: TraceSpan) -> Ringmesh_Otlp_Span {
        var message = Ringmesh_Otlp_Span()
        message.traceID = .init(span.traceID)
        message.spanID = .init(span.spanID)
        message.parentSpanID = .init(span.parentID)
        message.traceState = span.traceState
        message.name = span.name
        message.kind = span.kind == .server ? .server : .client
        message.startTimeUnixNano = span.startNanoseconds
        message.endTimeUnixNano = max(span.startNanoseconds, span.endNanoseconds)
        message.attributes = span.attributes.map { pair($0.name, $0.value) }
        if span.isError { message.status.code = .error }
        // Whether the parent is remote is known, and this is whether.
        message.flags = UInt32(span.traceFlags) | 0x100 | (span.hasRemoteParent ? 0x200 : 0)
        return message
    }

    private static func pair(
        _ name: String, _ value: TraceSpan.Value
    ) -> Ringmesh_Otlp_KeyValue {
        var pair = Ringmesh_Otlp_KeyValue()
        pair.key = name
        switch value {
        case .text(let text): pair.value.stringValue = text
        case .number(let number): pair.value.intValue = number
        }
        return pair
    }
}
