import Foundation
import MeshModel
import Testing

@testable import MeshACL

@Suite struct AuthorizerTests {
    private func authorizer(_ texts: [String], isDefaultAllow: Bool = false) throws -> Authorizer {
        Authorizer(
            rules: AccessRules(merging: try texts.map { try AccessRules(parsing: $0) }),
            isDefaultAllow: isDefaultAllow)
    }

    private func key(_ name: String, _ level: String, prefix: Bool = false) -> String {
        "key\(prefix ? "_prefix" : "") \"\(name)\" { policy = \"\(level)\" } "
    }

    @Test func theClosestRuleDecides() throws {
        let token = try authorizer([
            key("", "read", prefix: true) + key("a/", "write", prefix: true)
                + key("a/b", "deny") + key("a/bb/", "deny", prefix: true)
                + key("a/bb/c", "read")
        ])
        func write(_ name: String) -> AccessDecision {
            token.decide(AccessRequest(.write, .key, name))
        }
        func read(_ name: String) -> Bool { token.allows(AccessRequest(.read, .key, name)) }
        #expect(write("a/x") == .init(isAllowed: true, reason: "key prefix \"a/\" = write"))
        #expect(write("b") == .init(isAllowed: false, reason: "key prefix \"\" = read"))
        #expect(write("a/b") == .init(isAllowed: false, reason: "key \"a/b\" = deny"))
        #expect(write("a/bx").isAllowed)
        #expect(!read("a/bb/x") && read("a/bb/c") && !write("a/bb/c").isAllowed)
    }

    @Test(arguments: [
        (["read", "write"], true, true), (["write", "deny"], false, false),
        (["deny", "read"], false, false), (["read", "list"], true, false),
        (["list", "write"], true, true),
    ])
    func mergingDeniesThenAllowsTheMost(_ levels: [String], _ reads: Bool, _ writes: Bool) throws {
        for order in [levels, levels.reversed()] {
            for isPrefix in [true, false] {
                let token = try authorizer(order.map { key("a", $0, prefix: isPrefix) })
                #expect(token.allows(AccessRequest(.read, .key, "a")) == reads)
                #expect(token.allows(AccessRequest(.write, .key, "a")) == writes)
            }
        }
    }

    @Test func theDefaultHoldsWhereNoRuleDoes() throws {
        for isOpen in [true, false] {
            let token = try authorizer([key("a", "deny")], isDefaultAllow: isOpen)
            #expect(token.allows(AccessRequest(.write, .key, "b")) == isOpen)
            #expect(!token.allows(AccessRequest(.read, .key, "a")))
            #expect(token.allows(AccessRequest(.write, .operator)) == isOpen)
            #expect(!token.allows(AccessRequest(.read, .acl)), "never open")
            #expect(token.mayReadSome(.service) == isOpen)
        }
        #expect(Authorizer.management.allows(AccessRequest(.write, .acl)))
        #expect(Authorizer.management.allows(AccessRequest(.writeAll, .key, "")))
    }

    @Test func aFolderIsDeletedOnlyWhereAllOfItMayBeWritten() throws {
        let rules = key("a/", "write", prefix: true)
        func may(_ more: String, _ name: String) throws -> Bool {
            try authorizer([rules + more]).allows(AccessRequest(.writeAll, .key, name))
        }
        #expect(try may("", "a/"))
        #expect(try may("", "a/b/"))
        #expect(try !may("", "a"))
        #expect(try !may(key("a/b/c", "read"), "a/"))
        #expect(try !may(key("a/b/", "deny", prefix: true), "a/b"))
        #expect(try may(key("a/b/", "deny", prefix: true), "a/c"))
        #expect(
            try authorizer([rules + key("a/x", "deny")])
                .decide(AccessRequest(.writeAll, .key, "a/")).reason == "key \"a/x\" = deny")
    }

    /// What the catalog takes for the same service, rules do too; keys are their bytes.
    @Test func noSpellingGetsAroundARule() throws {
        let token = try authorizer([
            "service_prefix \"\" { policy = \"write\" } service \"web\" { policy = \"deny\" } "
                + "node \"Lab\" { policy = \"deny\" } node_prefix \"\" { policy = \"read\" }"
                + key("caf\u{E9}", "write") + key("Case", "write")
        ])
        for name in ["web", "WEB", "Web"] {
            #expect(!token.allows(AccessRequest(.read, .service, name)))
            #expect(!token.allows(AccessRequest(.read, .intention, name)))
        }
        #expect(!token.allows(AccessRequest(.read, .node, "lab")))
        #expect(token.allows(AccessRequest(.write, .key, "caf\u{E9}")))
        #expect(!token.allows(AccessRequest(.write, .key, "cafe\u{301}")))
        #expect(!token.allows(AccessRequest(.write, .key, "case")))
    }

    @Test func aTokenIsItsPoliciesAndIdentities() throws {
        let policies = [
            "p": ACLPolicy(id: "p", name: "p", rules: key("a", "write")),
            "elsewhere": ACLPolicy(
                id: "elsewhere", name: "e", rules: key("b", "write"), datacenters: ["dc2"]),
            "bad": ACLPolicy(id: "bad", name: "bad", rules: "nonsense"),
        ]
        func made(_ change: (inout ACLToken) -> Void) throws -> Authorizer {
            var token = ACLToken(accessorID: "x", created: Date(timeIntervalSince1970: 0))
            change(&token)
            return try TokenRules.authorizer(
                of: token, datacenter: "dc1", isDefaultAllow: false, policy: { policies[$0] })
        }
        let plain = try made { $0.policies = ["p", "elsewhere", "gone"] }
        #expect(plain.allows(AccessRequest(.write, .key, "a")))
        #expect(!plain.allows(AccessRequest(.write, .key, "b")))
        #expect(throws: RuleError.self) { try made { $0.policies = ["bad"] } }
        let all = try made { $0.policies = [ACLPolicy.managementID] }
        #expect(all == .management)

        let web = try made { $0.serviceIdentities = [.init(serviceName: "web")] }
        for name in ["web", "web-sidecar-proxy"] {
            #expect(web.allows(AccessRequest(.write, .service, name)))
        }
        #expect(!web.allows(AccessRequest(.write, .service, "db")))
        #expect(web.allows(AccessRequest(.read, .service, "db")))
        #expect(web.allows(AccessRequest(.read, .node, "any")))
        #expect(!web.allows(AccessRequest(.write, .intention, "web")))
        #expect(!web.allows(AccessRequest(.read, .key, "a")))
        let other = try made {
            $0.serviceIdentities = [.init(serviceName: "web", datacenters: ["dc2"])]
        }
        #expect(!other.allows(AccessRequest(.read, .service, "web")))

        let node = try made { $0.nodeIdentities = [.init(nodeName: "lab", datacenter: "dc1")] }
        #expect(node.allows(AccessRequest(.write, .node, "lab")))
        #expect(!node.allows(AccessRequest(.write, .node, "other")))
        #expect(node.allows(AccessRequest(.read, .service, "web")))
    }

    @Test func thePolicyOfManagementIsSound() throws {
        let rules = try AccessRules(parsing: ACLPolicy.management.rules)
        let token = Authorizer(rules: rules, isDefaultAllow: false)
        for subject in AccessSubject.allCases {
            #expect(token.allows(AccessRequest(.write, subject, "x")), "\(subject)")
        }
    }
}
