/// An expression as a tree over bytes.
indirect enum RegexNode: Equatable {
    /// Nothing, at the cost of nothing.
    case empty
    /// One byte of a set.
    case bytes(ByteSet)
    case sequence([RegexNode])
    case choice([RegexNode])
    /// `most` nil: without bound.
    case repeated(RegexNode, least: Int, most: Int?)
    /// `^`, `\A`: nothing stands before.
    case start
    /// `$`, `\z`: nothing stands behind.
    case end
    /// A group whose part of the text is asked for.
    case group(RegexNode, number: Int)
    /// A repetition that takes as little as it can.
    case lazy(RegexNode)
}

/// A set of bytes.
struct ByteSet: Hashable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    init(_ range: ClosedRange<UInt8>) {
        for byte in range { insert(byte) }
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return word >> UInt64(byte & 63) & 1 != 0
    }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    static func == (left: Self, right: Self) -> Bool { left.words == right.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }
}

/// Characters as sorted ranges that do not touch, and their form in UTF-8.
struct CharacterRanges: Equatable {
    private(set) var ranges: [ClosedRange<UInt32>] = []

    static let last: UInt32 = 0x10ffff

    init(_ ranges: [ClosedRange<UInt32>] = []) {
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let before = self.ranges.last, range.lowerBound <= before.upperBound + 1 {
                let upper = max(before.upperBound, range.upperBound)
                self.ranges[self.ranges.count - 1] = before.lowerBound...upper
            } else {
                self.ranges.append(range)
            }
        }
    }

    var inverted: CharacterRanges {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= Self.last { result.append(next...Self.last) }
        return CharacterRanges(result)
    }

    func union(_ other: CharacterRanges) -> CharacterRanges {
        CharacterRanges(ranges + other.ranges)
    }

    /// With both cases of every ASCII letter.
    var ignoringCase: CharacterRanges {
        var result = ranges
        for (from, to) in [(UInt32(0x41)...0x5a, UInt32(0x61)), (0x61...0x7a, 0x41)] {
            for range in ranges where range.overlaps(from) {
                let part = range.clamped(to: from)
                let lower = part.lowerBound - from.lowerBound + to
                result.append(lower...lower + (part.upperBound - part.lowerBound))
            }
        }
        return CharacterRanges(result)
    }

    /// The bytes of these characters.
    var node: RegexNode {
        var ascii = ByteSet()
        var choices: [RegexNode] = []
        for range in ranges {
            if range.lowerBound < 0x80 {
                for byte in range.lowerBound...min(range.upperBound, 0x7f) {
                    ascii.insert(UInt8(byte))
                }
            }
            let floor = max(range.lowerBound, 0x80)
            if floor <= range.upperBound { choices += Self.utf8(floor...range.upperBound) }
        }
        if ascii != ByteSet() || choices.isEmpty { choices.insert(.bytes(ascii), at: 0) }
        return choices.count == 1 ? choices[0] : .choice(choices)
    }

    /// Sequences of byte ranges for characters from U+0080 on. Surrogates have no form in UTF-8.
    private static func utf8(_ range: ClosedRange<UInt32>) -> [RegexNode] {
        let lengths: [ClosedRange<UInt32>] = [
            0x80...0x7ff, 0x800...0xd7ff, 0xe000...0xffff, 0x10000...0x10ffff,
        ]
        var nodes: [RegexNode] = []
        for length in lengths where length.overlaps(range) {
            let part = range.clamped(to: length)
            for product in split(encode(part.lowerBound), encode(part.upperBound)) {
                nodes.append(.sequence(product.map { RegexNode.bytes(ByteSet($0)) }))
            }
        }
        return nodes
    }

    private static func encode(_ character: UInt32) -> [UInt8] {
        func tail(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (character >> shift & 0x3f)) }
        if character < 0x800 { return [UInt8(0xc0 | character >> 6), tail(0)] }
        if character < 0x10000 { return [UInt8(0xe0 | character >> 12), tail(6), tail(0)] }
        return [UInt8(0xf0 | character >> 18), tail(12), tail(6), tail(0)]
    }

    /// All strings between two of the same length as products of byte ranges.
    private static func split(_ low: [UInt8], _ high: [UInt8]) -> [[ClosedRange<UInt8>]] {
        if low.count == 1 { return [[low[0]...high[0]]] }
        let least = Array(repeating: UInt8(0x80), count: low.count - 1)
        let most = Array(repeating: UInt8(0xbf), count: low.count - 1)
        let lowTail = Array(low.dropFirst())
        let highTail = Array(high.dropFirst())
        if low[0] == high[0] {
            return split(lowTail, highTail).map { [low[0]...low[0]] + $0 }
        }
        var result: [[ClosedRange<UInt8>]] = []
        var from = low[0]
        var to = high[0]
        if lowTail != least {
            result += split(lowTail, most).map { [from...from] + $0 }
            from += 1
        }
        var rest: [[ClosedRange<UInt8>]] = []
        if highTail != most {
            rest = split(least, highTail).map { [to...to] + $0 }
            to -= 1
        }
        if from <= to {
            result.append([from...to] + least.map { _ in 0x80...0xbf })
        }
        return result + rest
    }
}
