import Foundation
import Testing

@testable import MeshRegex

@Suite struct GroupTests {
    private func match(_ pattern: String, _ text: String) throws -> [String]? {
        try RegexGroups(pattern).firstMatch(in: text)
    }

    @Test(arguments: [
        ("^geo-(.*?)-([^\\-]+?)$", "geo-db-primary", ["geo-db-primary", "db", "primary"]),
        ("^geo-(.*)-([^-]+)$", "geo-a-b-c", ["geo-a-b-c", "a-b", "c"]),
        ("(a+?)(a*)", "baaa", ["aaa", "a", "aa"]),
        ("(a+)(a*)", "baaa", ["aaa", "aaa", ""]),
        ("(?U)(a+)(a*?)", "baaa", ["aaa", "a", "aa"]),
        ("(a|ab)(c|bcd)", "abcd", ["abcd", "a", "bcd"]),
        ("(?:x|(y))+", "xyx", ["xyx", "y"]),
        ("(?P<one>é)(?i:B)", "xéb", ["éb", "é"]),
        ("()*x", "x", ["x", ""]),
        ("(a{2,3}?)(a{0,2})$", "aaaa", ["aaaa", "aa", "aa"]),
        ("", "abc", [""]), ("$", "abc", [""]),
    ])
    func groups(_ pattern: String, _ text: String, _ expected: [String]) throws {
        #expect(try match(pattern, text) == expected)
    }

    @Test func thereMayBeNoMatch() throws {
        #expect(try match("^a$", "ab") == nil)
        #expect(try match("b^", "b") == nil)
        #expect(try match("x", "") == nil)
    }

    @Test func mistakesAreToldAndSizesAreBounded() {
        for pattern in ["(", "a)", "[", "a**", "\\1", "(?<a", "(?:(?:a{1000}){1000}){1000}"] {
            #expect(throws: (any Error).self, "\(pattern)") { try RegexGroups(pattern) }
        }
        #expect(throws: Never.self) { try RegexGroups("(?:(?:(?:){1000}){1000}){1000}") }
    }

    /// What takes other engines for ever is done in a time that grows with both sizes.
    @Test func workIsBounded() throws {
        let text = String(repeating: "a", count: 200)
        let groups = try RegexGroups("^(a?){100}(a*)*(a|aa)+b$")
        let start = ContinuousClock.now
        #expect(groups.firstMatch(in: text) == nil)
        #expect(ContinuousClock.now - start < .seconds(300))
    }

    /// Random expressions find the same parts as the engine of Foundation, which prefers alike.
    @Test func agreesWithAnotherEngine() throws {
        var chance = SeededGenerator(seed: 11)
        func piece(_ depth: Int) -> String {
            let atom =
                switch Int.random(in: 0..<(depth > 0 ? 6 : 3), using: &chance) {
                case 0: "a"
                case 1: "b"
                case 2: "[^a]"
                case 3: "(" + piece(depth - 1) + ")"
                case 4: "(?:" + piece(depth - 1) + "|" + piece(depth - 1) + ")"
                default: piece(depth - 1) + piece(depth - 1)
                }
            // Another engine gives an empty round of a loop to a group; this one does not.
            let counts = depth == 0 ? ["", "", "?", "+", "*", "*?", "+?", "??"] : [""]
            let single = atom.count == 1 || atom.hasPrefix("[")
            return atom + (single ? counts[Int.random(in: counts.indices, using: &chance)] : "")
        }
        for _ in 0..<300 {
            let pattern = piece(3)
            let other = try NSRegularExpression(pattern: pattern)
            let ours = try RegexGroups(pattern)
            for _ in 0..<8 {
                let text = String(
                    (0..<Int.random(in: 0..<9, using: &chance)).map { _ in
                        ["a", "b", "c"].randomElement(using: &chance) ?? "a"
                    }.joined())
                let all = NSRange(text.startIndex..., in: text)
                let expected = other.firstMatch(in: text, range: all).map { found in
                    (0..<found.numberOfRanges).map { index in
                        Range(found.range(at: index), in: text).map { String(text[$0]) } ?? ""
                    }
                }
                try #require(ours.firstMatch(in: text) == expected, "\(pattern) in \(text)")
            }
        }
    }
}
