import MeshModel

/// Where to listen or what to dial: nothing is resolved any more.
package enum AddressPlan: Hashable, Sendable, Codable {
    case ip(IPAddress, port: UInt16)
    /// An absolute file name; `mode` holds the permission bits of a listener's file.
    case unix(path: String, mode: UInt32)
    /// Of endpoints: where the client's connection was made to before it was redirected.
    case original

    /// Reads an IP address in text form, without brackets.
    package init(ip text: String, port: UInt16) throws {
        guard let address = IPAddress(text) else {
            throw MeshError(.invalid, "\"\(text)\" is not an IP address")
        }
        self = .ip(address, port: port)
    }
}

/// An IP address as bytes.
package struct IPAddress: Hashable, Sendable, Codable {
    /// The bytes in network order as two big-endian numbers; an IPv4 address is in the top half of
    /// the first.
    package let high: UInt64
    package let low: UInt64
    package let isV6: Bool

    package init(v4 bits: UInt32) {
        high = UInt64(bits) << 32
        low = 0
        isV6 = false
    }

    package init(v6High: UInt64, low: UInt64) {
        high = v6High
        self.low = low
        isV6 = true
    }

    /// Reads dotted quads and RFC 4291 text, without brackets and zones.
    package init?(_ text: String) {
        if let bits = IPText.quad(text[...]) {
            self.init(v4: bits)
        } else if let groups = Self.groups(text[...]) {
            self.init(
                v6High: groups[..<4].reduce(0) { $0 << 16 | UInt64($1) },
                low: groups[4...].reduce(0) { $0 << 16 | UInt64($1) })
        } else {
            return nil
        }
    }

    private static func groups(_ text: Substring) -> [UInt16]? {
        guard IPText.isV6(text) else { return nil }
        var before: [UInt16] = []
        var after: [UInt16] = []
        var gap = false
        var rest = text
        while !rest.isEmpty {
            if rest.hasPrefix("::") {
                gap = true
                rest = rest.dropFirst(2)
                continue
            }
            if rest.hasPrefix(":") { rest = rest.dropFirst() }
            let part = rest.prefix { $0 != ":" }
            rest = rest[part.endIndex...]
            var values: [UInt16] = []
            if let bits = IPText.quad(part) {
                values = [UInt16(bits >> 16), UInt16(bits & 0xffff)]
            } else if let value = UInt16(part, radix: 16) {
                values = [value]
            }
            if gap { after += values } else { before += values }
        }
        let zeros = 8 - before.count - after.count
        guard zeros >= 0 else { return nil }
        return before + Array(repeating: 0, count: zeros) + after
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address as people write it; IPv6 in the form of RFC 5952.
    package var description: String {
        guard isV6 else {
            return stride(from: 56, through: 32, by: -8)
                .map { String(high >> UInt64($0) & 0xff) }.joined(separator: ".")
        }
        let groups = [high, low].flatMap { half in
            stride(from: 48, through: 0, by: -16).map { UInt16(half >> UInt64($0) & 0xffff) }
        }
        guard let gap = Self.longestZeros(groups) else {
            return groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        let head = groups[..<gap.lowerBound].map { String($0, radix: 16) }
        let tail = groups[gap.upperBound...].map { String($0, radix: 16) }
        return head.joined(separator: ":") + "::" + tail.joined(separator: ":")
    }

    /// The first longest run of two or more zero groups.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?
        var start: Int?
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 {
                start = start ?? index
            } else if let from = start {
                if index - from >= 2, index - from > best?.count ?? 1 { best = from..<index }
                start = nil
            }
        }
        return best
    }
}

extension AddressPlan: CustomStringConvertible {
    package var description: String {
        switch self {
        case .ip(let address, let port):
            address.isV6 ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path, _): "unix:\(path)"
        case .original: "where the client wanted to go"
        }
    }
}
