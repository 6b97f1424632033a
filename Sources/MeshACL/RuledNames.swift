import MeshModel

/// Levels by name, for one subject. Names are compared by their bytes, and without regard to case
/// where the catalog does so too: else `WEB` would pass a rule that denies `web`.
struct RuledNames: Sendable, Hashable {
    private let ignoresCase: Bool
    private var exact: [[UInt8]: AccessLevel] = [:]
    private var prefixes: [[UInt8]: AccessLevel] = [:]
    /// How long prefixes are, the longest first.
    private var lengths: [Int] = []

    init(_ subject: AccessSubject) {
        ignoresCase =
            switch subject {
            case .agent, .intention, .node, .query, .service, .session: true
            case .event, .key, .acl, .keyring, .mesh, .operator: false
            }
    }

    private func bytes(_ name: String) -> [UInt8] {
        Array((ignoresCase ? name.lowercased() : name).utf8)
    }

    mutating func add(_ level: AccessLevel, _ name: String, isPrefix: Bool) {
        add(level, bytes(name), isPrefix: isPrefix)
    }

    private mutating func add(_ level: AccessLevel, _ name: [UInt8], isPrefix: Bool) {
        guard isPrefix else {
            exact[name] = exact[name].map { $0.merged(with: level) } ?? level
            return
        }
        prefixes[name] = prefixes[name].map { $0.merged(with: level) } ?? level
        if !lengths.contains(name.count) {
            lengths.append(name.count)
            lengths.sort(by: >)
        }
    }

    mutating func merge(_ other: RuledNames) {
        for (name, level) in other.exact { add(level, name, isPrefix: false) }
        for (name, level) in other.prefixes { add(level, name, isPrefix: true) }
    }

    /// The level of the rule that is closest to a name, with the rule in words.
    func level(of name: String) -> (level: AccessLevel, rule: String)? {
        let name = bytes(name)
        if let level = exact[name] { return (level, Self.quoted(name)) }
        for length in lengths where length <= name.count {
            let prefix = Array(name.prefix(length))
            if let level = prefixes[prefix] { return (level, "prefix \(Self.quoted(prefix))") }
        }
        return nil
    }

    /// The first rule about names that begin so which is not to write.
    func refusal(below name: String) -> (level: AccessLevel, rule: String)? {
        let name = bytes(name)
        let all = exact.map { ($0.key, $0.value) } + prefixes.map { ($0.key, $0.value) }
        return all.filter { $0.0.starts(with: name) && $0.1 != .write }
            .min { $0.0.lexicographicallyPrecedes($1.0) }
            .map { ($0.1, Self.quoted($0.0)) }
    }

    /// Whether a rule lets somebody in.
    var allowsSome: Bool {
        exact.values.contains { $0 != .deny } || prefixes.values.contains { $0 != .deny }
    }

    private static func quoted(_ name: [UInt8]) -> String {
        GoText.quoted(String(decoding: name, as: UTF8.self))
    }
}
