import MeshModel

/// Addresses in the form that records have.
enum IPBytes {
    /// Four bytes or sixteen; nil for what is no address.
    static func parse(_ text: String) -> [UInt8]? {
        if let bits = IPText.quad(text[...]) { return bytes(of: bits) }
        guard IPText.isV6(text[...]) else { return nil }
        guard let gap = text.utf8.indices.first(where: { text.utf8[$0...].starts(with: "::".utf8) })
        else { return groups(text[...]) }
        let head = groups(text[..<gap])
        let tail = groups(text[text.utf8.index(gap, offsetBy: 2)...])
        let missing = 16 - head.count - tail.count
        return head + Array(repeating: 0, count: max(0, missing)) + tail
    }

    private static func bytes(of bits: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: bits >> UInt32($0)) }
    }

    private static func groups(_ text: Substring) -> [UInt8] {
        text.split(separator: ":").flatMap { part -> [UInt8] in
            if let bits = IPText.quad(part) { return bytes(of: bits) }
            let value = UInt16(part, radix: 16) ?? 0
            return [UInt8(value >> 8), UInt8(value & 0xff)]
        }
    }
}
