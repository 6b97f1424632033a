import MeshModel

/// Reads the values of a mapping that SchemaChecker has looked at.
///
/// A faulty value was reported there; here the key's example stands in for it, so that the rules
/// which span fields can still be checked without reporting one mistake twice.
struct Fields {
    let node: DocumentNode
    let schema: ObjectSchema
    /// Where relative paths start that stand in no file.
    var folder: String = "."

    /// The value as written, or nil when there is none.
    func written(_ key: String) -> DocumentNode? { schema.find(key, in: node).value }

    /// The text under the key when it is sound, its example when it is not, else the default.
    private func sound(_ key: String) -> String? {
        let (spec, value) = schema.find(key, in: node)
        guard let value else { return spec.fallback }
        guard let text = value.text, spec.type.problem(with: text) == nil else {
            return spec.example
        }
        return text
    }

    private func spec(_ key: String) -> KeySpec { schema.find(key, in: node).spec }

    func text(_ key: String) -> String? { sound(key) }

    /// The text, or nil when it is absent or empty.
    func filled(_ key: String) -> String? {
        sound(key).flatMap { $0.isEmpty ? nil : $0 }
    }

    func name<T: ModelName>(_ key: String, _ type: T.Type) -> T? {
        filled(key).flatMap { try? T($0) }
    }

    func pattern(_ key: String) -> NamePattern? {
        filled(key).flatMap { try? NamePattern($0) }
    }

    func bool(_ key: String) -> Bool { sound(key).flatMap(Scalars.bool) ?? false }

    func integer(_ key: String) -> Int? { sound(key).flatMap(Scalars.integer) }

    func port(_ key: String) -> UInt16? { integer(key).flatMap { UInt16(exactly: $0) } }

    func decimal(_ key: String) -> Double? { sound(key).flatMap(Scalars.decimal) }

    func duration(_ key: String) -> MeshDuration? {
        sound(key).flatMap { try? Scalars.consulDuration($0) }
    }

    func address(_ key: String) -> HostPort? {
        filled(key).flatMap { try? HostPort($0) }
    }

    /// The choice with the spelling of the table, or nil when absent.
    func choice<T: RawRepresentable>(_ key: String, _ type: T.Type) -> T?
    where T.RawValue == String {
        guard let text = sound(key), case .choice(let choices) = spec(key).type else { return nil }
        return choices.first { $0.lowercased() == text.lowercased() }.flatMap { T(rawValue: $0) }
    }

    func texts(_ key: String) -> [String] { written(key)?.items?.compactMap(\.scalarText) ?? [] }

    func integers(_ key: String) -> [Int] {
        written(key)?.items?.compactMap { $0.text.flatMap(Scalars.integer) } ?? []
    }

    func textMap(_ key: String) -> [String: String] {
        Dictionary(
            (written(key)?.members ?? []).compactMap { member in
                member.value.scalarText.map { (member.key, $0) }
            }, uniquingKeysWith: { first, _ in first })
    }

    func listMap(_ key: String) -> [String: [String]] {
        Dictionary(
            (written(key)?.members ?? []).map { member in
                (member.key, member.value.items?.compactMap(\.scalarText) ?? [])
            }, uniquingKeysWith: { first, _ in first })
    }

    func data(_ key: String) -> DataValue? { written(key)?.data }

    func dataMap(_ key: String) -> [String: DataValue] {
        if case .object(let members) = data(key) { return members }
        return [:]
    }

    /// The mapping under the key, or nil when there is none.
    func object(_ key: String) -> Fields? {
        guard let node = written(key), node.members != nil, let schema = spec(key).type.schema
        else { return nil }
        return Fields(node: node, schema: schema, folder: folder)
    }

    /// The mapping under the key, an empty one when there is none.
    func section(_ key: String) -> Fields {
        if let found = object(key) { return found }
        guard let schema = spec(key).type.schema else { fatalError("\(key) is no section") }
        return Fields(node: .empty(at: node.location), schema: schema, folder: folder)
    }

    func objects(_ key: String) -> [Fields] {
        guard let schema = spec(key).type.schema else { fatalError("\(key) is no list") }
        return (written(key)?.items ?? []).map {
            Fields(node: $0, schema: schema, folder: folder)
        }
    }

    func objectMap(_ key: String) -> [(name: String, fields: Fields)] {
        guard let schema = spec(key).type.schema else { fatalError("\(key) is no map") }
        return (written(key)?.members ?? []).map {
            ($0.key, Fields(node: $0.value, schema: schema, folder: folder))
        }
    }

    /// The path under the key made absolute, "" when it is not set.
    func path(_ key: String) -> String {
        guard let text = filled(key) else { return "" }
        let location = written(key)?.location ?? SourceLocation(source: "")
        return Paths.resolve(text, at: location, current: folder)
    }
}

extension DocumentNode {
    /// The text of a scalar, "" for a null one, nil for a collection.
    var scalarText: String? {
        if case .scalar(let text, _) = content { return isNull ? "" : text }
        return nil
    }
}
