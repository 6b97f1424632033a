/// Reads JSON (RFC 8259) and says what is wrong as Go does, whose words clients have seen before.
package struct JSONParser {
    /// How deep objects and lists may stand in each other.
    package static let depthLimit = 128

    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    private let bytes: [UInt8]
    private var place = 0

    /// One document, with nothing but space around it. Text that is no UTF-8 is an error.
    package static func parse(_ bytes: [UInt8]) throws(Failure) -> JSON {
        var parser = JSONParser(bytes: bytes)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        if let byte = parser.peek {
            throw parser.unexpected(byte, "after top-level value")
        }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var peek: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
            place += 1
        }
    }

    private func unexpected(_ byte: UInt8, _ where: String) -> Failure {
        let shown: String
        switch byte {
        case UInt8(ascii: "'"): shown = "'\\''"
        case UInt8(ascii: "\""): shown = "'\"'"
        case 0x20..<0x7f: shown = "'\(Character(Unicode.Scalar(byte)))'"
        case 0x0a: shown = "'\\n'"
        case 0x0d: shown = "'\\r'"
        case 0x09: shown = "'\\t'"
        default:
            let digits = String(byte, radix: 16)
            shown = "'\\x\(digits.count == 1 ? "0" : "")\(digits)'"
        }
        return Failure(description: "invalid character \(shown) \(`where`)")
    }

    private static let end = Failure(description: "unexpected EOF")

    /// The next byte that is no space.
    private mutating func next() throws(Failure) -> UInt8 {
        skipSpace()
        guard let byte = peek else { throw Self.end }
        place += 1
        return byte
    }

    // MARK: - values

    private mutating func value(depth: Int) throws(Failure) -> JSON {
        guard depth <= Self.depthLimit else { throw Failure(description: "exceeded max depth") }
        let byte = try next()
        switch byte {
        case UInt8(ascii: "{"): return .object(try members(depth: depth))
        case UInt8(ascii: "["): return .array(try elements(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            place -= 1
            return try number()
        default: throw unexpected(byte, "looking for beginning of value")
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSON) throws(Failure) -> JSON {
        let text = word.description
        for expected in text.utf8.dropFirst() {
            guard let byte = peek else { throw Self.end }
            guard byte == expected else {
                throw unexpected(
                    byte, "in literal \(text) (expecting '\(Character(Unicode.Scalar(expected)))')")
            }
            place += 1
        }
        return value
    }

    private mutating func elements(depth: Int) throws(Failure) -> [JSON] {
        var elements: [JSON] = []
        skipSpace()
        if peek == UInt8(ascii: "]") {
            place += 1
            return []
        }
        while true {
            elements.append(try value(depth: depth + 1))
            let byte = try next()
            if byte == UInt8(ascii: "]") { return elements }
            guard byte == UInt8(ascii: ",") else {
                throw unexpected(byte, "after array element")
            }
        }
    }

    private mutating func members(depth: Int) throws(Failure) -> [JSON.Member] {
        var members: [JSON.Member] = []
        skipSpace()
        if peek == UInt8(ascii: "}") {
            place += 1
            return []
        }
        while true {
            let start = try next()
            guard start == UInt8(ascii: "\"") else {
                throw unexpected(start, "looking for beginning of object key string")
            }
            let name = try string()
            let colon = try next()
            guard colon == UInt8(ascii: ":") else {
                throw unexpected(colon, "after object key")
            }
            members.append(JSON.Member(name, try value(depth: depth + 1)))
            let byte = try next()
            if byte == UInt8(ascii: "}") { return members }
            guard byte == UInt8(ascii: ",") else {
                throw unexpected(byte, "after object key:value pair")
            }
        }
    }

    // MARK: - numbers

    private mutating func number() throws(Failure) -> JSON {
        let start = place
        if peek == UInt8(ascii: "-") { place += 1 }
        guard let first = peek else { throw Self.end }
        if first == UInt8(ascii: "0") {
            place += 1
        } else {
            try digits("in numeric literal")
        }
        var isWhole = true
        if peek == UInt8(ascii: ".") {
            place += 1
            isWhole = false
            try digits("after decimal point in numeric literal")
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            place += 1
            isWhole = false
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { place += 1 }
            try digits("in exponent of numeric literal")
        }
        let text = String(decoding: bytes[start..<place], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .int(value) }
        if isWhole, let value = UInt64(text) { return .unsigned(value) }
        guard let value = Double(text), value.isFinite else {
            throw Failure(description: "number \(text.prefix(64)) is out of range")
        }
        return .double(value)
    }

    private mutating func digits(_ where: String) throws(Failure) {
        guard let first = peek else { throw Self.end }
        guard (0x30...0x39).contains(first) else { throw unexpected(first, `where`) }
        while let byte = peek, (0x30...0x39).contains(byte) { place += 1 }
    }

    // MARK: - texts

    /// The text behind an opening quote.
    private mutating func string() throws(Failure) -> String {
        var text: [UInt8] = []
        while let byte = peek {
            place += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let result = String(validating: text, as: UTF8.self) else {
                    throw Failure(description: "invalid UTF-8 in string literal")
                }
                return result
            case UInt8(ascii: "\\"): try escape(&text)
            case 0..<0x20: throw unexpected(byte, "in string literal")
            default: text.append(byte)
            }
        }
        throw Self.end
    }

    private mutating func escape(_ text: inout [UInt8]) throws(Failure) {
        guard let byte = peek else { throw Self.end }
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            text.append(contentsOf: String(try scalar()).utf8)
        default: throw unexpected(byte, "in string escape code")
        }
    }

    /// The character of `\u` escapes. A half of a pair that stands alone is not a character.
    private mutating func scalar() throws(Failure) -> Character {
        let first = try unit()
        if let scalar = Unicode.Scalar(first) { return Character(scalar) }
        let mark = place
        if first < 0xdc00, peek == UInt8(ascii: "\\") {
            place += 1
            if peek == UInt8(ascii: "u") {
                place += 1
                let second = try unit()
                if (0xdc00..<0xe000).contains(second) {
                    let value = 0x10000 + (first - 0xd800) << 10 + (second - 0xdc00)
                    if let scalar = Unicode.Scalar(value) { return Character(scalar) }
                }
            }
            place = mark
        }
        return "\u{fffd}"
    }

    private mutating func unit() throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek else { throw Self.end }
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw unexpected(byte, "in \\u hexadecimal character escape")
            }
            value = value << 4 | UInt32(digit)
            place += 1
        }
        return value
    }
}
