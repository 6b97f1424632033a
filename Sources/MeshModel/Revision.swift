/// The position of a change in the state store. It only ever grows; 0 means "never written".
package struct Index: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }
    package static let zero = Index(0)

    /// The index of the next change.
    package var next: Index { Index(value + 1) }
    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
    package var description: String { "\(value)" }

    package init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(UInt64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// The number of one published snapshot. Workers acknowledge generations; 0 is none.
package struct Generation: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) { self.value = value }
    package static let none = Generation(0)

    /// The number of the snapshot after this one.
    package var next: Generation { Generation(value + 1) }
    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
    package var description: String { "\(value)" }

    package init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(UInt64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}
