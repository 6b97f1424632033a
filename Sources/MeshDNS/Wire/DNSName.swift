/// A domain name as the wire has it: labels of bytes, the root is none.
package struct DNSName: Hashable, Sendable {
    /// As they were written; names are compared without regard to the case of ASCII letters.
    package let labels: [[UInt8]]

    package static let greatestLabel = 63
    /// With its length bytes and the root's.
    package static let greatestBytes = 255

    package static let root = DNSName(unchecked: [])

    init(unchecked labels: [[UInt8]]) { self.labels = labels }

    /// nil for labels that are empty or too long.
    package init?(_ labels: [[UInt8]]) {
        let bytes = labels.reduce(1) { $0 + 1 + $1.count }
        guard bytes <= Self.greatestBytes,
            labels.allSatisfy({ (1...Self.greatestLabel).contains($0.count) })
        else { return nil }
        self.labels = labels
    }

    /// From text with dots; one at the end changes nothing. Every byte stands for itself.
    package init?(_ text: String) {
        var text = text[...]
        if text.hasSuffix(".") { text.removeLast() }
        if text.isEmpty {
            self = .root
            return
        }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        self.init(parts.map { Array($0) })
    }

    /// The labels in small letters, as texts.
    package var folded: [String] {
        labels.map { String(decoding: $0.map(Self.folded), as: UTF8.self) }
    }

    static func folded(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }

    /// The labels before those of a domain; nil when the name is not in it.
    package func labels(within domain: DNSName) -> [[UInt8]]? {
        guard labels.count >= domain.labels.count,
            DNSName(unchecked: Array(labels.suffix(domain.labels.count))) == domain
        else { return nil }
        return Array(labels.dropLast(domain.labels.count))
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.labels.count == right.labels.count
            && zip(left.labels, right.labels).allSatisfy { first, second in
                first.count == second.count
                    && zip(first, second).allSatisfy { folded($0) == folded($1) }
            }
    }

    package func hash(into hasher: inout Hasher) {
        for label in labels { hasher.combine(label.map(Self.folded)) }
    }
}

extension DNSName: CustomStringConvertible {
    /// Bytes that are no letters, digits or marks of names are shown as `\DDD`.
    package var description: String {
        if labels.isEmpty { return "." }
        return labels.map { label in
            label.map { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"):
                    return String(Unicode.Scalar(byte))
                default:
                    let digits = String(byte)
                    return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
                }
            }.joined() + "."
        }.joined()
    }
}
