/// The nearest of some words to a mistyped one.
package enum Suggestion {
    /// The candidate within a third of the word's length, if any; the nearest, then the first.
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        let bytes = Array(word.utf8.prefix(64))
        var best: (word: String, distance: Int)?
        for candidate in candidates {
            let distance = distance(bytes, Array(candidate.utf8.prefix(64)))
            let allowed = max(1, min(3, candidate.utf8.count / 3))
            if distance <= allowed, distance < best?.distance ?? Int.max {
                best = (candidate, distance)
            }
        }
        return best?.word
    }

    /// Edits between two words: insertions, removals, substitutions, and swaps of neighbours.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
