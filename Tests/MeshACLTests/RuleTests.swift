import MeshACL
import MeshModel
import Testing

@Suite struct RuleTests {
    static let long = """
        # everything that the language has
        acl = "read"   operator = "write", keyring = "deny"
        service "web" { policy = "write" intentions = "deny" } // one line
        service_prefix "" { policy = "read" }
        key_prefix "app/" {
          policy = "list"
        }
        /* names
           in quotes */ "key" "app/\\"x\\"\\u00e9" = { "policy" = "deny" }
        node_prefix "n" { policy = "read" }, session "lab" { policy = "write" }
        event "deploy" { policy = "write" } query_prefix "q" { policy = "read" }
        agent_prefix "" { policy = "read" } mesh = "read"
        """

    private func mistake(_ text: String) -> String? {
        do {
            _ = try AccessRules(parsing: text)
            return nil
        } catch { return error.description }
    }

    private func authorizer(_ texts: String..., isDefaultAllow: Bool = false) throws -> Authorizer {
        Authorizer(
            rules: AccessRules(merging: try texts.map { try AccessRules(parsing: $0) }),
            isDefaultAllow: isDefaultAllow)
    }

    @Test func theWholeLanguageIsRead() throws {
        let token = try authorizer(Self.long)
        func may(
            _ kind: AccessRequest.Kind, _ subject: AccessSubject, _ name: String = ""
        ) -> Bool { token.allows(AccessRequest(kind, subject, name)) }
        #expect(may(.read, .acl) && !may(.write, .acl))
        #expect(may(.write, .operator) && !may(.read, .keyring) && may(.read, .mesh))
        #expect(may(.write, .service, "web") && !may(.write, .service, "webx"))
        #expect(may(.read, .service, "webx"))
        #expect(!may(.read, .intention, "web") && may(.read, .intention, "db"))
        #expect(may(.list, .key, "app/a") && !may(.write, .key, "app/a"))
        #expect(!may(.read, .key, "app/\"x\"é") && !may(.read, .key, "ap"))
        #expect(may(.read, .node, "n1") && !may(.read, .node, "m"))
        #expect(may(.write, .session, "lab") && may(.write, .event, "deploy"))
        #expect(may(.read, .query, "q-1") && may(.read, .agent, "any"))
    }

    @Test func jsonSaysTheSame() throws {
        let texts = [
            "{\"service\":{\"web\":{\"policy\":\"write\"}},\"operator\":\"read\","
                + "\"key_prefix\":{\"a/\":{\"policy\":\"read\"},\"b/\":{\"policy\":\"deny\"}}}",
            " {\"service\": [{\"web\": [{\"policy\": \"write\"}]}], \"operator\": \"read\",\n"
                + "\"key_prefix\": [{\"a/\": {\"policy\": \"read\"}}, "
                + "{\"b/\": {\"policy\": \"deny\"}}]}",
            "service { web { policy = \"write\" } } operator = \"read\" "
                + "key_prefix = { \"a/\" = { policy = \"read\" } \"b/\" { policy = \"deny\" } }",
        ]
        let all = try texts.map { try AccessRules(parsing: $0) }
        #expect(all[0] == all[1])
        #expect(all[0] == all[2])
        #expect(try AccessRules(parsing: "") == AccessRules())
        #expect(try AccessRules(parsing: "{}") == AccessRules())
    }

    @Test(arguments: [
        (
            "service \"web\" { policy = \"rite\" }",
            "1:26: \"rite\" is no level: deny, read or write"
        ),
        ("key \"a\" {\n  policy = 5\n}", "2:3: policy is a level: read, write or deny"),
        ("serivce \"web\" { policy = \"read\" }", "1:1: there are no rules for serivce"),
        ("acl_prefix \"\" { policy = \"read\" }", "1:1: there are no rules for acl_prefix"),
        ("intention \"a\" { policy = \"read\" }", "1:1: there are no rules for intention"),
        ("service \"web\" { polcy = \"read\" }", "1:17: rules for service have no polcy"),
        ("node \"n\" { intentions = \"read\" }", "1:12: rules for node have no intentions"),
        ("service \"web\" {\n}", "1:15: a block without its policy"),
        (
            "service \"web\" = \"read\"",
            "1:1: service needs one name and a block: service \"\" { policy = \"read\" }"
        ),
        ("service = \"read\"", "1:11: service needs names, each with its policy"),
        (
            "operator \"x\" { policy = \"read\" }",
            "1:1: operator has one level for all: operator = \"read\""
        ),
        ("operator = \"list\"", "1:12: \"list\" is no level: deny, read or write"),
        ("service \"web\" { policy = \"read\"", "1:32: a { without its }"),
        ("service \"web", "1:9: a text without its closing quote"),
        ("a /* b", "1:3: a comment without its */"), ("a / b", "1:3: a single / begins no comment"),
        ("{\"a\" \"b\"}", "1:6: a : is expected"), ("{\"a\": 1 2}", "1:9: a , or } is expected"),
        ("{} x", "1:4: something stands behind the }"), ("key", "1:4: key has no value"),
        ("key \"\\q\" {}", "1:7: an unknown escape"),
        ("= 1", "1:1: a name is expected"),
        ("key \"\\uD800\" {}", "1:7: an escape that is no character"),
    ])
    func mistakesHaveAPlace(_ text: String, _ message: String) {
        #expect(mistake(text) == message)
    }

    @Test func sizesAreBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "a {", count: depth) + String(repeating: "}", count: depth)
        }
        #expect(mistake(nested(16)) == "1:1: there are no rules for a")
        #expect(mistake(nested(17))?.hasSuffix("nested too deeply") == true)
        #expect(mistake(nested(100_000))?.hasSuffix("nested too deeply") == true)
        #expect(mistake("x = " + String(repeating: "[", count: 17))?.hasSuffix("deeply") == true)
        let item = "key \"a\" { policy = \"read\" } "
        #expect(mistake(String(repeating: item, count: 6000))?.contains("16384 values") == true)
        #expect(mistake(String(repeating: " ", count: 512 * 1024)) == nil)
        #expect(mistake(String(repeating: " ", count: 512 * 1024 + 1))?.contains("bytes") == true)
    }

    /// Every beginning of a document is read or refused with a place within it.
    @Test func everyTruncation() throws {
        let bytes = Array(Self.long.utf8)
        #expect(mistake(Self.long) == nil)
        var read = 0
        for length in 0..<bytes.count {
            let text = String(decoding: bytes[..<length], as: UTF8.self)
            do {
                _ = try AccessRules(parsing: text)
                read += 1
            } catch {
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
                #expect((1...lines.count).contains(error.place.line), "\(length)")
                #expect(error.place.column >= 1, "\(length)")
            }
        }
        #expect(read > 5 && read < bytes.count / 2)
    }

    /// Documents with bytes taken out, put in and changed never end the process.
    @Test(arguments: [
        RuleTests.long, "{\"service\":[{\"a\":{\"policy\":\"read\"}}],\"acl\":\"read\"}",
    ])
    func mutations(_ document: String) {
        var chance = SeededGenerator(seed: 5)
        let parts = Array("{}[]\"\\=,:#/*\n u0é".utf8)
        var accepted = 0
        for _ in 0..<3000 {
            var bytes = Array(document.utf8)
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
        #expect(accepted > 0 && accepted < 3000)
    }
}
