/// What a value of a header rule can say of the exchange. The words are those of access logs.
package enum HeaderVariable: String, Sendable, Hashable, CaseIterable {
    case clientIP = "client.ip"
    case clientPort = "client.port"
    case clientIdentity = "client.identity"
    case method
    case scheme
    case host
    case path
    case query
    case protocolName = "protocol"
    case listener
    case route
    case service
    case node
    case traceID = "trace.id"
    case tlsVersion = "tls.version"
    case tlsCipher = "tls.cipher"
    case tlsSNI = "tls.sni"
    case upstreamAddress = "upstream.address"

    /// Whether it is known with the answer only.
    package var isOfAnswer: Bool { self == .upstreamAddress }
}

/// The value of a header rule: `%{name}` is a variable, `%%` a per cent sign, everything else, a
/// single per cent sign too, stands for itself.
package struct HeaderTemplate: Sendable, Hashable {
    package enum Piece: Sendable, Hashable {
        case literal(String)
        case variable(HeaderVariable)
    }

    package let pieces: [Piece]

    /// Throws what is wrong and what to write.
    package init(_ text: String, onResponse: Bool) throws {
        var pieces: [Piece] = []
        var literal = ""
        var rest = text[...]
        while let sign = rest.firstIndex(of: "%") {
            literal += rest[..<sign]
            rest = rest[rest.index(after: sign)...]
            switch rest.first {
            case "%":
                literal += "%"
                rest = rest.dropFirst()
            case "{":
                guard let end = rest.firstIndex(of: "}") else {
                    throw MeshError(.invalid, "%\(rest.prefix(24)) has no end: write %{client.ip}")
                }
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = ""
                pieces.append(.variable(try Self.variable(rest[..<end].dropFirst(), onResponse)))
                rest = rest[rest.index(after: end)...]
            default:
                literal += "%"
            }
        }
        literal += rest
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        self.pieces = pieces
    }

    /// Whether the value differs from request to request.
    package var varies: Bool {
        pieces.contains { if case .variable = $0 { true } else { false } }
    }

    private static func variable(_ name: Substring, _ onResponse: Bool) throws -> HeaderVariable {
        guard let variable = HeaderVariable(rawValue: String(name)) else {
            throw MeshError(
                .invalid,
                "%{\(name)}: there is no such variable: write one of "
                    + HeaderVariable.allCases.map(\.rawValue).joined(separator: ", "))
        }
        guard onResponse || !variable.isOfAnswer else {
            throw MeshError(
                .invalid, "%{\(name)} is known with the answer: use it in response_headers")
        }
        return variable
    }
}

extension HeaderTemplate {
    /// Reports what is wrong with the value of a rule.
    static func check(
        _ value: String, onResponse: Bool, _ checks: inout FieldChecks, _ path: [FieldStep]
    ) {
        guard HTTPToken.isFieldValue(value) else {
            checks.fail(path, "the value has control characters")
            return
        }
        do {
            _ = try HeaderTemplate(value, onResponse: onResponse)
        } catch { checks.fail(path, "\(error)") }
    }
}
