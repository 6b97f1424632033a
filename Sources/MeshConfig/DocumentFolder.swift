package import MeshModel

/// What one folder of documents, one document or one API body said.
package struct Documents<Value: Sendable & Hashable>: Sendable {
    /// The sound objects. A faulty one is left out and its problems are told.
    package var values: [Owned<Value>]
    package var problems: [Problem]

    package init(values: [Owned<Value>], problems: [Problem]) {
        self.values = values
        self.problems = problems
    }

    /// Whether everything that was read is sound.
    package var isSound: Bool { !problems.contains { $0.severity == .error } }

    /// What was defined first of everything that was defined twice, the others told.
    func withoutRepeats(_ identity: (Value) -> String) -> Documents {
        var result = Documents(values: [], problems: problems)
        var seen: [String: SourceLocation] = [:]
        for owned in values {
            let name = identity(owned.value)
            if let first = seen[name] {
                result.problems.append(
                    Problem(
                        .error, "\(name) is defined in \(first) already: keep one of them",
                        at: owned.location))
            } else {
                seen[name] = owned.location
                result.values.append(owned)
            }
        }
        return result
    }

    /// The single object of an API body; throws every problem when it is not sound.
    package func single() throws -> Value {
        guard isSound, values.count == 1, let first = values.first else {
            let errors = problems.filter { $0.severity == .error }
            throw ConfigProblems(
                problems: errors.isEmpty
                    ? [Problem(.error, "the body must hold one object, not \(values.count)")]
                    : errors)
        }
        return first.value
    }
}

/// Reads service and config-entry documents: files, folders of files, and bodies of the API.
///
/// A document holds one object, a list of them, or Consul's wrappers `service`, `services`,
/// `config_entries`. YAML and JSON are read alike.
package enum DocumentLoader {
    private static let extensions = [".yaml", ".yml", ".json"]

    /// Every service document of a folder, in the order of the files' names.
    package static func loadServices(directory: String) -> Documents<ServiceDefinition> {
        load(directory, services).withoutRepeats(serviceIdentity)
    }

    /// Every config-entry document of a folder, in the order of the files' names.
    package static func loadConfigEntries(directory: String) -> Documents<ConfigEntry> {
        load(directory, configEntries).withoutRepeats(entryIdentity)
    }

    /// The services of one document.
    package static func services(
        _ bytes: [UInt8], source: String
    ) -> Documents<ServiceDefinition> {
        read(SourceText(bytes, source: source), wrappers: ["service", "services"]) {
            node, sink, path in
            SchemaChecker(sink: sink).check(node, ServiceKeys.schema, path)
            return ServiceReader.read(Fields(node: node, schema: ServiceKeys.schema), sink, path)
        }.withoutRepeats(serviceIdentity)
    }

    /// The config entries of one document.
    package static func configEntries(
        _ bytes: [UInt8], source: String
    ) -> Documents<ConfigEntry> {
        read(
            SourceText(bytes, source: source), wrappers: ["config_entry", "config_entries"]
        ) { node, sink, path in
            SchemaChecker(sink: sink).checkEntry(node, path)
            return EntryReader.read(node, sink, path)
        }.withoutRepeats(entryIdentity)
    }

    private static func serviceIdentity(_ service: ServiceDefinition) -> String {
        "service id \(quoted(service.id.text))"
    }

    private static func entryIdentity(_ entry: ConfigEntry) -> String {
        "\(entry.kind) \(quoted(entry.key.name))"
    }

    /// One intention as the API takes it: source, destination, action or permissions.
    package static func intention(_ bytes: [UInt8], source: String) -> Documents<Intention> {
        read(SourceText(bytes, source: source), wrappers: []) { node, sink, path in
            SchemaChecker(sink: sink).check(node, IntentionReader.schema, path)
            return IntentionReader.read(
                Fields(node: node, schema: IntentionReader.schema), sink)
        }
    }

    private static func load<T>(
        _ directory: String, _ read: ([UInt8], String) -> Documents<T>
    ) -> Documents<T> {
        var all = Documents<T>(values: [], problems: [])
        let names: [String]
        do {
            names = try Files.names(in: directory)
        } catch {
            let place = SourceLocation(source: directory)
            return Documents(values: [], problems: [Problem(.error, "\(error)", at: place)])
        }
        // Editors leave backups and half-written files that begin with a dot or end otherwise.
        for name in names where !name.hasPrefix(".") && extensions.contains(where: name.hasSuffix) {
            let path = directory.hasSuffix("/") ? directory + name : "\(directory)/\(name)"
            do {
                let one = read(try Files.read(path, limit: DocumentLimits.bytes), path)
                all.values += one.values
                all.problems += one.problems
            } catch {
                all.problems.append(
                    Problem(.error, "\(error)", at: SourceLocation(source: path)))
            }
        }
        return all
    }

    private static func read<T>(
        _ text: SourceText, wrappers: [String],
        _ read: (DocumentNode, ProblemSink, [FieldStep]) -> T?
    ) -> Documents<T> {
        let parsed = DocumentParser.parse(text)
        let sink = ProblemSink()
        parsed.problems.forEach(sink.add)
        var values: [Owned<T>] = []
        if let root = parsed.node {
            for (node, path) in unwrap(root, wrappers, sink) {
                let value = read(node, sink, path)
                guard let value, !sink.isFaulty(node) else { continue }
                values.append(Owned(value, at: node.location))
            }
        }
        return Documents(values: values, problems: ConfigLoader.problems(of: sink).problems)
    }

    /// The objects of a document: what stands in wrappers, in a list, or the document itself.
    private static func unwrap(
        _ root: DocumentNode, _ wrappers: [String], _ sink: ProblemSink
    ) -> [(DocumentNode, [FieldStep])] {
        if root.isNull { return [] }
        let folded = Set(wrappers.map { FoldedKey($0) })
        guard let members = root.members,
            members.contains(where: { folded.contains($0.folded) })
        else { return list(root, []) }
        return members.flatMap { member -> [(DocumentNode, [FieldStep])] in
            guard folded.contains(member.folded) else {
                sink.error(
                    "unknown key beside \(wrappers.joined(separator: " or ")): remove it",
                    at: member.keyLocation, [.key(member.key)])
                return []
            }
            return member.value.isNull ? [] : list(member.value, [.key(member.key)])
        }
    }

    private static func list(
        _ node: DocumentNode, _ path: [FieldStep]
    ) -> [(DocumentNode, [FieldStep])] {
        guard let items = node.items else { return [(node, path)] }
        return items.enumerated().map { ($1, path + [.index($0)]) }
    }
}
