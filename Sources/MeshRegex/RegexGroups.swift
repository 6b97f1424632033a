import MeshModel

/// An expression in RE2's syntax that finds the parts of a text that its groups stand for.
///
/// Every way through the expression is followed at the same time, byte by byte, in the order in
/// which Go prefers them: the work is the product of the sizes of expression and text, whatever
/// they are.
package struct RegexGroups: Sendable {
    private enum Step: Sendable {
        case byte(ByteSet)
        /// The first is preferred.
        case fork(Int, Int)
        case jump(Int)
        /// Notes the place in the text.
        case mark(Int)
        case start
        case end
        case found
    }

    /// One way: its step, and the places that it noted.
    private struct Way {
        var step: Int
        var marks: [Int]
    }

    /// The most steps of an expression.
    package static let greatestSteps = 10_000

    private var steps: [Step] = []
    /// Groups, the whole match included.
    package let count: Int

    package init(_ pattern: String) throws {
        let (node, groups) = try RegexParser.parseGroups(pattern)
        count = groups + 1
        try add(.group(node, number: 0))
        steps.append(.found)
    }

    private mutating func append(_ step: Step) throws {
        guard steps.count < Self.greatestSteps else {
            throw MeshError(.invalid, "the expression is too large")
        }
        steps.append(step)
    }

    private mutating func add(_ node: RegexNode) throws {
        switch node {
        case .empty: break
        case .bytes(let set): try append(.byte(set))
        case .sequence(let parts): for part in parts { try add(part) }
        case .choice(let parts): try addChoice(parts)
        case .repeated(let part, let least, let most):
            try addRepeated(part, least, most, isLazy: false)
        case .lazy(.repeated(let part, let least, let most)):
            try addRepeated(part, least, most, isLazy: true)
        case .lazy(let part): try add(part)
        case .start: try append(.start)
        case .end: try append(.end)
        case .group(let part, let number):
            try append(.mark(2 * number))
            try add(part)
            try append(.mark(2 * number + 1))
        }
    }

    private mutating func addChoice(_ parts: [RegexNode]) throws {
        var ends: [Int] = []
        for part in parts.dropLast() {
            let fork = steps.count
            try append(.fork(fork + 1, 0))
            try add(part)
            ends.append(steps.count)
            try append(.jump(0))
            steps[fork] = .fork(fork + 1, steps.count)
        }
        if let last = parts.last { try add(last) }
        for end in ends { steps[end] = .jump(steps.count) }
    }

    private mutating func addRepeated(
        _ part: RegexNode, _ least: Int, _ most: Int?, isLazy: Bool
    ) throws {
        for _ in 0..<least {
            let before = steps.count
            try add(part)
            if steps.count == before { return }  // nothing, however often
        }
        guard let most else {
            let fork = steps.count
            try append(.fork(0, 0))
            try add(part)
            try append(.jump(fork))
            steps[fork] = Self.fork(into: fork + 1, past: steps.count, isLazy)
            return
        }
        var forks: [Int] = []
        for _ in 0..<(most - least) {
            forks.append(steps.count)
            try append(.fork(0, 0))
            try add(part)
        }
        for fork in forks { steps[fork] = Self.fork(into: fork + 1, past: steps.count, isLazy) }
    }

    private static func fork(into: Int, past: Int, _ isLazy: Bool) -> Step {
        isLazy ? .fork(past, into) : .fork(into, past)
    }

    /// The first match in a text: the whole of it, then what each group stands for, which is empty
    /// for a group that took no part. Nil when there is none.
    package func firstMatch(in text: String) -> [String]? {
        let bytes = Array(text.utf8)
        var ways: [Way] = []
        var best: [Int]?
        for at in 0...bytes.count {
            if best == nil {
                var seen = Set(ways.map(\.step))
                follow(
                    Way(step: 0, marks: Array(repeating: -1, count: 2 * count)), at, bytes.count,
                    &ways, &seen)
            }
            var next: [Way] = []
            var seen: Set<Int> = []
            for way in ways {
                if case .found = steps[way.step] {
                    best = way.marks
                    break  // what stands behind is preferred less
                }
                guard at < bytes.count, case .byte(let set) = steps[way.step],
                    set.contains(bytes[at])
                else { continue }
                follow(
                    Way(step: way.step + 1, marks: way.marks), at + 1, bytes.count, &next, &seen)
            }
            ways = next
            if ways.isEmpty, best != nil { break }
        }
        return best.map { marks in
            (0..<count).map { group in
                let (low, high) = (marks[2 * group], marks[2 * group + 1])
                guard low >= 0, high >= low else { return "" }
                return String(decoding: bytes[low..<high], as: UTF8.self)
            }
        }
    }

    /// Goes on from a step to those that wait for a byte, in the order of preference.
    private func follow(
        _ way: Way, _ at: Int, _ end: Int, _ ways: inout [Way], _ seen: inout Set<Int>
    ) {
        var open = [way]
        while var way = open.popLast() {
            guard seen.insert(way.step).inserted else { continue }
            switch steps[way.step] {
            case .byte, .found: ways.append(way)
            case .jump(let next): open.append(Way(step: next, marks: way.marks))
            case .fork(let first, let second):
                open.append(Way(step: second, marks: way.marks))
                open.append(Way(step: first, marks: way.marks))
            case .mark(let place):
                way.marks[place] = at
                way.step += 1
                open.append(way)
            case .start: if at == 0 { open.append(Way(step: way.step + 1, marks: way.marks)) }
            case .end: if at == end { open.append(Way(step: way.step + 1, marks: way.marks)) }
            }
        }
    }
}
