import MeshDiscovery
import MeshModel
import Testing

@Suite struct QueryTests {
    private struct Instance: QueryCandidate, Equatable {
        var name: String
        var queryNode = "lab"
        var queryNodeMeta: [String: String] = [:]
        var queryServiceMeta: [String: String] = [:]
        var queryTags: [String] = []
        var status = CheckStatus.passing
        var check = "web"
        var queryChecks: [(id: String, status: CheckStatus)] { [(check, status)] }
    }

    private let name = QueryName(
        full: "geo-db-primary", prefix: "geo-", matches: ["geo-db-primary", "db"], segment: "x")

    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("${name.full}", "geo-db-primary"),
        ("a${ name.suffix }b", "adb-primaryb"), ("${name.prefix}${match(1)}", "geo-db"),
        ("${match(2)}-${match(9)}", "-"), ("${agent.segment}$${x}$", "x${x}$"), ("$}{", "$}{"),
        ("é${match( 0 )}", "égeo-db-primary"),
    ])
    func holes(_ text: String, _ expected: String) throws {
        #expect(try QueryText(text).render(name) == expected)
    }

    @Test(arguments: [
        ("a${", "something is missing behind ${ at position 4"),
        ("${name.full", "a ${ without its } at position 12"),
        ("${name.full x}", "a } is expected at position 13"),
        ("${nope}", "nope is unknown at position 3"),
        ("${match}", "match needs a number in parentheses at position 8"),
        ("${match(x)}", "match needs a number at position 9"),
        ("${match(1}", "a ) is expected at position 10"),
        ("${match(99999999)}", "match needs a number at position 9"),
    ])
    func mistakesHaveAPlace(_ text: String, _ message: String) {
        #expect(refusal { try QueryText(text) } == message)
    }

    private func refusal(_ body: () throws -> some Any) -> String? {
        do {
            _ = try body()
            return nil
        } catch { return "\(error)" }
    }

    /// Every beginning and many changes of a text are read or refused.
    @Test func truncationsAndMutations() {
        let whole = Array("x${name.full}-${ match( 12 ) }$${y}${name.suffix}".utf8)
        var read = 0
        for length in 0...whole.count {
            let text = String(decoding: whole[..<length], as: UTF8.self)
            if refusal({ try QueryText(text) }) == nil { read += 1 }
        }
        #expect(read > 5 && read < whole.count)
        var state: UInt64 = 42
        for _ in 0..<4000 {
            var bytes = whole
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % bytes.count] =
                    Array("${}()m1.\u{e9} ".utf8)[
                        Int(state >> 20 & 0xff) % 11]
            }
            _ = refusal { try QueryText(String(decoding: bytes, as: UTF8.self)) }
        }
    }

    private func query(
        _ name: String, template: Bool = false, service: String = "db", regexp: String = ""
    ) -> PreparedQuery {
        PreparedQuery(
            id: "id-\(name)", name: name,
            template: .init(type: template ? "name_prefix_match" : "", regexp: regexp),
            service: .init(service))
    }

    @Test func theClosestNameAnswers() throws {
        let all = [
            query("", template: true, service: "all-${name.full}"),
            query("geo-", template: true, service: "geo-${name.suffix}"),
            query("geo-db-", template: true, service: "db-${name.suffix}"), query("Plain"),
        ]
        func service(_ text: String) throws -> String? {
            try QueryLookup.resolve(text, among: all)?.service.service
        }
        #expect(try service("plain") == "db")
        #expect(try service("geo-db-x") == "db-x")
        #expect(try service("geo-web") == "geo-web")
        #expect(try service("GEO-web") == "geo-GEO-web")
        #expect(try service("other") == "all-other")
        #expect(try QueryLookup.resolve("other", among: [query("x")]) == nil)
        #expect(refusal { try service("") } == "Missing Query ID")
    }

    @Test func anIdMeansThePlainQuery() throws {
        var plain = query("a")
        plain.id = "dd10a014-cacd-c6e7-4225-a9d4c5ffcbe6"
        var template = query("b", template: true)
        template.id = "20b28bb3-5756-6925-f642-2a6129f54981"
        let all = [plain, template]
        #expect(try QueryLookup.resolve(plain.id.uppercased(), among: all) == plain)
        #expect(
            refusal { try QueryLookup.resolve(template.id, among: all) }
                == "prepared query templates can only be resolved up by name, not by ID")
    }

    @Test func everyTextOfATemplateIsRendered() throws {
        var query = query(
            "geo-", template: true, service: "${match(1)}", regexp: "^geo-(.*?)-([^\\-]+?)$")
        query.service.tags = ["${match(2)}", "!${match(3)}", "${match(3)}"]
        query.service.near = "${name.suffix}"
        query.service.nodeMeta = ["site": "${match(1)}"]
        query.service.failover.datacenters = ["dc-${match(2)}"]
        query.template.removeEmptyTags = true
        try query.check()
        let made = try query.rendered(for: "geo-db-primary")
        #expect(made.service.service == "db")
        #expect(made.service.tags == ["primary"])
        #expect(made.service.near == "db-primary")
        #expect(made.service.nodeMeta == ["site": "db"])
        #expect(made.service.failover.datacenters == ["dc-primary"])
        #expect(made.name == "geo-")
    }

    @Test func whatCannotBeKeptIsToldInConsulsWords() {
        func said(_ change: (inout PreparedQuery) -> Void) -> String? {
            var query = query("a")
            change(&query)
            return refusal { try query.check() }
        }
        #expect(said { _ in } == nil)
        #expect(
            said { $0.service.service = "" }
                == "Invalid prepared query: Must provide a Service name to query")
        #expect(said { $0.name = "" } == "Invalid prepared query: Must be bound to a session")
        #expect(
            said { $0.service.failover.nearestN = -1 }
                == "Invalid prepared query: Bad NearestN '-1', must be >= 0")
        #expect(
            said { $0.dnsTTL = "-1s" }
                == "Invalid prepared query: DNS TTL '-1000000000', must be >=0")
        #expect(said { $0.dnsTTL = "x" }?.contains("Bad DNS TTL 'x'") == true)
        #expect(said { $0.token = "<hidden>" }?.contains("redacted token") == true)
        #expect(said { $0.template.type = "x" } == "Bad Template.Type 'x'")
        #expect(
            said {
                $0.template = .init(type: "name_prefix_match", regexp: "(")
            }?.hasPrefix("Bad Regexp: ") == true)
        #expect(
            said {
                $0.template.type = "name_prefix_match"
                $0.service.tags = ["${x}"]
            } == "Bad format '${x}' in Service.Tags[0]: x is unknown at position 3")
    }

    @Test func namesAreTakenOnce() {
        let all = [query("a"), query("", template: true)]
        func said(_ query: PreparedQuery) -> String? {
            refusal { try QueryLookup.checkName(of: query, among: all) }
        }
        #expect(said(all[0]) == nil)
        var other = query("A")
        other.id = "new"
        #expect(said(other) == "name 'A' aliases an existing query name")
        other.name = "ID-a"
        #expect(said(other) == "name 'ID-a' aliases an existing query ID")
        other = query("", template: true)
        other.id = "new"
        #expect(said(other) == "a query template with an empty name already exists")
    }

    private func names(
        _ instances: [Instance], _ service: PreparedQuery.Service, near: String = "",
        limit: Int = 0
    ) -> Set<String> {
        var random = SystemRandomNumberGenerator()
        return Set(
            QueryExecution.choose(
                instances, for: service, near: near, limit: limit, using: &random
            ).map(\.name))
    }

    @Test func healthTagsAndMetadataChoose() {
        let all = [
            Instance(name: "ok", queryTags: ["V1", "primary"]),
            Instance(name: "warns", queryTags: ["v1"], status: .warning),
            Instance(name: "down", status: .critical),
            Instance(name: "kept", status: .maintenance),
            Instance(
                name: "meta", queryNodeMeta: ["site": "paris"], queryServiceMeta: ["v": "2"]),
        ]
        #expect(names(all, .init("db")) == ["ok", "warns", "meta"])
        #expect(names(all, .init("db", onlyPassing: true)) == ["ok", "meta"])
        #expect(
            names(all, .init("db", ignoreCheckIDs: ["web"]))
                == ["ok", "warns", "down", "kept", "meta"])
        #expect(names(all, .init("db", tags: ["v1"])) == ["ok", "warns"])
        #expect(names(all, .init("db", tags: ["v1", "!PRIMARY"])) == ["warns"])
        #expect(names(all, .init("db", nodeMeta: ["site": "paris"])) == ["meta"])
        #expect(names(all, .init("db", serviceMeta: ["v": "1"])) == [])
    }

    @Test func theNodeThatIsNearComesFirst() {
        let all = (0..<20).map { Instance(name: "\($0)", queryNode: $0 == 13 ? "here" : "there") }
        for _ in 0..<20 {
            #expect(names(all, .init("db"), near: "here", limit: 1) == ["13"])
            #expect(names(all, .init("db"), near: "here", limit: 3).count == 3)
        }
        let orders = Set((0..<50).map { _ in names(all, .init("db"), limit: 1) })
        #expect(orders.count > 5, "the order is random")
    }

    @Test func failoverTakesTheNearestThenTheListed() {
        let known = ["dc1", "near", "mid", "far"]
        func plan(_ nearest: Int, _ listed: [String]) -> [String] {
            QueryExecution.failover(
                .init(nearestN: nearest, datacenters: listed), own: "dc1", byDistance: known)
        }
        #expect(plan(0, []) == [])
        #expect(plan(2, []) == ["near", "mid"])
        #expect(plan(1, ["far", "near", "dc1", "gone", "far"]) == ["near", "far"])
        #expect(plan(9, ["far"]) == ["near", "mid", "far"])
    }
}
