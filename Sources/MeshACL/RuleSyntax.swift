/// A value of a document of rules, with where it stands.
indirect enum RuleValue: Sendable, Equatable {
    case text(String, RulePlace)
    /// Numbers and truth values: no rule has one, so they are kept as written.
    case word(String, RulePlace)
    case list([RuleValue], RulePlace)
    case object([RuleItem], RulePlace)

    var place: RulePlace {
        switch self {
        case .text(_, let place), .word(_, let place), .list(_, let place), .object(_, let place):
            place
        }
    }
}

/// A key with its labels and value: `service "web" { … }` is `service` with the label `web`.
struct RuleItem: Sendable, Equatable {
    var key: String
    var labels: [String]
    var value: RuleValue
    var place: RulePlace
}

/// A line and a column, counted from 1; columns are bytes.
package struct RulePlace: Sendable, Hashable, CustomStringConvertible {
    package var line: Int
    package var column: Int

    package var description: String { "\(line):\(column)" }
}

/// Why rules are none.
package struct RuleError: Error, Sendable, Hashable, CustomStringConvertible {
    package var place: RulePlace
    package var text: String

    package var description: String { "\(place): \(text)" }
}

/// Bounds of documents of rules.
package enum RuleLimits {
    package static let bytes = 512 * 1024
    /// Objects and lists within one another. Rules need three.
    package static let depth = 16
    package static let items = 16_384
}
