/// The line of an access log: literal text and variables, `%{method} %{path}`. `%{path:json}` is
/// the variable as a JSON value, `%%` a per cent sign.
package struct AccessLogFormat: Sendable, Hashable, Codable {
    package enum Value: Sendable, Hashable, Codable {
        case variable(AccessLogVariable)
        /// A field of the request, its name in lower case.
        case requestHeader(String)
        /// A field of the answer, its name in lower case.
        case responseHeader(String)

        /// The most bytes that are recorded of a text; 0: no text.
        package var textLimit: Int {
            switch self {
            case .variable(let variable): variable.textLimit
            case .requestHeader, .responseHeader: AccessLogFormat.headerLimit
            }
        }
    }

    package enum Piece: Sendable, Hashable, Codable {
        case literal(String)
        case value(Value, json: Bool)
    }

    /// Bytes of a template.
    package static let textLimit = 8192
    /// Literals and variables of a template.
    package static let pieceLimit = 256
    /// Fields of requests and answers that one template can name.
    package static let headerCount = 8
    /// Bytes that are recorded of such a field.
    package static let headerLimit = 256
    /// Bytes of the longest line that a template may make.
    package static let lineLimit = 65536

    package let pieces: [Piece]

    /// Every variable as one JSON object a line.
    package static let json = AccessLogFormat(
        pieces: pieces(
            AccessLogVariable.allCases.enumerated().flatMap { index, variable -> [Piece] in
                [
                    .literal("\(index == 0 ? "{" : ",")\"\(variable.jsonKey)\":"),
                    .value(.variable(variable), json: true),
                ]
            } + [.literal("}")]))

    private init(pieces: [Piece]) { self.pieces = pieces }

    /// `json`, or a template. Throws what is wrong and what to write.
    package init(_ text: String) throws {
        if text == "json" {
            self = .json
            return
        }
        guard text.utf8.count <= Self.textLimit else {
            throw MeshError(.invalid, "a template has at most \(Self.textLimit) bytes")
        }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f || $0 == "\t" })
        else {
            throw MeshError(.invalid, "a template is one line without control characters")
        }
        let pieces = Self.pieces(try Self.parse(text[...]))
        guard pieces.contains(where: { if case .value = $0 { true } else { false } }) else {
            throw MeshError(
                .invalid, "the template names no variable: write json, or for example %{method}")
        }
        try Self.checkBounds(pieces)
        self.pieces = pieces
    }

    /// The fields that the template names, in order, each once.
    package var headers: [Value] {
        var seen: [Value] = []
        for case .value(let value, _) in pieces {
            if case .variable = value { continue }
            if !seen.contains(value) { seen.append(value) }
        }
        return seen
    }

    // MARK: - parsing

    private static func parse(_ text: Substring) throws -> [Piece] {
        var rest = text
        var pieces: [Piece] = []
        while let sign = rest.firstIndex(of: "%") {
            pieces.append(.literal(String(rest[..<sign])))
            rest = rest[rest.index(after: sign)...]
            switch rest.first {
            case "%":
                pieces.append(.literal("%"))
                rest = rest.dropFirst()
            case "{":
                guard let end = rest.firstIndex(of: "}") else {
                    throw MeshError(.invalid, "%\(rest.prefix(24)) has no end: write %{method}")
                }
                pieces.append(try value(rest[rest.index(after: rest.startIndex)..<end]))
                rest = rest[rest.index(after: end)...]
            default:
                throw MeshError(
                    .invalid, "a % stands alone: write %{name} for a variable, %% for the sign")
            }
        }
        return pieces + [.literal(String(rest))]
    }

    private static func value(_ inner: Substring) throws -> Piece {
        var name = inner
        var json = false
        if let colon = inner.lastIndex(of: ":") {
            guard inner[inner.index(after: colon)...] == "json" else {
                throw MeshError(
                    .invalid, "%{\(inner)}: the only way to write a variable besides is :json")
            }
            name = inner[..<colon]
            json = true
        }
        for (prefix, make) in [
            ("request.header.", Value.requestHeader), ("response.header.", Value.responseHeader),
        ] where name.hasPrefix(prefix) {
            let field = name.dropFirst(prefix.count).lowercased()
            guard HTTPToken.isToken(field) else {
                throw MeshError(.invalid, "%{\(inner)}: \(field) is not the name of a field")
            }
            return .value(make(field), json: json)
        }
        guard let variable = AccessLogVariable(rawValue: String(name)) else {
            throw MeshError(
                .invalid,
                "%{\(inner)}: there is no such variable: the handbook's page Access log lists them")
        }
        return .value(.variable(variable), json: json)
    }

    /// Neighbouring literals become one; empty ones go.
    private static func pieces(_ parts: [Piece]) -> [Piece] {
        var result: [Piece] = []
        for part in parts {
            if case .literal(let text) = part {
                if text.isEmpty { continue }
                if case .literal(let before)? = result.last {
                    result[result.count - 1] = .literal(before + text)
                    continue
                }
            }
            result.append(part)
        }
        return result
    }

    private static func checkBounds(_ pieces: [Piece]) throws {
        guard pieces.count <= pieceLimit else {
            throw MeshError(
                .invalid,
                "the template has \(pieces.count) parts: use at most \(pieceLimit) variables and "
                    + "texts between them")
        }
        let named = AccessLogFormat(pieces: pieces).headers
        guard named.count <= headerCount else {
            throw MeshError(
                .invalid, "the template names \(named.count) fields: use at most \(headerCount)")
        }
        let longest = pieces.reduce(1) { $0 + Self.longest(of: $1) }
        guard longest <= lineLimit else {
            throw MeshError(
                .invalid,
                "the template's longest line could have \(longest) bytes, \(lineLimit) are the "
                    + "limit: name fewer long variables")
        }
    }

    /// The most bytes that a part of a line can have.
    package static func longest(of piece: Piece) -> Int {
        switch piece {
        case .literal(let text): text.utf8.count
        // The node's name is known when the snapshot is written.
        case .value(.variable(.node), _): NameLimits.nodeBytes + 2
        case .value(let value, let json):
            value.textLimit == 0 ? 64 : json ? 6 * value.textLimit + 2 : 4 * value.textLimit + 1
        }
    }
}
