/// A deterministic automaton over bytes, as `struct abi_dfa` has it: state 0 is dead, state 1 the
/// start, the whole text must be consumed.
package final class CompiledRegex: Sendable {
    package let states: Int
    /// The class of every byte; bytes of a class lead to the same state everywhere.
    private let classes: [Int]
    /// Next states by state and class.
    private let rows: [[UInt16]]
    private let accepting: [Bool]

    private init(classes: [Int], rows: [[UInt16]], accepting: [Bool]) {
        states = rows.count
        self.classes = classes
        self.rows = rows
        self.accepting = accepting
    }

    /// The automaton for an expression in RE2's syntax that must match a whole text.
    package static func compile(_ pattern: String, ignoreCase: Bool = false) throws -> CompiledRegex
    {
        let tree = try RegexParser.parse(pattern, ignoreCase: ignoreCase)
        return try RegexAutomaton.compile(tree, states: greatestStates)
    }

    /// The automaton for an expression in RE2's syntax that must match some part of a text.
    package static func compile(anywhere pattern: String) throws -> CompiledRegex {
        let tree = try RegexParser.parse(pattern, ignoreCase: false)
        let anything = RegexNode.repeated(.bytes(ByteSet(0...255)), least: 0, most: nil)
        return try RegexAutomaton.compile(
            .sequence([anything, tree, anything]), states: greatestStates)
    }

    /// The automaton for a text, or everything that begins with it, without regard to the case of
    /// ASCII letters.
    package static func compile(text: String, isPrefix: Bool) throws -> CompiledRegex {
        var parts = text.unicodeScalars.map { scalar in
            CharacterRanges([scalar.value...scalar.value]).ignoringCase.node
        }
        if isPrefix { parts.append(.repeated(.bytes(ByteSet(0...255)), least: 0, most: nil)) }
        return try RegexAutomaton.compile(.sequence(parts), states: greatestStates)
    }

    /// LIMIT_DFA_STATES.
    package static let greatestStates = 4096

    /// Whether the automaton accepts all of these bytes; the reader in C does the same.
    package func accepts(_ bytes: some Sequence<UInt8>) -> Bool {
        var state = 1
        for byte in bytes { state = Int(rows[state][classes[Int(byte)]]) }
        return accepting[state]
    }

    /// Appends the rows of 256 next states, then an accept byte per state.
    package func append(to blob: inout [UInt8]) {
        blob.reserveCapacity(blob.count + states * 513)
        for row in rows {
            for byte in 0..<256 {
                let next = row[classes[byte]]
                blob.append(UInt8(next & 0xff))
                blob.append(UInt8(next >> 8))
            }
        }
        for accepts in accepting { blob.append(accepts ? 1 : 0) }
    }

    /// Rounds after which states are left as they are: a larger automaton is as good.
    private static let greatestRounds = 64

    /// Merges states that no text tells apart.
    static func minimized(classes: [Int], rows: [[Int]], accepting: [Bool]) -> CompiledRegex {
        var group = accepting.map { $0 ? 1 : 0 }
        var count = 0
        var rounds = 0
        while true {
            var names: [[Int]: Int] = [:]
            var next: [Int] = []
            for (state, row) in rows.enumerated() {
                let signature = [group[state]] + row.map { group[$0] }
                let fresh = names.count
                next.append(names[signature, default: fresh])
                names[signature] = next[state]
            }
            group = next
            rounds += 1
            if names.count == count { break }
            count = names.count
            if rounds == greatestRounds {
                group = Array(rows.indices)
                break
            }
        }
        return renumbered(group, classes, rows, accepting)
    }

    /// State 0 stays dead and the start becomes 1, also where both accept nothing.
    private static func renumbered(
        _ group: [Int], _ classes: [Int], _ rows: [[Int]], _ accepting: [Bool]
    ) -> CompiledRegex {
        var numbers: [Int: UInt16] = [group[0]: 0]
        var members = [0, 1]
        if group[1] != group[0] { numbers[group[1]] = 1 }
        for state in rows.indices where numbers[group[state]] == nil {
            numbers[group[state]] = UInt16(members.count)
            members.append(state)
        }
        let merged = members.map { member in rows[member].map { numbers[group[$0]] ?? 0 } }
        return CompiledRegex(
            classes: classes, rows: merged, accepting: members.map { accepting[$0] })
    }
}

extension CompiledRegex: Hashable {
    package static func == (left: CompiledRegex, right: CompiledRegex) -> Bool { left === right }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
