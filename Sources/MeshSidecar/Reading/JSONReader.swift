package import MeshModel

/// Reads JSON (RFC 8259) into plain data, in one pass over the bytes. Nested at most 128 deep; of
/// several members of one name the last counts, as in Go.
package struct JSONReader {
    package enum Mistake: Error, Equatable {
        case unexpected(at: Int)
        case ended
        case tooDeep
    }

    private static let depth = 128

    private let bytes: [UInt8]
    private var at = 0

    package static func read(_ bytes: [UInt8]) throws -> DataValue {
        var reader = JSONReader(bytes)
        let value = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.at == bytes.count else { throw Mistake.unexpected(at: reader.at) }
        return value
    }

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func skipBlanks() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func next() throws -> UInt8 {
        skipBlanks()
        guard at < bytes.count else { throw Mistake.ended }
        return bytes[at]
    }

    private mutating func take(_ byte: UInt8) throws {
        guard try next() == byte else { throw Mistake.unexpected(at: at) }
        at += 1
    }

    private mutating func value(depth: Int) throws -> DataValue {
        guard depth <= Self.depth else { throw Mistake.tooDeep }
        switch try next() {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: StaticString, _ value: DataValue) throws -> DataValue {
        for byte in Array("\(text)".utf8) {
            guard at < bytes.count else { throw Mistake.ended }
            guard bytes[at] == byte else { throw Mistake.unexpected(at: at) }
            at += 1
        }
        return value
    }

    private mutating func object(_ depth: Int) throws -> DataValue {
        try take(UInt8(ascii: "{"))
        var members: [String: DataValue] = [:]
        if try next() == UInt8(ascii: "}") {
            at += 1
            return .object(members)
        }
        while true {
            guard try next() == UInt8(ascii: "\"") else { throw Mistake.unexpected(at: at) }
            let name = try string()
            try take(UInt8(ascii: ":"))
            members[name] = try value(depth: depth + 1)
            if try isLast(UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func array(_ depth: Int) throws -> DataValue {
        try take(UInt8(ascii: "["))
        var items: [DataValue] = []
        if try next() == UInt8(ascii: "]") {
            at += 1
            return .array(items)
        }
        while true {
            items.append(try value(depth: depth + 1))
            if try isLast(UInt8(ascii: "]")) { return .array(items) }
        }
    }

    /// Takes the comma, or the end.
    private mutating func isLast(_ end: UInt8) throws -> Bool {
        let byte = try next()
        guard byte == end || byte == UInt8(ascii: ",") else { throw Mistake.unexpected(at: at) }
        at += 1
        return byte == end
    }

    private mutating func number() throws -> DataValue {
        let start = at
        while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if let whole = Int64(text) { return .int(whole) }
        guard let number = Double(text), number.isFinite else {
            if at == bytes.count { throw Mistake.ended }
            throw Mistake.unexpected(at: start)
        }
        return .double(number)
    }

    private mutating func string() throws -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(&text)
            case 0x00..<0x20: throw Mistake.unexpected(at: at - 1)
            default: text.append(byte)
            }
        }
        throw Mistake.ended
    }

    private mutating func escape(_ text: inout [UInt8]) throws {
        guard at < bytes.count else { throw Mistake.ended }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += Array(String(try scalar()).utf8)
        default: throw Mistake.unexpected(at: at - 1)
        }
    }

    /// What follows `\u`; a half of a pair alone is the replacement character.
    private mutating func scalar() throws -> Unicode.Scalar {
        let high = try unit()
        if let scalar = Unicode.Scalar(high) { return scalar }
        let isPair =
            high < 0xDC00 && at + 1 < bytes.count && bytes[at] == UInt8(ascii: "\\")
            && bytes[at + 1] == UInt8(ascii: "u")
        guard isPair else { return "\u{FFFD}" }
        at += 2
        let low = try unit()
        guard (0xDC00...0xDFFF).contains(low) else { return "\u{FFFD}" }
        let value = 0x10000 + ((UInt32(high) - 0xD800) << 10) + (UInt32(low) - 0xDC00)
        return Unicode.Scalar(value) ?? "\u{FFFD}"
    }

    private mutating func unit() throws -> UInt16 {
        guard at + 4 <= bytes.count else { throw Mistake.ended }
        let digits = bytes[at..<at + 4]
        guard digits.allSatisfy({ "0123456789abcdefABCDEF".utf8.contains($0) }),
            let value = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw Mistake.unexpected(at: at) }
        at += 4
        return value
    }
}
