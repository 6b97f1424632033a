/// Reads expressions. What it accepts, and what it says of the rest, are Consul's: the grammar is
/// tried in its order, and the place that was reached farthest is where the mistake is looked for.
///
/// Every alternative of the grammar that begins like the one before is tried once for both, so that
/// the work grows with the length of the text only.
struct FilterParser {
    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0
    /// Within `!`: what is found is noted there, not what is missed.
    private var isInverted = false
    private var farthest = 0
    private var expected: Set<String> = []
    /// Mistakes that have a name.
    private var mistakes: [FilterError] = []

    /// More parentheses and `not` within one another than this are refused.
    static let greatestDepth = 64

    private init(_ text: String) { bytes = Array(text.utf8) }

    static func parse(_ text: String) throws(FilterError) -> FilterSyntax {
        var parser = FilterParser(text)
        parser.skipBlanks()
        if let found = try parser.parseOr() {
            parser.skipBlanks()
            if parser.atEnd(), parser.mistakes.isEmpty { return found }
        }
        throw parser.failure
    }

    private var failure: FilterError {
        guard let first = mistakes.first else { return unexpected }
        return FilterError(
            mistakes.map(\.description).joined(separator: "\n"), offset: first.offset)
    }

    /// What could have stood where nothing fitted any more.
    private var unexpected: FilterError {
        var names = expected.subtracting(["!."]).sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        if expected.contains("!.") { names.append("EOF") }
        var list = names.last ?? ""
        if names.count > 1 { list = "\(names.dropLast().joined(separator: ", ")) or \(list)" }
        return FilterError(
            "\(place(farthest)): no match found, expected: \(list)", offset: farthest)
    }

    /// Line, column and offset as Consul counts them.
    private func place(_ offset: Int) -> String {
        let upTo = bytes[..<min(offset + 1, bytes.count)]
        let line = 1 + upTo.count { $0 == UInt8(ascii: "\n") }
        let start = upTo.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = upTo[start...].count { $0 & 0xc0 != 0x80 } + (offset >= bytes.count ? 1 : 0)
        return "\(line):\(column) (\(offset))"
    }

    private mutating func mistake(_ rule: String, _ text: String, at offset: Int) {
        let found = FilterError("\(place(offset)): rule \"\(rule)\": \(text)", offset: offset)
        if !mistakes.contains(found) { mistakes.append(found) }
    }
}

// MARK: - pieces of text

extension FilterParser {
    private mutating func note(found: Bool, at offset: Int, _ what: String) {
        guard found == isInverted, offset >= farthest else { return }
        if offset > farthest { expected = [] }
        farthest = offset
        expected.insert(isInverted ? "!\(what)" : what)
    }

    private mutating func take(_ text: StaticString) -> Bool {
        let start = at
        let wanted = Array("\(text)".utf8)
        let found = bytes[at...].starts(with: wanted)
        if found { at += wanted.count }
        note(found: found, at: start, "\"\(text)\"")
        return found
    }

    private mutating func takeQuote(_ quote: UInt8) -> Bool {
        let found = at < bytes.count && bytes[at] == quote
        note(found: found, at: at, quote == UInt8(ascii: "`") ? "\"`\"" : #""\"""#)
        if found { at += 1 }
        return found
    }

    private mutating func takeOne(_ name: String, of belongs: (UInt8) -> Bool) -> Bool {
        let found = at < bytes.count && belongs(bytes[at])
        note(found: found, at: at, name)
        if found { at += 1 }
        return found
    }

    private mutating func takeAny(_ name: String, of belongs: (UInt8) -> Bool) {
        while takeOne(name, of: belongs) {}
    }

    private mutating func takeBlanks() -> Bool {
        let start = at
        skipBlanks()
        return at > start
    }

    private mutating func skipBlanks() {
        takeAny(#"[ \t\r\n]"#) { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d || $0 == 0x0a }
    }

    private mutating func atEnd() -> Bool {
        isInverted.toggle()
        defer { isInverted.toggle() }
        note(found: at < bytes.count, at: at, ".")
        return at == bytes.count
    }

    /// Tries what may not follow; goes nowhere.
    private mutating func isMissing(_ piece: (inout Self) -> Bool) -> Bool {
        let start = at
        isInverted.toggle()
        let found = piece(&self)
        isInverted.toggle()
        at = start
        return !found
    }

    /// Tries one way, and goes back when it leads nowhere.
    private mutating func attempt<Found>(_ way: (inout Self) -> Found?) -> Found? {
        let start = at
        if let found = way(&self) { return found }
        at = start
        return nil
    }
}

// MARK: - structure

extension FilterParser {
    private mutating func parseOr() throws(FilterError) -> FilterSyntax? {
        guard
            let parts = try parseChain(
                "or", { parser throws(FilterError) in try parser.parseAnd() })
        else { return nil }
        return parts.count == 1 ? parts[0] : .or(parts)
    }

    private mutating func parseAnd() throws(FilterError) -> FilterSyntax? {
        guard
            let parts = try parseChain(
                "and", { parser throws(FilterError) in try parser.parseNot() })
        else { return nil }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    /// One part, and as many more as the word joins to it.
    private mutating func parseChain(
        _ word: StaticString, _ part: (inout Self) throws(FilterError) -> FilterSyntax?
    ) throws(FilterError) -> [FilterSyntax]? {
        guard let first = try part(&self) else { return nil }
        var parts = [first]
        while true {
            let start = at
            guard takeBlanks(), take(word), takeBlanks(), let next = try part(&self) else {
                at = start
                return parts
            }
            parts.append(next)
        }
    }

    private mutating func parseNot() throws(FilterError) -> FilterSyntax? {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.greatestDepth else {
            throw FilterError(
                "\(place(at)): more than \(Self.greatestDepth) parentheses and nots are open",
                offset: at)
        }
        let start = at
        if take("not"), takeBlanks(), let operand = try parseNot() {
            if case .not(let inner) = operand { return inner }
            return .not(operand)
        }
        at = start
        return try parseGroup()
    }

    private mutating func parseGroup() throws(FilterError) -> FilterSyntax? {
        let start = at
        var unclosed: Int?
        if take("(") {
            skipBlanks()
            if let inner = try parseOr() {
                skipBlanks()
                if take(")") { return inner }
                unclosed = at
            }
        }
        at = start
        if let match = parseMatch() { return match }
        if let unclosed { mistake("grouping", "Unmatched parentheses", at: unclosed) }
        return nil
    }
}

// MARK: - comparisons

extension FilterParser {
    private mutating func parseMatch() -> FilterSyntax? {
        if let found = attempt({ $0.parseCompared() }) { return .match(found) }
        if let found = attempt({ $0.parseEmptiness() }) { return .match(found) }
        return attempt { $0.parseMembership() }.map { .match($0) }
    }

    private mutating func parseCompared() -> FilterSyntax.Match? {
        guard let selector = parseSelector(), let comparison = parseComparison(),
            let value = parseValue()
        else { return nil }
        return FilterSyntax.Match(selector: selector, comparison: comparison, value: value)
    }

    private mutating func parseComparison() -> FilterSyntax.Comparison? {
        if attempt({ $0.parseSign("==") }) != nil { return .equal }
        if attempt({ $0.parseSign("!=") }) != nil { return .notEqual }
        if attempt({ $0.parseWords("contains") }) != nil { return .isIn }
        if attempt({ $0.parseWords("not", "contains") }) != nil { return .isNotIn }
        if attempt({ $0.parseWords("matches") }) != nil { return .matches }
        if attempt({ $0.parseWords("not", "matches") }) != nil { return .matchesNot }
        return nil
    }

    private mutating func parseSign(_ sign: StaticString) -> Void? {
        skipBlanks()
        guard take(sign) else { return nil }
        skipBlanks()
        return ()
    }

    /// Words with blanks around each.
    private mutating func parseWords(_ words: StaticString...) -> Void? {
        guard takeBlanks() else { return nil }
        for word in words { guard take(word), takeBlanks() else { return nil } }
        return ()
    }

    private mutating func parseEmptiness() -> FilterSyntax.Match? {
        guard let selector = parseSelector() else { return nil }
        if attempt({ $0.parseWords("is") }) == nil { return nil }
        if take("empty") { return FilterSyntax.Match(selector: selector, comparison: .isEmpty) }
        guard take("not"), takeBlanks(), take("empty") else { return nil }
        return FilterSyntax.Match(selector: selector, comparison: .isNotEmpty)
    }

    private mutating func parseMembership() -> FilterSyntax.Match? {
        guard let value = parseValue() else { return nil }
        let comparison: FilterSyntax.Comparison
        if attempt({ $0.parseWords("in") }) != nil {
            comparison = .isIn
        } else if attempt({ $0.parseWords("not", "in") }) != nil {
            comparison = .isNotIn
        } else {
            return nil
        }
        guard let selector = parseSelector() else {
            mistake("match", "Invalid selector", at: at)
            return nil
        }
        return FilterSyntax.Match(selector: selector, comparison: comparison, value: value)
    }
}

// MARK: - selectors and values

extension FilterParser {
    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private mutating func parseName() -> String? {
        let start = at
        guard takeOne("[a-zA-Z]", of: Self.isLetter) else { return nil }
        takeAny("[a-zA-Z0-9_]") { Self.isLetter($0) || Self.isDigit($0) || $0 == 0x5f }
        return text(from: start)
    }

    private func text(from start: Int) -> String {
        String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func parseSelector() -> [String]? {
        guard let first = parseName() else { return nil }
        var path = [first]
        while let next = attempt({ $0.take(".") ? $0.parseName() : nil }) ?? parseIndex() {
            path.append(next)
        }
        return path
    }

    /// `["key"]`.
    private mutating func parseIndex() -> String? {
        let start = at
        guard take("[") else { return nil }
        skipBlanks()
        if let key = parseText() {
            skipBlanks()
            if take("]") { return key }
            mistake("index", "Unclosed index expression", at: at)
        } else if isMissing({ $0.parseText() != nil }) {
            mistake("index", "Invalid index", at: at)
        }
        at = start
        return nil
    }

    private mutating func parseValue() -> String? {
        parseSelector()?.joined(separator: ".") ?? parseNumber() ?? parseText()
    }

    private mutating func parseNumber() -> String? {
        let start = at
        guard attempt({ $0.parseDigits() }) != nil else { return nil }
        let number = text(from: start)
        let end = at
        if takeBlanks() || atEnd() || take(")") {
            at = end
            return number
        }
        mistake("number", "Invalid number literal", at: end)
        at = start
        return nil
    }

    private mutating func parseDigits() -> Void? {
        _ = take("-")
        if !take("0") {
            guard takeOne("[1-9]", of: { (0x31...0x39).contains($0) }) else { return nil }
            takeAny("[0-9]", of: Self.isDigit)
        }
        _ = attempt { parser -> Void? in
            guard parser.take("."), parser.takeOne("[0-9]", of: Self.isDigit) else { return nil }
            parser.takeAny("[0-9]", of: Self.isDigit)
            return ()
        }
        return ()
    }

    /// A text in double quotes or, raw, in back quotes.
    private mutating func parseText() -> String? {
        let start = at
        for quote in [UInt8(ascii: "`"), UInt8(ascii: "\"")] where takeQuote(quote) {
            let inner = at
            while at < bytes.count, bytes[at] != quote { at += 1 }
            guard takeQuote(quote) else {
                mistake("string", "Unterminated string literal", at: at)
                at = start
                return nil
            }
            let content = bytes[inner..<at - 1]
            if quote == UInt8(ascii: "`") {
                return String(decoding: content.filter { $0 != 0x0d }, as: UTF8.self)
            }
            guard let text = QuotedText.unquoted(content) else {
                mistake("string", "invalid syntax", at: start)
                return ""
            }
            return text
        }
        return nil
    }
}
