/// Reads documents of rules: HCL as far as rules are written in it, and JSON.
///
/// HCL: `key = value`, `key "label" { … }`, lists; keys plain or in quotes; comments `#`, `//` and
/// `/* */`; items separated by nothing, a line's end or a comma. Not read: here-documents and
/// interpolation, which no rule needs.
struct RuleParser {
    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var lineStart = 0
    private var depth = 0
    private var items = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func parse(_ text: String) throws(RuleError) -> [RuleItem] {
        var parser = RuleParser(Array(text.utf8))
        guard parser.bytes.count <= RuleLimits.bytes else {
            throw parser.problem("rules of more than \(RuleLimits.bytes) bytes")
        }
        try parser.skipBlanks()
        if parser.peek == UInt8(ascii: "{") {
            let value = try parser.parseJSON()
            try parser.skipBlanks()
            guard parser.peek == nil else { throw parser.problem("something stands behind the }") }
            guard case .object(let items, _) = value else {
                throw parser.problem("an object is expected")
            }
            return items
        }
        return try parser.parseItems(isNested: false)
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private var place: RulePlace { RulePlace(line: line, column: at - lineStart + 1) }

    private func problem(_ text: String, _ place: RulePlace? = nil) -> RuleError {
        RuleError(place: place ?? self.place, text: text)
    }

    private mutating func advance() {
        if bytes[at] == UInt8(ascii: "\n") {
            line += 1
            lineStart = at + 1
        }
        at += 1
    }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: byte) else { return false }
        advance()
        return true
    }

    private mutating func skipBlanks() throws(RuleError) {
        while let byte = peek {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                advance()
            case UInt8(ascii: "#"): skipLine()
            case UInt8(ascii: "/"):
                let next = at + 1 < bytes.count ? bytes[at + 1] : 0
                if next == UInt8(ascii: "/") {
                    skipLine()
                } else if next == UInt8(ascii: "*") {
                    try skipComment()
                } else {
                    throw problem("a single / begins no comment")
                }
            default: return
            }
        }
    }

    private mutating func skipLine() {
        while let byte = peek, byte != UInt8(ascii: "\n") { advance() }
    }

    private mutating func skipComment() throws(RuleError) {
        let start = place
        advance()
        advance()
        while at + 1 < bytes.count {
            if bytes[at] == UInt8(ascii: "*"), bytes[at + 1] == UInt8(ascii: "/") {
                advance()
                advance()
                return
            }
            advance()
        }
        throw problem("a comment without its */", start)
    }

    private mutating func enter() throws(RuleError) {
        depth += 1
        guard depth <= RuleLimits.depth else { throw problem("nested too deeply") }
    }

    private mutating func count() throws(RuleError) {
        items += 1
        guard items <= RuleLimits.items else {
            throw problem("more than \(RuleLimits.items) values")
        }
    }
}

// HCL.
extension RuleParser {
    private mutating func parseItems(isNested: Bool) throws(RuleError) -> [RuleItem] {
        var found: [RuleItem] = []
        while true {
            try skipBlanks()
            guard let byte = peek else {
                if isNested { throw problem("a { without its }") }
                return found
            }
            if isNested, byte == UInt8(ascii: "}") { return found }
            try count()
            found.append(try parseItem())
            try skipBlanks()
            _ = take(",")
        }
    }

    private mutating func parseItem() throws(RuleError) -> RuleItem {
        let start = place
        let key = try parseKey()
        var labels: [String] = []
        while true {
            try skipBlanks()
            switch peek {
            case UInt8(ascii: "="):
                advance()
                try skipBlanks()
                let value = try parseValue()
                return RuleItem(key: key, labels: labels, value: value, place: start)
            case UInt8(ascii: "{"):
                let value = try parseObject()
                return RuleItem(key: key, labels: labels, value: value, place: start)
            case nil: throw problem("\(key) has no value")
            default:
                guard labels.count < RuleLimits.depth else { throw problem("too many labels") }
                labels.append(try parseKey())
            }
        }
    }

    private mutating func parseObject() throws(RuleError) -> RuleValue {
        let start = place
        try enter()
        advance()
        let items = try parseItems(isNested: true)
        advance()
        depth -= 1
        return .object(items, start)
    }

    private mutating func parseKey() throws(RuleError) -> String {
        if peek == UInt8(ascii: "\"") { return try parseText() }
        let start = at
        while let byte = peek, Self.isNamed(byte) { advance() }
        guard at > start else { throw problem("a name is expected") }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private static func isNamed(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "."):
            true
        default: byte >= 0x80
        }
    }

    private mutating func parseValue() throws(RuleError) -> RuleValue {
        try count()
        let start = place
        switch peek {
        case UInt8(ascii: "\""): return .text(try parseText(), start)
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["):
            try enter()
            advance()
            var values: [RuleValue] = []
            while true {
                try skipBlanks()
                if take("]") { break }
                guard peek != nil else { throw problem("a [ without its ]") }
                values.append(try parseValue())
                try skipBlanks()
                if take(",") { continue }
                guard peek == UInt8(ascii: "]") else { throw problem("a , or ] is expected") }
            }
            depth -= 1
            return .list(values, start)
        case let byte? where Self.isNamed(byte): return .word(try parseKey(), start)
        default: throw problem("a value is expected")
        }
    }
}

// JSON, and texts in quotes, which both have.
extension RuleParser {
    private mutating func parseJSON() throws(RuleError) -> RuleValue {
        try count()
        try skipBlanks()
        let start = place
        switch peek {
        case UInt8(ascii: "\""): return .text(try parseText(), start)
        case UInt8(ascii: "{"): return try parseMembers(start)
        case UInt8(ascii: "["):
            try enter()
            advance()
            var values: [RuleValue] = []
            try skipBlanks()
            while !take("]") {
                values.append(try parseJSON())
                try skipBlanks()
                if take(",") { continue }
                guard peek == UInt8(ascii: "]") else { throw problem("a , or ] is expected") }
            }
            depth -= 1
            return .list(values, start)
        case let byte? where Self.isNamed(byte): return .word(try parseKey(), start)
        default: throw problem("a value is expected")
        }
    }

    private mutating func parseMembers(_ start: RulePlace) throws(RuleError) -> RuleValue {
        try enter()
        advance()
        var members: [RuleItem] = []
        try skipBlanks()
        while !take("}") {
            try count()
            try skipBlanks()
            let place = place
            guard peek == UInt8(ascii: "\"") else { throw problem("a name in quotes is expected") }
            let key = try parseText()
            try skipBlanks()
            guard take(":") else { throw problem("a : is expected") }
            let value = try parseJSON()
            members.append(RuleItem(key: key, labels: [], value: value, place: place))
            try skipBlanks()
            if take(",") { continue }
            guard peek == UInt8(ascii: "}") else { throw problem("a , or } is expected") }
        }
        depth -= 1
        return .object(members, start)
    }

    private mutating func parseText() throws(RuleError) -> String {
        let start = place
        advance()
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\n"): throw problem("a text without its closing quote", start)
            case UInt8(ascii: "\\"):
                advance()
                text += try parseEscape()
            default:
                text.append(byte)
                advance()
            }
        }
        throw problem("a text without its closing quote", start)
    }

    private mutating func parseEscape() throws(RuleError) -> [UInt8] {
        guard let byte = peek else { throw problem("a \\ at the end") }
        let start = place
        advance()
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "u"): return try parseScalar(digits: 4, start)
        case UInt8(ascii: "U"): return try parseScalar(digits: 8, start)
        default: throw problem("an unknown escape", start)
        }
    }

    private mutating func parseScalar(
        digits: Int, _ start: RulePlace
    ) throws(RuleError) -> [UInt8] {
        let end = at + digits
        guard end <= bytes.count, bytes[at..<end].allSatisfy({ $0 != UInt8(ascii: "+") }),
            let value = UInt32(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw problem("an escape that is no character", start) }
        at = end
        return Array(String(Character(scalar)).utf8)
    }
}
