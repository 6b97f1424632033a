import Testing

@testable import MeshFilter

@Suite struct ParserTests {
    private static let long =
        "not (Service.Meta[\"a-b\"] == `x` or \"v\\x31\" in Service.Tags) and Node.Node != -1.5 "
        + "or Checks is not empty and Service.Meta.version not matches \"^v[0-9]+$\" "
        + "or x not contains y and version not in Service.Meta"

    private func mistake(_ text: String) -> String? {
        do {
            _ = try FilterParser.parse(text)
            return nil
        } catch { return error.description }
    }

    @Test func andBindsTighterThanOr() throws {
        func match(_ name: String) -> FilterSyntax {
            .match(.init(selector: [name], comparison: .equal, value: "1"))
        }
        #expect(
            try FilterParser.parse("a == 1 or b==1 and not c== 1 or d ==1")
                == .or([match("a"), .and([match("b"), .not(match("c"))]), match("d")]))
        #expect(
            try FilterParser.parse("(a == 1 or b == 1) and (c == 1)")
                == .and([.or([match("a"), match("b")]), match("c")]))
        #expect(try FilterParser.parse("not not a == 1") == match("a"))
    }

    @Test func keywordsAreNamesWhereNoneIsMeant() throws {
        for text in ["not == 3", "and is empty", "not not == 3", "in in in", "or contains not"] {
            #expect(mistake(text) == nil, "\(text)")
        }
    }

    @Test(arguments: [
        ("a == v1", "v1"), ("a == x.y[\"z\"]", "x.y.z"), ("a == 0", "0"), ("a == -12.50", "-12.50"),
        ("a == \"\"", ""), ("a == \"t\\t\\\\\\u00e9\"", "t\t\\é"), ("a == `a\"\\n`", "a\"\\n"),
        ("a == \"\\101\\U0001f600\"", "A😀"),
    ])
    func values(_ text: String, _ value: String) throws {
        #expect(
            try FilterParser.parse(text)
                == .match(.init(selector: ["a"], comparison: .equal, value: value)))
    }

    @Test(arguments: [
        ("a == 1a", "1:7 (6): rule \"number\": Invalid number literal"),
        ("a == \"x", "1:8 (7): rule \"string\": Unterminated string literal"),
        ("a == \"\\d\"", "1:6 (5): rule \"string\": invalid syntax"),
        ("a[b] == 1", "1:3 (2): rule \"index\": Invalid index"),
        ("a[\"b\" == 1", "1:7 (6): rule \"index\": Unclosed index expression"),
        ("x in 5", "1:6 (5): rule \"match\": Invalid selector"),
        ("((a == 1)", "1:10 (9): rule \"grouping\": Unmatched parentheses"),
        (
            "é == 1",
            "1:1 (0): no match found, expected: \"(\", \"-\", \"0\", \"\\\"\", \"`\", "
                + "\"not\", [ \\t\\r\\n], [1-9] or [a-zA-Z]"
        ),
        ("a ==\n b !", "2:4 (8): no match found, expected: \"and\", \"or\", [ \\t\\r\\n] or EOF"),
    ])
    func mistakesHaveAPlace(_ text: String, _ message: String) {
        #expect(mistake(text) == message)
    }

    @Test func nestingIsBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "(", count: depth) + "a == 1" + String(repeating: ")", count: depth)
        }
        let most = FilterParser.greatestDepth
        #expect(mistake(nested(most - 1)) == nil)
        #expect(mistake(nested(most))?.contains("are open") == true)
        #expect(mistake(nested(1000))?.contains("are open") == true)
        #expect(mistake(String(repeating: "not ", count: 900) + "a == 1")?.contains("open") == true)
        let wide = Array(repeating: "a == 1", count: 400).joined(separator: " or ")
        #expect(mistake(wide) == nil)
    }

    /// Every beginning of an expression is read or refused, with a place within it.
    @Test func everyTruncation() throws {
        let bytes = Array(Self.long.utf8)
        #expect(mistake(Self.long) == nil)
        var read = 0
        for length in 0..<bytes.count {
            do {
                _ = try FilterParser.parse(String(decoding: bytes[..<length], as: UTF8.self))
                read += 1
            } catch {
                #expect((0...length).contains(try #require(error.offset)), "\(length)")
            }
        }
        #expect(read > 0 && read < bytes.count / 2)
    }

    /// Expressions with bytes taken out, put in and changed never end the process.
    @Test func mutations() {
        var chance = SeededGenerator(seed: 7)
        let parts = Array("()\"`[]. =!\nandotis10-\u{e9}\\".utf8)
        var accepted = 0
        for _ in 0..<4000 {
            var bytes = Array(Self.long.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &chance) {
                let at = Int.random(in: bytes.indices, using: &chance)
                let byte = parts[Int.random(in: parts.indices, using: &chance)]
                switch Int.random(in: 0..<3, using: &chance) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(byte, at: at)
                default: bytes[at] = byte
                }
            }
            if mistake(String(decoding: bytes, as: UTF8.self)) == nil { accepted += 1 }
        }
        #expect(accepted > 0 && accepted < 4000)
    }
}
