/// An expression as it was written, its fields and values not looked at yet.
indirect enum FilterSyntax: Equatable {
    case match(Match)
    case not(FilterSyntax)
    /// Two or more, of which all must hold.
    case and([FilterSyntax])
    /// Two or more, of which one must hold.
    case or([FilterSyntax])

    struct Match: Equatable {
        /// The names and indexes from the record to the field.
        var selector: [String]
        var comparison: Comparison
        /// Empty for comparisons that take none.
        var value = ""
    }

    /// `contains` is `in` the other way round.
    enum Comparison: String {
        case equal = "Equal"
        case notEqual = "Not Equal"
        case isIn = "In"
        case isNotIn = "Not In"
        case isEmpty = "Is Empty"
        case isNotEmpty = "Is Not Empty"
        case matches = "Matches"
        case matchesNot = "Not Matches"

        /// What it denies, or itself.
        var positive: Comparison {
            switch self {
            case .equal, .notEqual: .equal
            case .isIn, .isNotIn: .isIn
            case .isEmpty, .isNotEmpty: .isEmpty
            case .matches, .matchesNot: .matches
            }
        }
    }
}
