package import MeshModel

/// What may stand under a key.
package enum ValueType: Sendable {
    /// Any text that the rule accepts.
    case text(TextRule)
    case bool
    case integer(ClosedRange<Int>)
    case decimal
    /// A span of time; `zero` is accepted besides the range when it has a meaning.
    case duration(ClosedRange<MeshDuration>, zero: Bool)
    /// A span in the shape of Consul's documents, where a bare number counts nanoseconds.
    case consulDuration
    case address
    case path(PathRule)
    case choice([String])
    /// A list of texts; on the command line separated by commas.
    case texts
    case integers
    /// Texts by name; on the command line `name=value,name=value`.
    case textMap
    /// Lists of texts by name.
    case listMap
    /// Anything, carried without reading.
    case data
    /// Anything by name, carried without reading.
    case dataMap
    case object(ObjectSchema)
    case objects(ObjectSchema)
    case objectMap(ObjectSchema)
    /// Config entries: each has the keys of its kind.
    case entries
}

/// A rule of a text, with the words for it.
package struct TextRule: Sendable {
    /// What the handbook calls such a text.
    package var name: String
    /// Whether "" is accepted and means that the key is not set.
    package var mayBeEmpty: Bool
    /// Throws what is wrong and what to write.
    package var check: @Sendable (String) throws -> Void

    package static let any = TextRule(name: "text", mayBeEmpty: true) { _ in }

    /// The rule of a model's name type.
    static func name<T: ModelName>(_ type: T.Type, _ what: String) -> TextRule {
        TextRule(name: what, mayBeEmpty: true) { _ = try T($0) }
    }
}

/// A rule of a path. Relative paths start at the folder of the file they stand in.
package enum PathRule: Sendable {
    /// Made when absent, or looked at later.
    case any
    /// A unix socket: the kernel takes at most 107 bytes.
    case socket
    case existingFile
    case existingFolder
    case executable
}

/// One key: the single source of its type, default, range, example and handbook text.
package struct KeySpec: Sendable {
    package var name: String
    package var aliases: [String]
    package var type: ValueType
    /// The default as it would be written; nil when the key is absent by default.
    package var fallback: String?
    package var isRequired: Bool
    /// A sound value as it would be written. It also stands in for a faulty one while the rest of
    /// the document is looked at, so that one mistake is reported once.
    package var example: String
    package var help: String

    /// A key with a default.
    static func key(
        _ name: String, _ type: ValueType, default fallback: String, _ help: String,
        example: String? = nil, aliases: [String] = []
    ) -> KeySpec {
        KeySpec(
            name: name, aliases: aliases, type: type, fallback: fallback, isRequired: false,
            example: example ?? fallback, help: help)
    }

    /// A key that is absent by default.
    static func optional(
        _ name: String, _ type: ValueType, example: String, _ help: String, aliases: [String] = []
    ) -> KeySpec {
        KeySpec(
            name: name, aliases: aliases, type: type, fallback: nil, isRequired: false,
            example: example, help: help)
    }

    /// A key that must be there.
    static func required(
        _ name: String, _ type: ValueType, example: String, _ help: String, aliases: [String] = []
    ) -> KeySpec {
        KeySpec(
            name: name, aliases: aliases, type: type, fallback: nil, isRequired: true,
            example: example, help: help)
    }
}

/// The keys of one kind of mapping.
package struct ObjectSchema: Sendable {
    /// What messages call it: `listener`, `service`.
    package var name: String
    package var keys: [KeySpec]
    private let byFolded: [FoldedKey: Int]
    /// By exact name or alias, so that readers in this room do not fold.
    private let byName: [String: Int]
    /// The spellings of each key, its name first.
    private let spellings: [[FoldedKey]]

    package init(_ name: String, _ keys: [KeySpec]) {
        self.name = name
        self.keys = keys
        var table: [FoldedKey: Int] = [:]
        for (index, key) in keys.enumerated() {
            for spelling in [key.name] + key.aliases {
                let previous = table.updateValue(index, forKey: FoldedKey(spelling))
                precondition(previous == nil || previous == index, "\(name).\(spelling) twice")
            }
        }
        byFolded = table
        byName = Dictionary(
            keys.enumerated().flatMap { index, key in
                ([key.name] + key.aliases).map { ($0, index) }
            }, uniquingKeysWith: { first, _ in first })
        spellings = keys.map { key in ([key.name] + key.aliases).map { FoldedKey($0) } }
    }

    /// The key with exactly this name or alias, and its value in a mapping if there is one.
    func find(_ name: String, in node: DocumentNode) -> (spec: KeySpec, value: DocumentNode?) {
        guard let index = byName[name] else {
            fatalError("the table of \(self.name) has no \(name)")
        }
        let found = spellings[index].lazy.compactMap { node.member($0) }.first
        return (keys[index], found.flatMap { $0.value.isNull ? nil : $0.value })
    }

    /// Whether the table has a key with exactly this name or alias.
    func has(_ name: String) -> Bool { byName[name] != nil }

    /// The key with this name or alias in any spelling.
    package func spec(_ key: String) -> KeySpec? { spec(FoldedKey(key)) }

    func spec(_ key: FoldedKey) -> KeySpec? { byFolded[key].map { keys[$0] } }
}

extension ValueType {
    /// The schema of the mappings below, if there are any.
    var schema: ObjectSchema? {
        switch self {
        case .object(let schema), .objects(let schema), .objectMap(let schema): schema
        default: nil
        }
    }

    /// Whether a flag can carry the value.
    var fitsFlag: Bool {
        switch self {
        case .text, .bool, .integer, .decimal, .duration, .consulDuration, .address, .path,
            .choice, .texts, .integers, .textMap:
            true
        case .listMap, .data, .dataMap, .object, .objects, .objectMap, .entries: false
        }
    }

    /// The type in words, with its unit and range.
    package var words: String {
        switch self {
        case .text(let rule): rule.name
        case .bool: "true or false"
        case .integer(let range):
            range == .anyInt
                ? "whole number" : "whole number of \(range.lowerBound) to \(range.upperBound)"
        case .decimal: "number"
        case .duration(let range, let zero):
            "duration of \(zero && range.lowerBound > .zero ? "0s or " : "")\(range.lowerBound)"
                + " to \(range.upperBound)"
        case .consulDuration: "duration"
        case .address: "address host:port"
        case .path(.socket): "path of a unix socket"
        case .path(.existingFolder): "path of a folder"
        case .path(.executable): "path of a program"
        case .path: "path of a file"
        case .choice(let choices):
            choices.filter { !$0.isEmpty }.joined(separator: ", ")
        case .texts: "list of texts"
        case .integers: "list of whole numbers"
        case .textMap: "texts by name"
        case .listMap: "lists of texts by name"
        case .data: "any value"
        case .dataMap: "any values by name"
        case .object(let schema): schema.name
        case .objects(let schema): "list of \(schema.name)s"
        case .objectMap(let schema): "\(schema.name)s by name"
        case .entries: "list of config entries"
        }
    }
}

extension ClosedRange where Bound == Int {
    static var anyInt: ClosedRange<Int> { Int.min...Int.max }
}
