package import MeshModel

/// Everything that is wrong with a configuration.
package struct ConfigProblems: Error, Sendable, CustomStringConvertible {
    /// In the order of the file; warnings among them.
    package let problems: [Problem]

    package init(problems: [Problem]) { self.problems = problems }

    /// One line a problem, `file:line:column: error: key: message`.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// A configuration that may be started, with what is worth telling about it.
package struct LoadedConfiguration: Sendable {
    package let configuration: Configuration
    package let warnings: [Problem]
}

/// Reads the configuration: defaults, then the program's own, then the file, then flags.
package struct ConfigLoader: Sendable {
    /// Values that stand in for the table's defaults, by dotted key: what `dev` brings along.
    package var defaults: [String: String]
    package var hostName: String
    /// The folder that relative paths of flags start at.
    package var folder: String
    /// Whether named files (certificates, folders, the program) must exist.
    package var checksFiles: Bool

    package init(
        defaults: [String: String] = [:], hostName: String? = nil, folder: String? = nil,
        checksFiles: Bool = true
    ) {
        self.defaults = defaults
        self.hostName = hostName ?? Files.hostName
        self.folder = folder ?? Files.currentFolder
        self.checksFiles = checksFiles
    }

    /// Reads flags and the file that `--config.path` names; throws all `ConfigProblems`.
    package func load(
        arguments: [String], environment: [String: String]
    ) throws -> LoadedConfiguration {
        let flags = CommandLineFlags(arguments)
        var problems = flags.problems
        let config = configFlags(flags, &problems)
        var text: SourceText?
        if let path = config.path {
            do {
                let resolved = Paths.resolve(
                    path, at: SourceLocation(source: ""), current: folder)
                let bytes = try Files.read(resolved, limit: DocumentLimits.bytes)
                text = SourceText(bytes, source: path)
            } catch {
                problems.append(
                    Problem(
                        .error, "\(error)", at: SourceLocation(source: "flag --config.path"),
                        key: "config.path"))
            }
        }
        return try load(
            text, flags: flags, environment: config.expand ? environment : nil, problems)
    }

    /// Reads a configuration from a text, with flags over it. Nothing is expanded without
    /// `environment`.
    package func load(
        text: String, source: String, arguments: [String] = [],
        environment: [String: String]? = nil
    ) throws -> LoadedConfiguration {
        let flags = CommandLineFlags(arguments)
        return try load(
            SourceText(text, source: source), flags: flags, environment: environment,
            flags.problems)
    }

    private func configFlags(
        _ flags: CommandLineFlags, _ problems: inout [Problem]
    ) -> (path: String?, expand: Bool) {
        let path = flags.value(["config", "path"])?.text.flatMap { $0.isEmpty ? nil : $0 }
        guard let node = flags.value(["config", "expand_env"]) else { return (path, false) }
        let text = node.text ?? ""
        if let message = ValueType.bool.problem(with: text) {
            problems.append(Problem(.error, message, at: node.location))
        }
        return (path, Scalars.bool(text) ?? false)
    }

    private func load(
        _ text: SourceText?, flags: CommandLineFlags, environment: [String: String]?,
        _ known: [Problem]
    ) throws -> LoadedConfiguration {
        let sink = ProblemSink()
        known.forEach(sink.add)
        let root = tree(text, flags, environment, sink)
        guard let root else { throw Self.problems(of: sink) }
        SchemaChecker(sink: sink, folder: folder, checksFiles: checksFiles)
            .check(root, RootKeys.schema, [])
        let fields = Fields(node: root, schema: RootKeys.schema, folder: folder)
        let configuration = ConfigurationReader(root: fields, sink: sink, hostName: hostName)
            .read(path: text?.source)
        guard !sink.problems.contains(where: { $0.severity == .error }) else {
            throw Self.problems(of: sink)
        }
        return LoadedConfiguration(
            configuration: configuration, warnings: Self.problems(of: sink).problems)
    }

    /// The file's tree with flags over it and the program's defaults under it; nil when the file
    /// is not a document.
    private func tree(
        _ text: SourceText?, _ flags: CommandLineFlags, _ environment: [String: String]?,
        _ sink: ProblemSink
    ) -> DocumentNode? {
        let start = SourceLocation(source: text?.source ?? "flags")
        var root = DocumentNode.empty(at: start)
        if var text {
            if let environment {
                EnvironmentExpansion.expand(&text, environment: environment).forEach(sink.add)
            }
            let parsed = DocumentParser.parse(text)
            parsed.problems.forEach(sink.add)
            if parsed.node == nil, parsed.problems.contains(where: { $0.severity == .error }) {
                return nil
            }
            if let node = parsed.node, !node.isNull {
                root = node
            } else {
                root = .empty(at: SourceLocation(source: text.source, line: 1, column: 1))
            }
        }
        for flag in flags.flags where flag.path.first != "config" {
            root = root.setting(flag.value, at: flag.path[...], onlyIfAbsent: false)
        }
        for (key, value) in defaults.sorted(by: { $0.key < $1.key }) {
            let node = DocumentNode(
                .scalar(value, plain: false), at: SourceLocation(source: "default of \(key)"))
            let path = key.split(separator: ".").map(String.init)
            root = root.setting(node, at: path[...], onlyIfAbsent: true)
        }
        return root
    }

    /// The problems in the order of the document, each once, bounded.
    static func problems(of sink: ProblemSink) -> ConfigProblems {
        let ordered = ordered(sink.problems)
        guard ordered.count > DocumentLimits.problems else {
            return ConfigProblems(problems: ordered)
        }
        let left = ordered.count - DocumentLimits.problems
        return ConfigProblems(
            problems: ordered.prefix(DocumentLimits.problems)
                + [Problem(.error, "and \(left) more: correct these first")])
    }

    /// By source in order of appearance, then by line and column.
    static func ordered(_ problems: [Problem]) -> [Problem] {
        var rank: [String: Int] = [:]
        var seen: Set<Problem> = []
        var keyed: [(Int, Int, Int, Int, Problem)] = []
        for (index, problem) in problems.enumerated() where seen.insert(problem).inserted {
            let source = problem.location?.source ?? ""
            let position = rank[source] ?? rank.count
            rank[source] = position
            keyed.append(
                (
                    position, problem.location?.line ?? 0, problem.location?.column ?? 0, index,
                    problem
                )
            )
        }
        return keyed.sorted { ($0.0, $0.1, $0.2, $0.3) < ($1.0, $1.1, $1.2, $1.3) }.map(\.4)
    }
}
