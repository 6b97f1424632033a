/// Texts in the order of their bytes: those that begin alike are found without a look at the rest.
///
/// They stand in short runs, so that putting one in moves few and copies no more than one run and
/// the list of runs.
struct SortedKeys: Sendable {
    private static let longestRun = 512

    /// None is empty.
    private var runs: [[String]] = []

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// The first place whose element does not precede the key.
    private static func place<Elements: RandomAccessCollection<String>>(
        of key: String, in elements: Elements
    ) -> Elements.Index {
        var (low, count) = (elements.startIndex, elements.count)
        while count > 0 {
            let half = count / 2
            let middle = elements.index(low, offsetBy: half)
            if precedes(elements[middle], key) {
                low = elements.index(after: middle)
                count -= half + 1
            } else {
                count = half
            }
        }
        return low
    }

    /// The run that has the key, or where it belongs.
    private func run(of key: String) -> Int {
        // The first run whose last element does not precede the key.
        Self.place(of: key, in: runs.lazy.map { $0[$0.count - 1] })
    }

    mutating func insert(_ key: String) {
        guard !runs.isEmpty else {
            runs = [[key]]
            return
        }
        let run = min(run(of: key), runs.count - 1)
        let place = Self.place(of: key, in: runs[run])
        if place < runs[run].count, runs[run][place].utf8.elementsEqual(key.utf8) { return }
        runs[run].insert(key, at: place)
        guard runs[run].count > Self.longestRun else { return }
        let half = runs[run].count / 2
        let rest = Array(runs[run][half...])
        runs[run].removeSubrange(half...)
        runs.insert(rest, at: run + 1)
    }

    mutating func remove(_ key: String) {
        let run = run(of: key)
        guard run < runs.count else { return }
        let place = Self.place(of: key, in: runs[run])
        guard place < runs[run].count, runs[run][place].utf8.elementsEqual(key.utf8) else {
            return
        }
        runs[run].remove(at: place)
        if runs[run].isEmpty { runs.remove(at: run) }
    }

    /// Those that begin so, in order.
    func beginning(with prefix: String) -> [String] {
        var found: [String] = []
        var run = run(of: prefix)
        guard run < runs.count else { return found }
        var place = Self.place(of: prefix, in: runs[run])
        while run < runs.count {
            for key in runs[run][place...] {
                guard key.utf8.starts(with: prefix.utf8) else { return found }
                found.append(key)
            }
            run += 1
            place = 0
        }
        return found
    }
}
