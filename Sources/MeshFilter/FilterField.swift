/// The type of a field that expressions can name.
package indirect enum FilterField: Sendable {
    case bool
    case integer
    case text
    case texts
    /// Texts by keys that anybody chooses.
    case textMap
    case record([String: FilterField])
    /// A selector that leads through holds if it holds for one of them.
    case records([String: FilterField])
    /// Records by keys that anybody chooses.
    case recordMap([String: FilterField])

    /// The type of what `name` means here; nil for nothing.
    func field(_ name: String) -> FilterField? {
        switch self {
        case .bool, .integer, .text, .texts: nil
        case .textMap: .text
        case .record(let fields), .records(let fields): fields[name]
        case .recordMap(let fields): .record(fields)
        }
    }

    /// Whether a comparison makes sense.
    func allows(_ comparison: FilterSyntax.Comparison) -> Bool {
        switch (self, comparison.positive) {
        case (.bool, .equal), (.integer, .equal), (.text, .equal), (.text, .isIn),
            (.text, .matches), (.texts, .isIn), (.texts, .isEmpty), (.textMap, .isIn),
            (.textMap, .isEmpty), (.recordMap, .isIn), (.recordMap, .isEmpty),
            (.records, .isEmpty):
            true
        default: false
        }
    }
}

/// What expressions of one kind are about.
package struct FilterSchema: Sendable {
    let fields: [String: FilterField]

    init(_ fields: [String: FilterField]) { self.fields = fields }
}

/// The value of a field.
package enum FilterValue: Sendable {
    case bool(Bool)
    case integer(Int)
    case text(String)
    case texts([String])
    case textMap([String: String])
    case record(any FilterRecord)
    case records([any FilterRecord])
    case recordMap([String: any FilterRecord])
}

/// Something that expressions of a schema can be asked about.
package protocol FilterRecord: Sendable {
    /// The value of a field of the schema, of the type that the schema says.
    func value(_ field: String) -> FilterValue
}
