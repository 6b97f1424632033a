import MeshRegex

/// An expression that chooses records, checked against what it is about.
package struct Filter: Sendable {
    /// The longest text that is looked at.
    package static let greatestLength = 4096

    private indirect enum Node: Sendable {
        case match(Match)
        case not(Node)
        case and([Node])
        case or([Node])
    }

    private struct Match: Sendable {
        var path: [String]
        var comparison: FilterSyntax.Comparison
        var operand: Operand
    }

    private enum Operand: Sendable {
        case none
        case bool(Bool)
        case integer(Int)
        case text(String)
        case pattern(CompiledRegex)
    }

    /// nil: everything is chosen.
    private let root: Node?
    /// The first names of all selectors.
    package private(set) var subjects: Set<String> = []

    /// An expression over records of a schema; an empty text chooses all of them.
    package init(_ text: String, over schema: FilterSchema) throws(FilterError) {
        guard text.utf8.count <= Self.greatestLength else {
            throw FilterError("the filter is longer than \(Self.greatestLength) bytes")
        }
        guard !text.isEmpty else {
            root = nil
            return
        }
        var subjects: Set<String> = []
        root = try Self.compile(try FilterParser.parse(text), schema, &subjects)
        self.subjects = subjects
    }

    /// Whether the expression holds for a record of its schema.
    package func chooses(_ record: any FilterRecord) -> Bool {
        root.map { Self.holds($0, record) } ?? true
    }
}

// MARK: - meaning

extension Filter {
    private static func compile(
        _ syntax: FilterSyntax, _ schema: FilterSchema, _ subjects: inout Set<String>
    ) throws(FilterError) -> Node {
        switch syntax {
        case .match(let match):
            if let subject = match.selector.first { subjects.insert(subject) }
            return .match(try compile(match, schema))
        case .not(let inner): return .not(try compile(inner, schema, &subjects))
        case .and(let parts): return .and(try compile(parts, schema, &subjects))
        case .or(let parts): return .or(try compile(parts, schema, &subjects))
        }
    }

    private static func compile(
        _ parts: [FilterSyntax], _ schema: FilterSchema, _ subjects: inout Set<String>
    ) throws(FilterError) -> [Node] {
        var nodes: [Node] = []
        for part in parts { nodes.append(try compile(part, schema, &subjects)) }
        return nodes
    }

    private static func compile(
        _ match: FilterSyntax.Match, _ schema: FilterSchema
    ) throws(FilterError) -> Match {
        var type = FilterField.record(schema.fields)
        for (index, name) in match.selector.enumerated() {
            guard let next = type.field(name) else {
                let known = match.selector[...index].joined(separator: ".")
                throw FilterError("Selector \(QuotedText.quoted(known)) is not valid")
            }
            type = next
        }
        let selector = QuotedText.quoted(match.selector.joined(separator: "."))
        guard type.allows(match.comparison) else {
            throw FilterError(
                "Invalid match operator \"\(match.comparison.rawValue)\" for selector \(selector)")
        }
        return Match(
            path: match.selector, comparison: match.comparison,
            operand: try operand(match, type, selector))
    }

    private static func operand(
        _ match: FilterSyntax.Match, _ type: FilterField, _ selector: String
    ) throws(FilterError) -> Operand {
        let value = match.value
        func refused(_ why: String) -> FilterError {
            FilterError(
                "Failed to coerce value \(QuotedText.quoted(value)) for selector \(selector): "
                    + "strconv.\(why)")
        }
        switch (type, match.comparison.positive) {
        case (_, .isEmpty): return .none
        case (.bool, _):
            if ["1", "t", "T", "TRUE", "true", "True"].contains(value) { return .bool(true) }
            if ["0", "f", "F", "FALSE", "false", "False"].contains(value) { return .bool(false) }
            throw refused("ParseBool: parsing \(QuotedText.quoted(value)): invalid syntax")
        case (.integer, _):
            if let number = GoInteger.parse(value) { return .integer(number) }
            throw refused(
                "ParseInt: parsing \(QuotedText.quoted(value)): "
                    + (GoInteger.isNumber(value) ? "value out of range" : "invalid syntax"))
        case (_, .matches):
            do { return .pattern(try CompiledRegex.compile(anywhere: value)) } catch {
                throw FilterError(
                    "Failed to compile regular expression \(QuotedText.quoted(value)): "
                        + "error parsing regexp: \(error)")
            }
        default: return .text(value)
        }
    }
}

// MARK: - evaluation

extension Filter {
    private static func holds(_ node: Node, _ record: any FilterRecord) -> Bool {
        switch node {
        case .match(let match): holds(match, match.path[...], .record(record))
        case .not(let inner): !holds(inner, record)
        case .and(let parts): parts.allSatisfy { holds($0, record) }
        case .or(let parts): parts.contains { holds($0, record) }
        }
    }

    private static func holds(_ match: Match, _ path: ArraySlice<String>, _ value: FilterValue)
        -> Bool
    {
        guard let name = path.first else { return holds(match, value) }
        let rest = path.dropFirst()
        switch value {
        case .record(let record): return holds(match, rest, record.value(name))
        case .records(let records):
            return records.contains { holds(match, path, .record($0)) }
        case .textMap(let map):
            return map[name].map { holds(match, rest, .text($0)) } ?? holdsWithout(match)
        case .recordMap(let map):
            return map[name].map { holds(match, rest, .record($0)) } ?? holdsWithout(match)
        case .bool, .integer, .text, .texts:
            fatalError("the selector \(match.path) was checked, and leads on from a \(value)")
        }
    }

    /// What Consul says of a key that is not there: also `matches` holds.
    private static func holdsWithout(_ match: Match) -> Bool {
        switch match.comparison {
        case .equal, .isIn, .isNotEmpty: false
        case .notEqual, .isNotIn, .isEmpty, .matches, .matchesNot: true
        }
    }

    private static func holds(_ match: Match, _ value: FilterValue) -> Bool {
        let found: Bool
        switch (value, match.operand) {
        case (.bool(let own), .bool(let wanted)): found = own == wanted
        case (.integer(let own), .integer(let wanted)): found = own == wanted
        case (.text(let own), .pattern(let pattern)): found = pattern.accepts(own.utf8)
        case (.text(let own), .text(let wanted)):
            found =
                match.comparison.positive == .equal
                ? own.utf8.elementsEqual(wanted.utf8) : own.contains(bytesOf: wanted)
        case (.texts(let own), .text(let wanted)): found = own.contains(wanted)
        case (.texts(let own), .none): found = own.isEmpty
        case (.textMap(let own), .text(let wanted)): found = own[wanted] != nil
        case (.textMap(let own), .none): found = own.isEmpty
        case (.recordMap(let own), .text(let wanted)): found = own[wanted] != nil
        case (.recordMap(let own), .none): found = own.isEmpty
        case (.records(let own), .none): found = own.isEmpty
        default: fatalError("\(match.path) was checked, and is a \(value)")
        }
        return found == (match.comparison == match.comparison.positive)
    }
}

extension String {
    /// Whether the bytes of another text stand in this one.
    fileprivate func contains(bytesOf other: String) -> Bool {
        let (own, wanted) = (Array(utf8), Array(other.utf8))
        guard own.count >= wanted.count else { return false }
        return (0...own.count - wanted.count).contains { own[$0...].starts(with: wanted) }
    }
}

/// Integers as Go reads them with any base.
enum GoInteger {
    static func parse(_ text: String) -> Int? {
        let (sign, digits, radix) = parts(text)
        guard isNumber(text) else { return nil }
        return Int(sign + digits, radix: radix)
    }

    /// Whether the form is right; the value may be too great.
    static func isNumber(_ text: String) -> Bool {
        let (_, digits, radix) = parts(text)
        return !digits.isEmpty
            && digits.allSatisfy { $0.isASCII && ($0.hexDigitValue ?? 16) < radix }
    }

    private static func parts(_ text: String) -> (sign: String, digits: Substring, radix: Int) {
        var rest = text[...]
        var sign = ""
        if let first = rest.first, first == "-" || first == "+" {
            sign = first == "-" ? "-" : ""
            rest = rest.dropFirst()
        }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)]
        where rest.lowercased().hasPrefix(prefix) && rest.count > prefix.count {
            return (sign, rest.dropFirst(prefix.count), radix)
        }
        return (sign, rest, 10)
    }
}
