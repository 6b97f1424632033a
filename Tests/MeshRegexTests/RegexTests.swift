import MeshModel
import Testing

@testable import MeshRegex

@Suite struct RegexTests {
    private func matches(_ pattern: String, _ text: String, ignoreCase: Bool = false) throws -> Bool
    {
        try CompiledRegex.compile(pattern, ignoreCase: ignoreCase).accepts(text.utf8)
    }

    @Test(arguments: [
        ("", [""], ["a"]),
        ("abc", ["abc"], ["ab", "abcd", "xabc", "ABC", ""]),
        ("a|b|", ["a", "b", ""], ["c", "ab"]),
        ("a*", ["", "a", "aaaa"], ["b", "ab"]),
        ("(ab)+", ["ab", "abab"], ["", "a", "aba"]),
        ("a?b", ["b", "ab"], ["aab", "a"]),
        ("a{3}", ["aaa"], ["aa", "aaaa"]),
        ("a{2,}", ["aa", "aaaaa"], ["a"]),
        ("a{1,3}", ["a", "aa", "aaa"], ["", "aaaa"]),
        ("a{0}", [""], ["a"]),
        ("a{,3}", ["a{,3}"], ["a", "aaa"]),
        ("{", ["{"], [""]),
        ("x{2}y{", ["xxy{"], ["xy{"]),
        (".", ["a", "é", "€", "😀"], ["", "\n", "ab"]),
        ("(?s).", ["\n", "a"], ["", "ab"]),
        ("(?s:.)x.", ["\nxa"], ["\nx\n"]),
        ("[a-c]", ["a", "b", "c"], ["d", "", "B"]),
        ("[^a-c]", ["d", "\n", "é"], ["a", ""]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[^]a]", ["b"], ["]", "a"]),
        ("[a\\-z]", ["a", "-", "z"], ["b"]),
        ("[-a]", ["-", "a"], ["b"]),
        ("[a-]", ["-", "a"], ["b"]),
        ("[\\d.]+", ["1.2", "9"], ["a"]),
        ("[[:alpha:]_]+", ["aZ_"], ["1", ""]),
        ("[[:^digit:]]", ["a"], ["1"]),
        ("[é-í]", ["é", "ë", "í"], ["î", "e"]),
        ("\\d\\D\\w\\W\\s\\S", ["1a_- x"], ["11_- x"]),
        ("\\x41\\x{263a}\\n\\t\\101", ["A☺\n\tA"], ["a☺\n\tA"]),
        ("\\Qa.b*\\E+", ["a.b*", "a.b**"], ["aXb*"]),
        ("\\.\\*\\\\\\/", [".*\\/"], ["..\\/"]),
        ("^/v1/.*$", ["/v1/", "/v1/x/y"], ["/v1", "x/v1/"]),
        ("(^a|b)c", ["ac", "bc"], ["c"]),
        ("a^b", [], ["ab", "a^b", ""]),
        ("a$b", [], ["ab"]),
        ("^$", [""], ["a"]),
        ("$^", [""], ["a"]),
        ("\\A(?:x|y)\\z", ["x", "y"], ["xy"]),
        ("(?P<id>\\d+)-(?<n>x)", ["12-x"], ["-x"]),
        ("(?i)AbC", ["abc", "ABC"], ["abd"]),
        ("(?i:a)b", ["Ab", "ab"], ["aB"]),
        ("(?i)a(?-i)b", ["Ab"], ["AB"]),
        ("((?i)a)b", ["Ab"], ["AB"]),
        ("(?i)[^a]", ["b"], ["a", "A"]),
        ("a+?b*?c??", ["a", "aabbc"], ["", "bc"]),
        ("/users/[0-9]+(/posts)?", ["/users/1", "/users/22/posts"], ["/users/", "/users/1/"]),
        ("(a|b)*abb", ["abb", "aabb", "babb"], ["ab", "abba"]),
        ("()", [""], ["a"]),
        ("(|a)b", ["b", "ab"], ["a"]),
    ])
    func acceptsWholeTexts(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        for text in good { #expect(try matches(pattern, text), "\(pattern) takes \(text)") }
        for text in bad { #expect(try !matches(pattern, text), "\(pattern) leaves \(text)") }
    }

    @Test(arguments: [
        ("(", "a group without its )"), (")", "unexpected )"), ("a)", "unexpected )"),
        ("*a", "nothing to repeat"), ("a**", "two counts"), ("a{2}{3}", "two counts"),
        ("[a", "without its ]"), ("[b-a]", "ends before it begins"), ("a{3,2}", "ends before"),
        ("a{1001}", "above 1000"), ("\\", "at the end"), ("\\b", "word boundaries"),
        ("\\pL", "Unicode classes"), ("\\1", "back references"), ("\\y", "unknown"),
        ("(?m)a", "multi-line"), ("(?=a)", "unknown kind of group"), ("(?<a", "letters and digits"),
        ("(?P<>a)", "letters and digits"), ("[[:nope:]]", "unknown"), ("\\x{110000}", "character"),
        ("\\x{d800}", "character"), ("\\xg0", "character"), ("(?i", "without its )"),
        ("\\C", "not supported"),
    ])
    func refusesWithTheReason(_ pattern: String, _ why: String) {
        #expect {
            try CompiledRegex.compile(pattern)
        } throws: { error in
            "\(error)".contains(why)
        }
    }

    @Test func largeAutomataAreRefused() throws {
        // The n-th letter from the end: 2^n states.
        #expect(throws: MeshError.self) { try CompiledRegex.compile("(a|b)*a(a|b){12}") }
        #expect(try CompiledRegex.compile("(a|b)*a(a|b){9}").states <= 4096)
        #expect(throws: MeshError.self) { try CompiledRegex.compile("((a{1000}){1000})") }
        #expect(throws: MeshError.self) { try CompiledRegex.compile("a{0,1000}{0,1000}") }
        #expect(throws: MeshError.self) {
            try CompiledRegex.compile(String(repeating: "(", count: 300))
        }
    }

    /// LIMIT_DFA_STATES, exactly: dead, and one state per letter and the start.
    @Test func theGreatestAutomaton() throws {
        func letters(_ count: Int) -> String { String(repeating: "a", count: count) }
        #expect(try CompiledRegex.compile(letters(4094)).states == 4096)
        #expect(throws: MeshError.self) { try CompiledRegex.compile(letters(4095)) }
    }

    @Test func textsWithoutRegardToCase() throws {
        let exact = try CompiledRegex.compile(text: "/A[b]*", isPrefix: false)
        #expect(exact.accepts("/a[B]*".utf8))
        #expect(!exact.accepts("/a[B]*x".utf8))
        let prefix = try CompiledRegex.compile(text: "/Api", isPrefix: true)
        #expect(prefix.accepts("/aPI/v1".utf8))
        #expect(prefix.accepts([UInt8]("/api".utf8) + [0xff]))
        #expect(!prefix.accepts("/ap".utf8))
    }

    @Test func equivalentStatesAreMerged() throws {
        #expect(try CompiledRegex.compile("(a|b|c)(a|b|c)").states == 4)
        #expect(try CompiledRegex.compile("abc|abd|abe").states == 5)
        #expect(try CompiledRegex.compile("[^\\x00-\\x{10ffff}]").states == 2)
    }

    /// Random expressions against the engine of the standard library.
    @Test func agreesWithAnotherEngine() throws {
        var chance = SeededGenerator(seed: 42)
        for _ in 0..<120 {
            let pattern = Self.expression(&chance, depth: 4)
            let other = try Regex(pattern)
            let own = try CompiledRegex.compile(pattern)
            for _ in 0..<30 {
                let length = Int.random(in: 0...7, using: &chance)
                let text = String(
                    (0..<length).compactMap { _ in "abc".randomElement(using: &chance) })
                let expected = text.wholeMatch(of: other) != nil
                #expect(own.accepts(text.utf8) == expected, "\(pattern) on \(text)")
            }
        }
    }

    private static func expression(_ chance: inout SeededGenerator, depth: Int) -> String {
        let atoms = ["a", "b", "c", ".", "[ab]", "[^a]"]
        if depth == 0 { return atoms[Int.random(in: atoms.indices, using: &chance)] }
        let left = expression(&chance, depth: depth - 1)
        switch Int.random(in: 0..<7, using: &chance) {
        case 0: return "(?:\(left))*"
        case 1: return "(?:\(left))+"
        case 2: return "(?:\(left))?"
        case 3: return "(?:\(left)|\(expression(&chance, depth: depth - 1)))"
        case 4: return "(?:\(left)){1,2}"
        default: return left + expression(&chance, depth: depth - 1)
        }
    }
}
