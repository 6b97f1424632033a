import CMeshABI
import MeshModel

/// Values of header rules: text with marks where the data plane puts what it knows.
extension SnapshotWriter {
    mutating func writeValue(
        _ value: String, _ what: @autoclosure () -> String, _ record: inout abi_header_op
    ) {
        do {
            let template = try HeaderTemplate(value, onResponse: record.response != 0)
            guard template.varies else {
                record.value = line(template.marked, what())
                return
            }
            for case .literal(let text) in template.pieces { _ = line(text, what()) }
            record.varies = 1
            record.value = place(template.marked, what())
        } catch { refuse("\(what()): \(error)") }
    }
}

extension HeaderTemplate {
    /// The value as the data plane reads it.
    var marked: String {
        pieces.reduce(into: "") { text, piece in
            switch piece {
            case .literal(let literal): text += literal
            case .variable(let variable):
                text.unicodeScalars.append(Unicode.Scalar(UInt8(ABI_HEADER_MARK)))
                text.unicodeScalars.append(
                    Unicode.Scalar(UInt8(ABI_HEADER_FIRST) + UInt8(variable.number.rawValue)))
            }
        }
    }

    /// How a value that the data plane reads was written.
    static func written(_ marked: String) -> String {
        var text = ""
        var isVariable = false
        for scalar in marked.unicodeScalars {
            if scalar.value == ABI_HEADER_MARK {
                isVariable = true
            } else if isVariable {
                let number = scalar.value - ABI_HEADER_FIRST
                let variable = HeaderVariable.allCases.first { $0.number.rawValue == number }
                text += "%{\(variable?.rawValue ?? "?")}"
                isVariable = false
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension HeaderVariable {
    /// What the data plane calls it.
    var number: abi_header_variable {
        switch self {
        case .clientIP: ABI_HEADER_CLIENT_IP
        case .clientPort: ABI_HEADER_CLIENT_PORT
        case .clientIdentity: ABI_HEADER_CLIENT_IDENTITY
        case .method: ABI_HEADER_METHOD
        case .scheme: ABI_HEADER_SCHEME
        case .host: ABI_HEADER_HOST
        case .path: ABI_HEADER_PATH
        case .query: ABI_HEADER_QUERY
        case .protocolName: ABI_HEADER_PROTOCOL
        case .listener: ABI_HEADER_LISTENER
        case .route: ABI_HEADER_ROUTE
        case .service: ABI_HEADER_SERVICE
        case .node: ABI_HEADER_NODE
        case .traceID: ABI_HEADER_TRACE_ID
        case .tlsVersion: ABI_HEADER_TLS_VERSION
        case .tlsCipher: ABI_HEADER_TLS_CIPHER
        case .tlsSNI: ABI_HEADER_TLS_SNI
        case .upstreamAddress: ABI_HEADER_UPSTREAM_ADDRESS
        }
    }
}
