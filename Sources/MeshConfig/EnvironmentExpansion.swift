package import MeshModel

/// Replaces `$VAR`, `${VAR}` and `${VAR:default}` in a document's text, and `$$` by `$`.
///
/// The default stands in when the variable is unset or empty. An unset variable without a default
/// becomes nothing, which is reported as a warning. Any other `$` stays as it is.
package enum EnvironmentExpansion {
    package static func expand(
        _ text: inout SourceText, environment: [String: String]
    ) -> [Problem] {
        var scanner = Scanner(text.bytes, environment)
        scanner.run()
        let problems = scanner.missing.map { missing in
            Problem(
                .warning,
                "environment variable \(missing.name) is not set and became empty: set it, or "
                    + "write ${\(missing.name):default}",
                at: text.location(byteOffset: missing.offset))
        }
        text.replace(with: scanner.output, scanner.changes)
        return problems
    }

    private struct Scanner {
        let input: [UInt8]
        let environment: [String: String]
        var output: [UInt8] = []
        var changes: [SourceText.Replacement] = []
        var missing: [(name: String, offset: Int)] = []
        private var at = 0
        private var oldCharacters = 0
        private var newCharacters = 0

        init(_ input: [UInt8], _ environment: [String: String]) {
            self.input = input
            self.environment = environment
            output.reserveCapacity(input.count)
        }

        mutating func run() {
            while at < input.count {
                if input[at] == UInt8(ascii: "$"), let length = reference() {
                    at += length
                } else {
                    output.append(input[at])
                    if input[at] & 0xc0 != 0x80 {
                        oldCharacters += 1
                        newCharacters += 1
                    }
                    at += 1
                }
            }
        }

        /// Replaces the reference at `at`; its length in bytes, or nil when there is none.
        private mutating func reference() -> Int? {
            let next = at + 1
            guard next < input.count else { return nil }
            if input[next] == UInt8(ascii: "$") {
                substitute(length: 2, by: "$")
                return 2
            }
            if input[next] == UInt8(ascii: "{") { return braced() }
            let end = nameEnd(from: next)
            guard end > next else { return nil }
            return substitute(length: end - at, by: value(next..<end, default: nil))
        }

        private mutating func braced() -> Int? {
            let start = at + 2
            let nameEnd = nameEnd(from: start)
            guard nameEnd > start, nameEnd < input.count else { return nil }
            guard let close = input[nameEnd...].firstIndex(of: UInt8(ascii: "}")) else {
                return nil
            }
            let fallback: String?
            switch input[nameEnd] {
            case UInt8(ascii: "}"): fallback = nil
            case UInt8(ascii: ":"):
                let text = input[(nameEnd + 1)..<close]
                guard !text.contains(0x0a) else { return nil }
                fallback = String(decoding: text, as: UTF8.self)
            default: return nil
            }
            return substitute(
                length: close + 1 - at, by: value(start..<nameEnd, default: fallback))
        }

        private func nameEnd(from start: Int) -> Int {
            var end = start
            while end < input.count {
                switch input[end] {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "_"):
                    end += 1
                case UInt8(ascii: "0")...UInt8(ascii: "9") where end > start: end += 1
                default: return end
                }
            }
            return end
        }

        private mutating func value(_ range: Range<Int>, default fallback: String?) -> String {
            let name = String(decoding: input[range], as: UTF8.self)
            if let value = environment[name], !value.isEmpty { return value }
            if let fallback { return fallback }
            if environment[name] == nil { missing.append((name, at)) }
            return ""
        }

        @discardableResult
        private mutating func substitute(length: Int, by text: String) -> Int {
            let old = input[at..<(at + length)].count { $0 & 0xc0 != 0x80 }
            let new = text.unicodeScalars.count
            changes.append(
                .init(
                    newStart: newCharacters, newLength: new, oldStart: oldCharacters,
                    oldLength: old))
            output += Array(text.utf8)
            oldCharacters += old
            newCharacters += new
            return length
        }
    }
}
