/// Texts in double quotes, as Go writes them.
enum QuotedText {
    /// The text between the quotes with its escapes resolved; nil when one is none of Go's.
    static func unquoted(_ bytes: ArraySlice<UInt8>) -> String? {
        var text: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte != UInt8(ascii: "\n") else { return nil }
            if byte != UInt8(ascii: "\\") {
                text.append(byte)
            } else {
                guard let escaped = escape(&rest) else { return nil }
                text += escaped
            }
        }
        return String(validating: text, as: UTF8.self)
    }

    private static let simple: [UInt8: UInt8] = [
        UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10,
        UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11,
        UInt8(ascii: "\\"): 0x5c,
    ]

    private static func escape(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard let kind = rest.popFirst() else { return nil }
        if let byte = simple[kind] { return [byte] }
        switch kind {
        case UInt8(ascii: "x"): return number(&rest, digits: 2, radix: 16).map { [UInt8($0)] }
        case UInt8(ascii: "u"): return number(&rest, digits: 4, radix: 16).flatMap(character)
        case UInt8(ascii: "U"): return number(&rest, digits: 8, radix: 16).flatMap(character)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            rest = [kind] + rest
            guard let value = number(&rest, digits: 3, radix: 8), value < 256 else { return nil }
            return [UInt8(value)]
        default: return nil
        }
    }

    private static func number(
        _ rest: inout ArraySlice<UInt8>, digits: Int, radix: Int
    ) -> UInt32? {
        let text = String(decoding: rest.prefix(digits), as: UTF8.self)
        rest = rest.dropFirst(digits)
        guard text.utf8.count == digits, text.allSatisfy(\.isHexDigit) else { return nil }
        return UInt32(text, radix: radix)
    }

    private static func character(_ value: UInt32) -> [UInt8]? {
        Unicode.Scalar(value).map { Array(String(Character($0)).utf8) }
    }

    /// The text in double quotes as messages show it.
    static func quoted(_ text: String) -> String {
        var shown = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": shown += "\\\""
            case "\\": shown += "\\\\"
            case "\n": shown += "\\n"
            case "\r": shown += "\\r"
            case "\t": shown += "\\t"
            default: shown.unicodeScalars.append(scalar)
            }
        }
        return shown + "\""
    }
}
