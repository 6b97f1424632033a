import MeshRegex

/// Automata of earlier builds: an expression that is still there is not compiled again.
struct RegexCache: Sendable {
    enum Key: Hashable, Sendable {
        case pattern(String, ignoreCase: Bool)
        case text(String, isPrefix: Bool)
    }

    private var automata: [Key: CompiledRegex] = [:]
    /// Asked for since the last dropUnused().
    private(set) var used: Set<Key> = []

    mutating func compiled(_ pattern: String, ignoreCase: Bool) throws -> CompiledRegex {
        try automaton(.pattern(pattern, ignoreCase: ignoreCase)) {
            try CompiledRegex.compile(pattern, ignoreCase: ignoreCase)
        }
    }

    mutating func compiledText(_ text: String, isPrefix: Bool) throws -> CompiledRegex {
        try automaton(.text(text, isPrefix: isPrefix)) {
            try CompiledRegex.compile(text: text, isPrefix: isPrefix)
        }
    }

    private mutating func automaton(
        _ key: Key, make: () throws -> CompiledRegex
    ) throws -> CompiledRegex {
        used.insert(key)
        if let known = automata[key] { return known }
        let made = try make()
        automata[key] = made
        return made
    }

    /// Notes that these are still needed.
    mutating func keep(_ keys: Set<Key>) { used.formUnion(keys) }

    /// Forgets what was not asked for since the last call.
    mutating func dropUnused() {
        automata = automata.filter { used.contains($0.key) }
        used = []
    }
}
