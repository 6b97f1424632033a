import MeshModel

/// Turns `--proxy.bind-addr=:8000`, `--proxy.bind-addr :8000` and `--flag` into keys with values.
///
/// A flag is a key's path with its dots; `-` and `_` are the same. Lists are separated by commas,
/// maps are written `name=value,name=value`. One leading dash does as well as two.
struct CommandLineFlags {
    struct Flag {
        /// The key's path in the table's spelling: `["proxy", "bind_addr"]`.
        var path: [String]
        var value: DocumentNode
    }

    private(set) var flags: [Flag] = []
    private(set) var problems: [Problem] = []

    init(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
                problems.append(
                    Problem(
                        .error,
                        "\(quoted(argument)) is neither a command nor a flag: write server, dev or "
                            + "validate, then --key=value, for example --config.path=ringmesh.yaml"
                    ))
                continue
            }
            take(argument, &rest)
        }
    }

    /// The last value of a flag, if it was given.
    func value(_ path: [String]) -> DocumentNode? { flags.last { $0.path == path }?.value }

    private mutating func take(_ argument: String, _ rest: inout ArraySlice<String>) {
        let body = argument.drop { $0 == "-" }
        let equals = body.firstIndex(of: "=")
        let name = String(equals.map { body[..<$0] } ?? body)
        let location = SourceLocation(source: "flag --\(name)")
        guard let (path, spec) = Self.find(name) else {
            if equals == nil, let next = rest.first, !next.hasPrefix("-") { rest.removeFirst() }
            problems.append(Problem(.error, Self.unknown(name), at: location))
            return
        }
        guard spec.type.fitsFlag else {
            problems.append(
                Problem(
                    .error, "this cannot be given as a flag: write it in the file", at: location))
            return
        }
        var text = equals.map { String(body[body.index(after: $0)...]) }
        if text == nil {
            if case .bool = spec.type {
                text = rest.first.flatMap { Scalars.bool($0) } == nil ? "true" : rest.removeFirst()
            } else if !rest.isEmpty {
                text = rest.removeFirst()
            }
        }
        guard let text else {
            problems.append(
                Problem(
                    .error, "the value is missing: write --\(name)=\(spec.example)", at: location))
            return
        }
        flags.append(Flag(path: path, value: node(text, spec.type, location)))
    }

    private mutating func node(
        _ text: String, _ type: ValueType, _ location: SourceLocation
    ) -> DocumentNode {
        func scalar(_ text: some StringProtocol) -> DocumentNode {
            DocumentNode(.scalar(String(text), plain: false), at: location)
        }
        switch type {
        case .texts, .integers:
            return DocumentNode(.sequence(text.split(separator: ",").map(scalar)), at: location)
        case .textMap:
            let members = text.split(separator: ",").compactMap { part -> DocumentNode.Member? in
                guard let equals = part.firstIndex(of: "=") else {
                    problems.append(
                        Problem(
                            .error, "\(quoted(String(part))) has no value: write name=value",
                            at: location))
                    return nil
                }
                return DocumentNode.Member(
                    key: String(part[..<equals]), keyLocation: location,
                    value: scalar(part[part.index(after: equals)...]))
            }
            return DocumentNode(.mapping(members), at: location)
        default: return scalar(text)
        }
    }

    /// The key of a flag's name.
    private static func find(_ name: String) -> ([String], KeySpec)? {
        var schema: ObjectSchema? = RootKeys.schema
        var path: [String] = []
        var found: KeySpec?
        for part in name.split(separator: ".", omittingEmptySubsequences: false) {
            if path.isEmpty, part == "config" {
                schema = RootKeys.flagsOnly
                path.append("config")
                continue
            }
            guard let spec = schema?.spec(String(part)) else { return nil }
            path.append(spec.name)
            found = spec
            if case .object(let inner) = spec.type { schema = inner } else { schema = nil }
        }
        return found.map { (path, $0) }
    }

    private static func unknown(_ name: String) -> String {
        let names = ConfigReference.flags.map(\.flag)
        guard let near = Suggestion.nearest(to: name, among: names) else {
            return "unknown flag: every key of the configuration file is one, for example "
                + "--log.level=debug"
        }
        return "unknown flag: did you mean --\(near)?"
    }
}

extension DocumentNode {
    /// The tree with a value put at a path, its sections made where they are missing.
    func setting(_ value: DocumentNode, at path: ArraySlice<String>, onlyIfAbsent: Bool)
        -> DocumentNode
    {
        guard let first = path.first else { return onlyIfAbsent && !isNull ? self : value }
        var members = self.members ?? []
        // A section that is not a mapping is left alone: it is reported where it stands.
        if self.members == nil, !isNull { return self }
        let empty = DocumentNode.empty(at: value.location)
        let index = members.firstIndex { $0.folded == FoldedKey(first) }
        if let index {
            let old = members[index]
            members[index] = DocumentNode.Member(
                key: old.key, keyLocation: old.keyLocation,
                value: old.value.setting(
                    value, at: path.dropFirst(), onlyIfAbsent: onlyIfAbsent))
        } else {
            let inner =
                path.count == 1
                ? value : empty.setting(value, at: path.dropFirst(), onlyIfAbsent: onlyIfAbsent)
            members.append(
                DocumentNode.Member(key: first, keyLocation: value.location, value: inner))
        }
        return DocumentNode(.mapping(members), at: location)
    }
}
