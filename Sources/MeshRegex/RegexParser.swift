import MeshModel

/// Reads expressions in RE2's syntax, as far as an automaton over a whole text can do it.
///
/// Understood: literals, `.`, classes with ranges and POSIX names, `\d \w \s` and their opposites,
/// escapes (`\n \t \x41 \x{263a} \Q…\E`, octal `\123`), groups of every kind, `| * + ? {n,m}`
/// greedy or not, `^ $ \A \z`, flags `(?i) (?s) (?U)`. Refused, with what to do instead: Unicode
/// classes, word boundaries, multi-line mode, `\C`. RE2 itself has neither back references nor
/// look-around.
struct RegexParser {
    private let pattern: [Unicode.Scalar]
    private var at = 0
    private var depth = 0
    private var flags: Flags
    /// Groups that have a number so far; nil when groups and greed do not matter.
    private var groups: Int?

    private struct Flags {
        var ignoreCase: Bool
        var dotAll = false
        var isLazy = false
    }

    /// As in RE2.
    static let greatestCount = 1000
    private static let greatestDepth = 200

    private init(_ pattern: String, ignoreCase: Bool) {
        self.pattern = Array(pattern.unicodeScalars)
        flags = Flags(ignoreCase: ignoreCase)
    }

    /// The tree of an expression; throws ``MeshError`` with the place of what is not understood.
    static func parse(_ pattern: String, ignoreCase: Bool) throws -> RegexNode {
        var parser = RegexParser(pattern, ignoreCase: ignoreCase)
        let node = try parser.parseChoice()
        guard parser.at == parser.pattern.count else { throw parser.problem("unexpected )") }
        return node
    }

    private func problem(_ what: String) -> MeshError {
        MeshError(.invalid, "\(what) at position \(at + 1) of the expression")
    }

    /// The tree with its groups and what is lazy, and how many groups there are.
    static func parseGroups(_ pattern: String) throws -> (node: RegexNode, groups: Int) {
        var parser = RegexParser(pattern, ignoreCase: false)
        parser.groups = 0
        let node = try parser.parseChoice()
        guard parser.at == parser.pattern.count else { throw parser.problem("unexpected )") }
        return (node, parser.groups ?? 0)
    }

    private var next: Unicode.Scalar? { at < pattern.count ? pattern[at] : nil }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard at + wanted.count <= pattern.count,
            Array(pattern[at..<at + wanted.count]) == wanted
        else { return false }
        at += wanted.count
        return true
    }

    // MARK: - structure

    private mutating func parseChoice() throws -> RegexNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.greatestDepth else { throw problem("groups are nested too deeply") }
        let outer = flags
        defer { flags = outer }
        var choices = [try parseSequence()]
        while take("|") { choices.append(try parseSequence()) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    private mutating func parseSequence() throws -> RegexNode {
        var parts: [RegexNode] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            if take("\\Q") {
                parts += try parseQuoted()
                continue
            }
            guard let atom = try parseAtom() else { continue }
            parts.append(try parseCounted(atom))
        }
        return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .sequence(parts)
    }

    /// Plain characters up to `\E`; a count behind it is the last one's.
    private mutating func parseQuoted() throws -> [RegexNode] {
        var parts: [RegexNode] = []
        while let scalar = next, !take("\\E") {
            parts.append(literal(scalar))
            at += 1
        }
        if let last = parts.popLast() { parts.append(try parseCounted(last)) }
        return parts
    }

    /// One element without its count; nil for a change of flags.
    private mutating func parseAtom() throws -> RegexNode? {
        guard let scalar = next else { throw problem("something is missing") }
        switch scalar {
        case "(": return try parseGroup()
        case "[": return try parseClass().node
        case "\\": return try parseEscape()
        case "^":
            at += 1
            return .start
        case "$":
            at += 1
            return .end
        case ".":
            at += 1
            let newline = CharacterRanges([0x0a...0x0a])
            return (flags.dotAll ? CharacterRanges() : newline).inverted.node
        case "*", "+", "?": throw problem("nothing to repeat for \(scalar)")
        default:
            at += 1
            return literal(scalar)
        }
    }

    private func literal(_ scalar: Unicode.Scalar) -> RegexNode {
        let ranges = CharacterRanges([scalar.value...scalar.value])
        return (flags.ignoreCase ? ranges.ignoringCase : ranges).node
    }

    private mutating func parseCounted(_ atom: RegexNode) throws -> RegexNode {
        guard let bounds = try takeCount() else { return atom }
        let isLazy = take("?") != flags.isLazy
        if try takeCount() != nil { throw problem("two counts in a row") }
        let node = RegexNode.repeated(atom, least: bounds.least, most: bounds.most)
        // Greedy or not, the texts are the same; only the parts of groups differ.
        return isLazy && groups != nil ? .lazy(node) : node
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}`; nil, and nothing taken, when none stands here. A
    /// brace that begins no count is a plain character.
    private mutating func takeCount() throws -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = at
        guard take("{"), let least = takeNumber() else {
            at = start
            return nil
        }
        var most: Int? = least
        var sound = true
        if take(",") {
            most = next == "}" ? nil : takeNumber()
            sound = most != nil || next == "}"
        }
        guard sound, take("}") else {
            at = start
            return nil
        }
        guard max(least, most ?? 0) <= Self.greatestCount else {
            throw problem("a count above \(Self.greatestCount)")
        }
        guard most ?? least >= least else { throw problem("a count that ends before it begins") }
        return (least, most)
    }

    private mutating func takeNumber() -> Int? {
        var value: Int?
        while let scalar = next, ("0"..."9").contains(scalar), value ?? 0 < 1_000_000 {
            value = (value ?? 0) * 10 + Int(scalar.value - 0x30)
            at += 1
        }
        return value
    }
}

extension RegexParser {
    // MARK: - groups

    private mutating func parseGroup() throws -> RegexNode? {
        at += 1
        let outer = flags
        var isNumbered = true
        if take("?") {
            if take("P<") || take("<") {
                try skipName()
            } else if try parseFlags() {
                return nil
            } else {
                isNumbered = false
            }
        }
        if isNumbered, let count = groups { groups = count + 1 }
        let number = groups
        let node = try parseChoice()
        guard take(")") else { throw problem("a group without its )") }
        flags = outer
        guard isNumbered, let number else { return node }
        return .group(node, number: number)
    }

    private mutating func skipName() throws {
        let start = at
        while let scalar = next,
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                || scalar == "_"
        {
            at += 1
        }
        guard at > start, take(">") else { throw problem("a group's name is letters and digits") }
    }

    /// The flags of `(?i:` or `(?i)`; true when the group ends with them, and they hold on.
    private mutating func parseFlags() throws -> Bool {
        var value = true
        var seen = false
        while let scalar = next {
            at += 1
            switch scalar {
            case "i": flags.ignoreCase = value
            case "s": flags.dotAll = value
            case "U": flags.isLazy = value
            case "m": throw problem("multi-line mode is not supported")
            case "-" where value: value = false
            case ":": return false
            case ")" where seen: return true
            default: throw problem("an unknown kind of group")
            }
            seen = true
        }
        throw problem("a group without its )")
    }

    // MARK: - escapes

    private static let digits = CharacterRanges([0x30...0x39])
    private static let words = CharacterRanges([0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a])
    private static let blanks = CharacterRanges([0x09...0x0a, 0x0c...0x0d, 0x20...0x20])

    private mutating func parseEscape() throws -> RegexNode {
        if take("\\A") { return .start }
        if take("\\z") { return .end }
        if let set = takeNamedSet() { return set.node }
        let value = try takeEscaped()
        let ranges = CharacterRanges([value...value])
        return (flags.ignoreCase ? ranges.ignoringCase : ranges).node
    }

    /// `\d` and its kind.
    private mutating func takeNamedSet() -> CharacterRanges? {
        if take("\\d") { return Self.digits }
        if take("\\D") { return Self.digits.inverted }
        if take("\\w") { return Self.words }
        if take("\\W") { return Self.words.inverted }
        if take("\\s") { return Self.blanks }
        if take("\\S") { return Self.blanks.inverted }
        return nil
    }

    /// The character that an escape stands for.
    private mutating func takeEscaped() throws -> UInt32 {
        at += 1
        guard let scalar = next else { throw problem("a \\ at the end") }
        at += 1
        switch scalar {
        case "a": return 0x07
        case "f": return 0x0c
        case "n": return 0x0a
        case "r": return 0x0d
        case "t": return 0x09
        case "v": return 0x0b
        case "x": return try takeHex()
        case "0"..."7": return try takeOctal(first: scalar)
        case "b", "B": throw problem("word boundaries are not supported: name what stands around")
        case "p", "P": throw problem("Unicode classes are not supported: name the characters")
        case "C": throw problem("\\C is not supported")
        default: break
        }
        guard scalar.isASCII, !scalar.properties.isAlphabetic, !("0"..."9").contains(scalar) else {
            throw problem("the escape \\\(scalar) is unknown")
        }
        return scalar.value
    }

    private mutating func takeHex() throws -> UInt32 {
        var text = ""
        if take("{") {
            while let scalar = next, scalar != "}", text.count < 8 {
                text.unicodeScalars.append(scalar)
                at += 1
            }
            guard take("}") else { throw problem("\\x{ without its }") }
        } else {
            while text.count < 2, let scalar = next {
                text.unicodeScalars.append(scalar)
                at += 1
            }
            guard text.count == 2 else { throw problem("\\x needs two digits") }
        }
        guard text.allSatisfy(\.isHexDigit), let value = UInt32(text, radix: 16),
            Unicode.Scalar(value) != nil
        else { throw problem("\\x\(text) is not a character") }
        return value
    }

    /// `\0`, `\07`, `\123`. One digit other than 0 would be a back reference.
    private mutating func takeOctal(first: Unicode.Scalar) throws -> UInt32 {
        var value = first.value - 0x30
        var count = 1
        while count < 3, let scalar = next, ("0"..."7").contains(scalar) {
            value = value * 8 + scalar.value - 0x30
            count += 1
            at += 1
        }
        guard first == "0" || count > 1 else {
            throw problem("back references are not supported")
        }
        return value
    }

    // MARK: - classes

    private mutating func parseClass() throws -> CharacterRanges {
        at += 1
        let inverts = take("^")
        var set = CharacterRanges()
        var first = true
        while first || next != "]" {
            guard next != nil else { throw problem("a class without its ]") }
            set = set.union(try parseClassItem())
            first = false
        }
        at += 1
        if flags.ignoreCase { set = set.ignoringCase }
        return inverts ? set.inverted : set
    }

    private mutating func parseClassItem() throws -> CharacterRanges {
        if take("[:") { return try parsePosixClass() }
        if next == "\\", let set = takeNamedSet() { return set }
        let low = try takeClassCharacter()
        let beforeDash = at
        guard take("-"), let scalar = next, scalar != "]" else {
            at = beforeDash
            return CharacterRanges([low...low])
        }
        if scalar == "\\", takeNamedSet() != nil { throw problem("a range that ends in a class") }
        let high = try takeClassCharacter()
        guard low <= high else { throw problem("a range that ends before it begins") }
        return CharacterRanges([low...high])
    }

    private mutating func takeClassCharacter() throws -> UInt32 {
        guard let scalar = next else { throw problem("a class without its ]") }
        if scalar == "\\" { return try takeEscaped() }
        at += 1
        return scalar.value
    }

    private static let posix: [String: CharacterRanges] = [
        "alnum": CharacterRanges([0x30...0x39, 0x41...0x5a, 0x61...0x7a]),
        "alpha": CharacterRanges([0x41...0x5a, 0x61...0x7a]),
        "ascii": CharacterRanges([0x00...0x7f]),
        "blank": CharacterRanges([0x09...0x09, 0x20...0x20]),
        "cntrl": CharacterRanges([0x00...0x1f, 0x7f...0x7f]),
        "digit": digits,
        "graph": CharacterRanges([0x21...0x7e]),
        "lower": CharacterRanges([0x61...0x7a]),
        "print": CharacterRanges([0x20...0x7e]),
        "punct": CharacterRanges([0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e]),
        "space": CharacterRanges([0x09...0x0d, 0x20...0x20]),
        "upper": CharacterRanges([0x41...0x5a]),
        "word": words,
        "xdigit": CharacterRanges([0x30...0x39, 0x41...0x46, 0x61...0x66]),
    ]

    private mutating func parsePosixClass() throws -> CharacterRanges {
        let inverts = take("^")
        var name = ""
        while let scalar = next, scalar != ":", name.count < 8 {
            name.unicodeScalars.append(scalar)
            at += 1
        }
        guard take(":]"), let set = Self.posix[name] else {
            throw problem("the class [:\(name):] is unknown")
        }
        return inverts ? set.inverted : set
    }
}
