import MeshModel

/// The problems of one reading, in one place, each kept with the path of its key.
final class ProblemSink {
    private(set) var problems: [Problem] = []
    /// Where mistakes were found: what stands on such a place or below is not judged twice.
    private var faulty: Set<SourceLocation> = []

    func add(_ problem: Problem) {
        problems.append(problem)
        if problem.severity == .error, let location = problem.location { faulty.insert(location) }
    }

    func error(_ message: String, at location: SourceLocation, _ path: [FieldStep]) {
        add(Problem(.error, message, at: location, key: path.dotted))
    }

    func warning(_ message: String, at location: SourceLocation, _ path: [FieldStep]) {
        add(Problem(.warning, message, at: location, key: path.dotted))
    }

    /// Whether a mistake was found on the value or anywhere below it.
    func isFaulty(_ node: DocumentNode) -> Bool {
        if faulty.contains(node.location) { return true }
        switch node.content {
        case .scalar: return false
        case .sequence(let items): return items.contains(where: isFaulty)
        case .mapping(let members):
            return members.contains { faulty.contains($0.keyLocation) || isFaulty($0.value) }
        }
    }
}

/// Holds a document against the table of its keys: unknown or repeated keys, wrong kinds of value,
/// values out of range, missing keys. Nothing is read here, so every mistake is found in one pass.
struct SchemaChecker {
    let sink: ProblemSink
    /// The folder that relative paths of flags start at.
    var folder = "."
    /// Whether named files are looked for.
    var checksFiles = false

    /// `others` lets keys pass that the table does not have.
    func check(
        _ node: DocumentNode, _ schema: ObjectSchema, _ path: [FieldStep], others: Bool = false
    ) {
        if node.isNull {
            checkRequired(schema, present: [], node.location, path)
            return
        }
        guard let members = node.members else {
            sink.error(
                "a \(schema.name) is a mapping of keys, not \(node.kindName)", at: node.location,
                path)
            return
        }
        var present: [String: DocumentNode.Member] = [:]
        for member in members {
            guard let spec = schema.spec(member.folded) else {
                if !others { unknown(member, schema, path) }
                continue
            }
            if let first = present[spec.name] {
                sink.error(
                    "this repeats \(first.key) of line \(first.keyLocation.line): remove one",
                    at: member.keyLocation, path + [.key(member.key)])
                continue
            }
            present[spec.name] = member
            check(member.value, spec.type, path + [.key(member.key)], example: spec.example)
        }
        let given = present.filter { $0.value.value.scalarText != "" }
        checkRequired(schema, present: Set(given.keys), node.location, path)
    }

    private func unknown(
        _ member: DocumentNode.Member, _ schema: ObjectSchema, _ path: [FieldStep]
    ) {
        let names = schema.keys.flatMap { [$0.name] + $0.aliases }
        let folded = Dictionary(
            names.map { (FoldedKey($0).text, $0) }, uniquingKeysWith: { a, _ in a })
        let near = Suggestion.nearest(
            to: member.folded.text, among: names.map { FoldedKey($0).text })
        var message = "unknown key"
        if let near, let name = folded[near] {
            message += ": did you mean \(name)?"
        } else {
            message += ": a \(schema.name) has \(schema.keys.map(\.name).joined(separator: ", "))"
        }
        sink.error(message, at: member.keyLocation, path + [.key(member.key)])
    }

    private func checkRequired(
        _ schema: ObjectSchema, present: Set<String>, _ location: SourceLocation,
        _ path: [FieldStep]
    ) {
        for spec in schema.keys where spec.isRequired && !present.contains(spec.name) {
            sink.error(
                "\(spec.name) is missing: write \(spec.name): \(spec.example)", at: location, path)
        }
    }

    private func check(
        _ node: DocumentNode, _ type: ValueType, _ path: [FieldStep], example: String
    ) {
        guard !node.isNull else { return }
        switch type {
        case .object(let schema): check(node, schema, path)
        case .objects(let schema): eachItem(node, path) { check($0, schema, $1) }
        case .objectMap(let schema): eachMember(node, path) { check($0, schema, $1) }
        case .entries: eachItem(node, path) { checkEntry($0, $1) }
        case .texts: eachItem(node, path) { scalar($0, .text(.any), $1, example) }
        case .integers: eachItem(node, path) { scalar($0, .integer(.anyInt), $1, example) }
        case .textMap: eachMember(node, path) { scalar($0, .text(.any), $1, example) }
        case .listMap:
            eachMember(node, path) { node, path in
                eachItem(node, path) { scalar($0, .text(.any), $1, example) }
            }
        case .data: break
        case .dataMap: eachMember(node, path) { _, _ in }
        case .text, .bool, .integer, .decimal, .duration, .consulDuration, .address, .path,
            .choice:
            scalar(node, type, path, example)
        }
    }

    /// A config entry has the keys of its kind.
    func checkEntry(_ node: DocumentNode, _ path: [FieldStep]) {
        switch EntryKeys.schema(of: node) {
        case .known(let schema): check(node, schema, path)
        case .carried: check(node, EntryKeys.head, path, others: true)
        case .unknown(let message, let location): sink.error(message, at: location, path)
        }
    }

    private func scalar(
        _ node: DocumentNode, _ type: ValueType, _ path: [FieldStep], _ example: String
    ) {
        guard case .scalar = node.content else {
            sink.error(
                "this takes one value (\(type.words)), not \(node.kindName): write for example "
                    + "\(quoted(example))", at: node.location, path)
            return
        }
        guard let text = node.text else { return }
        if let message = type.problem(with: text) {
            sink.error(message, at: node.location, path)
        } else if checksFiles, !text.isEmpty, case .path(let rule) = type,
            let message = Files.problem(
                Paths.resolve(text, at: node.location, current: folder), rule)
        {
            sink.error(message, at: node.location, path)
        }
    }

    private func eachItem(
        _ node: DocumentNode, _ path: [FieldStep], _ body: (DocumentNode, [FieldStep]) -> Void
    ) {
        guard let items = node.items else {
            sink.error(
                "this takes a list, not \(node.kindName): write [ … ] or one item a line after -",
                at: node.location, path)
            return
        }
        for (index, item) in items.enumerated() { body(item, path + [.index(index)]) }
    }

    private func eachMember(
        _ node: DocumentNode, _ path: [FieldStep], _ body: (DocumentNode, [FieldStep]) -> Void
    ) {
        guard let members = node.members else {
            sink.error(
                "this takes names with values, not \(node.kindName): write { name: value }",
                at: node.location, path)
            return
        }
        for member in members { body(member.value, path + [.key(member.key)]) }
    }
}

extension ProblemSink {
    /// Reports the broken rules of a value that was read from `node`, each at its field. What is
    /// on a field that is faulty already is left out.
    func report(
        _ broken: [FieldProblem], in node: DocumentNode, _ schema: ObjectSchema,
        _ path: [FieldStep]
    ) {
        for problem in broken {
            let location = place(problem.path, in: node, schema)
            if location != node.location, faulty.contains(location) { continue }
            error(problem.message, at: location, path + problem.path)
        }
    }

    /// The place of a field: its value, or the nearest mapping around it that is written.
    private func place(
        _ path: [FieldStep], in node: DocumentNode, _ schema: ObjectSchema
    ) -> SourceLocation {
        var node = node
        var schema: ObjectSchema? = schema
        for step in path {
            switch step {
            case .index(let index):
                guard let items = node.items, items.indices.contains(index) else {
                    return node.location
                }
                node = items[index]
            case .key(let key):
                let spec = schema?.spec(key)
                let spellings = spec.map { [$0.name] + $0.aliases } ?? [key]
                let found = spellings.lazy.compactMap { node.member(FoldedKey($0)) }.first
                guard let found else { return node.location }
                node = found.value
                if spec != nil { schema = spec?.type.schema }
            }
        }
        return node.location
    }
}
