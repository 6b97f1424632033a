import MeshModel

/// Turns the tree of an expression into a deterministic automaton, within bounds of size and work.
struct RegexAutomaton {
    private enum Node {
        case bytes(Int, next: Int)
        case fork(Int, Int)
        case start(next: Int)
        case end(next: Int)
        case accept
    }

    static let greatestNodes = 20_000
    /// Steps of the construction, about a tenth of a second.
    private static let greatestWork = 20_000_000

    private var nodes: [Node] = []
    private var sets: [ByteSet] = []
    private var setIndexes: [ByteSet: Int] = [:]
    private var work = 0

    /// The automaton that accepts the texts that match as a whole; throws ``MeshError`` when it
    /// would have more than `states` states or take too long to make.
    static func compile(_ tree: RegexNode, states: Int) throws -> CompiledRegex {
        var automaton = RegexAutomaton()
        automaton.nodes.append(.accept)
        let first = try automaton.add(tree, then: 0)
        return try automaton.determine(from: first, limit: states)
    }

    private static var tooComplex: MeshError {
        MeshError(.invalid, "the expression is too complex: use smaller counts or fewer choices")
    }

    // MARK: - nodes

    private mutating func append(_ node: Node) throws -> Int {
        guard nodes.count < Self.greatestNodes else { throw Self.tooComplex }
        nodes.append(node)
        return nodes.count - 1
    }

    /// Adds what matches `tree` and goes on with node `then`; where it begins.
    private mutating func add(_ tree: RegexNode, then: Int) throws -> Int {
        switch tree {
        case .empty: return then
        case .bytes(let set):
            let index: Int
            if let known = setIndexes[set] {
                index = known
            } else {
                index = sets.count
                sets.append(set)
                setIndexes[set] = index
            }
            return try append(.bytes(index, next: then))
        case .sequence(let parts):
            var next = then
            for part in parts.reversed() { next = try add(part, then: next) }
            return next
        case .choice(let parts):
            guard var entry = try parts.last.map({ try add($0, then: then) }) else { return then }
            for part in parts.dropLast().reversed() {
                let other = try add(part, then: then)
                entry = try append(.fork(other, entry))
            }
            return entry
        case .repeated(let part, let least, let most):
            return try addRepeated(part, least: least, most: most, then: then)
        case .group(let part, _), .lazy(let part): return try add(part, then: then)
        case .start: return try append(.start(next: then))
        case .end: return try append(.end(next: then))
        }
    }

    private mutating func addRepeated(
        _ part: RegexNode, least: Int, most: Int?, then: Int
    ) throws -> Int {
        var entry = then
        if let most {
            for _ in least..<most {
                let once = try add(part, then: entry)
                entry = try append(.fork(once, then))
            }
        } else {
            let fork = try append(.fork(then, then))
            nodes[fork] = .fork(try add(part, then: fork), then)
            entry = fork
        }
        for _ in 0..<least { entry = try add(part, then: entry) }
        return entry
    }

    // MARK: - states

    /// Nodes that wait for a byte, or for the end, from `seeds` on without taking one.
    private mutating func closure(
        _ seeds: [Int], atStart: Bool, atEnd: Bool
    ) throws -> [Int] {
        var seen = Set<Int>()
        var result: [Int] = []
        var open = seeds
        while let index = open.popLast() {
            guard seen.insert(index).inserted else { continue }
            work += 1
            switch nodes[index] {
            case .bytes, .accept: result.append(index)
            case .fork(let left, let right): open += [left, right]
            case .start(let next): if atStart { open.append(next) }
            case .end(let next):
                result.append(index)
                if atEnd { open.append(next) }
            }
        }
        guard work <= Self.greatestWork else { throw Self.tooComplex }
        return result.sorted()
    }

    private mutating func accepts(_ state: [Int], atStart: Bool) throws -> Bool {
        try closure(state, atStart: atStart, atEnd: true).contains(0)
    }

    /// Bytes that no set tells apart share a class.
    private func byteClasses() -> (of: [Int], examples: [UInt8]) {
        var classes = [Int](repeating: 0, count: 256)
        for set in sets {
            var renamed: [Int: Int] = [:]
            for byte in 0..<256 {
                let key = classes[byte] * 2 + (set.contains(UInt8(byte)) ? 1 : 0)
                let count = renamed.count
                classes[byte] = renamed[key, default: count]
                renamed[key] = classes[byte]
            }
        }
        let count = (classes.max() ?? 0) + 1
        let examples = (0..<count).map { UInt8(classes.firstIndex(of: $0) ?? 0) }
        return (classes, examples)
    }

    private mutating func determine(from first: Int, limit: Int) throws -> CompiledRegex {
        let classes = byteClasses()
        let start = try closure([first], atStart: true, atEnd: false)
        // State 0 is dead; state 1 is the start, and only the start: `^` holds nowhere else.
        var states: [[Int]] = [[], start]
        var indexes: [[Int]: Int] = [[]: 0]
        var rows: [[Int]] = [Array(repeating: 0, count: classes.examples.count)]
        var accepting = [false, try accepts(start, atStart: true)]
        var current = 1
        while current < states.count {
            var row: [Int] = []
            for byte in classes.examples {
                var seeds: [Int] = []
                for index in states[current] {
                    work += 1
                    if case .bytes(let set, let next) = nodes[index], sets[set].contains(byte) {
                        seeds.append(next)
                    }
                }
                let target = try closure(seeds, atStart: false, atEnd: false)
                if let known = indexes[target] {
                    row.append(known)
                    continue
                }
                guard states.count < limit else {
                    throw MeshError(
                        .invalid,
                        "the expression needs more than \(limit) states: use smaller counts or "
                            + "fewer choices")
                }
                indexes[target] = states.count
                row.append(states.count)
                states.append(target)
                accepting.append(try accepts(target, atStart: false))
            }
            rows.append(row)
            current += 1
        }
        return CompiledRegex.minimized(
            classes: classes.of, rows: rows, accepting: accepting)
    }
}
