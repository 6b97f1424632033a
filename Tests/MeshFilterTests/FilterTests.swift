import MeshModel
import Testing

@testable import MeshFilter

@Suite struct FilterTests {
    private func instance(
        tags: [String] = [], meta: [String: String] = [:], checks: [FilteredCheck] = []
    ) throws -> FilteredInstance {
        FilteredInstance(
            ServiceDefinition(name: try ServiceName("web"), port: 80, tags: tags, meta: meta),
            on: NodeInfo(
                name: try NodeName("n1"), datacenter: try DatacenterName("dc1"),
                address: "10.0.0.1", meta: ["site": "paris"]), checks: checks)
    }

    private func chooses(_ text: String, _ instance: FilteredInstance) throws -> Bool {
        try Filter(text, over: .instances).chooses(instance)
    }

    @Test func aSelectorThroughAListMeansAnyOfIt() throws {
        let mixed = try instance(checks: [
            FilteredCheck(id: "a", status: .passing), FilteredCheck(id: "b", status: .critical),
        ])
        #expect(try chooses("Checks.Status == passing", mixed))
        #expect(try chooses("Checks.Status != passing", mixed))
        #expect(try !chooses("Checks.Status == warning", mixed))
        #expect(try chooses("not Checks.Status == warning", mixed))
        let none = try instance()
        #expect(try !chooses("Checks.Status != passing", none))
        #expect(try chooses("Checks is empty", none))
    }

    @Test func aKeyThatIsNotThere() throws {
        let bare = try instance()
        for text in ["== x", "contains x"] {
            #expect(try !chooses("Service.Meta.v \(text)", bare), "\(text)")
        }
        for text in ["!= x", "not contains x", "matches x", "not matches x"] {
            #expect(try chooses("Service.Meta.v \(text)", bare), "\(text)")
        }
    }

    @Test func expressionsAreNotAnchored() throws {
        let one = try instance(meta: ["v": "1.20.3"])
        #expect(try chooses("Service.Meta.v matches `20`", one))
        #expect(try chooses("Service.Meta.v matches `^1\\.2`", one))
        #expect(try !chooses("Service.Meta.v matches `^20`", one))
        #expect(try chooses("Service.Meta.v matches `3$`", one))
        #expect(try chooses("Service.Meta.v matches `(^2|0.3$)`", one))
        #expect(try !chooses("Service.Meta.v not matches `2`", one))
    }

    @Test(arguments: [
        ("Service.Port == \"0x50\"", true), ("Service.Port == 80", true),
        ("Service.Port == \"0o120\"", true),
        ("Service.Port == -80", false), ("Service.Weights.Passing == 1", true),
        ("Service.Connect.Native == \"F\"", true), ("paris in Node.Meta.site", true),
        ("\"\" in Node.Meta.site", true), ("Service.Proxy.Upstreams is empty", true),
        ("Service.Proxy.MeshGateway.Mode == \"\"", true),
    ])
    func values(_ text: String, _ expected: Bool) throws {
        #expect(try chooses(text, try instance()) == expected)
    }

    @Test(arguments: [
        ("Service.Port == 99999999999999999999", "value out of range"),
        ("Service.Port == 1.5", "invalid syntax"), ("Service.Port == 0x50", "Invalid number"),
        ("Service.Port matches `8`", "Matches"),
        ("Service.Connect.Native == yes", "strconv.ParseBool: parsing \"yes\": invalid syntax"),
        ("Service.Nonsense == 1", "Selector \"Service.Nonsense\" is not valid"),
        ("Service.Tags.x == 1", "Selector \"Service.Tags.x\" is not valid"),
        ("Service.Meta.a.b == 1", "Selector \"Service.Meta.a.b\" is not valid"),
        ("Service == 1", "Invalid match operator \"Equal\" for selector \"Service\""),
        ("service.Port == 1", "Selector \"service\" is not valid"),
    ])
    func whatMakesNoSenseIsRefused(_ text: String, _ message: String) {
        #expect {
            try Filter(text, over: .instances)
        } throws: { "\($0)".contains(message) }
    }

    @Test func lengthIsBounded() throws {
        func filter(_ length: Int) throws -> Filter {
            let rest = String(repeating: "x", count: length - 14)
            return try Filter("Service.ID == " + rest, over: .instances)
        }
        #expect(try filter(Filter.greatestLength).subjects == ["Service"])
        #expect(throws: FilterError.self) { try filter(Filter.greatestLength + 1) }
    }

    /// Whatever a schema names, its records have, of that type.
    @Test func recordsHaveTheFieldsOfTheirSchemas() throws {
        let definition = ServiceDefinition(
            name: try ServiceName("p"), kind: .connectProxy, port: 1,
            proxy: ProxyDefinition(upstreams: [
                UpstreamDefinition(destinationName: try ServiceName("web"), localBindPort: 1)
            ]))
        let node = NodeInfo(
            name: try NodeName("n1"), datacenter: try DatacenterName("dc1"), address: "::1")
        let check = FilteredCheck(id: "c", status: .passing)
        var seen = 0
        func compare(_ fields: [String: FilterField], _ record: any FilterRecord) {
            for (name, type) in fields {
                seen += 1
                switch (type, record.value(name)) {
                case (.bool, .bool), (.integer, .integer), (.text, .text), (.texts, .texts),
                    (.textMap, .textMap), (.recordMap, .recordMap):
                    break
                case (.record(let inner), .record(let value)): compare(inner, value)
                case (.records(let inner), .records(let values)):
                    #expect(!values.isEmpty)
                    for value in values { compare(inner, value) }
                default: Issue.record("\(name)")
                }
            }
        }
        compare(
            FilterSchema.instances.fields,
            FilteredInstance(definition, on: node, checks: [check]))
        compare(
            FilterSchema.catalogServices.fields, FilteredCatalogService(definition, on: node))
        compare(FilterSchema.nodes.fields, FilteredNode(node))
        compare(
            FilterSchema.checks.fields, FilteredCheckRecord(check, of: definition, on: node))
        #expect(seen > 100)
    }

    /// Random expressions chosen against a slow reading of what they mean.
    @Test func agreesWithTruthTables() throws {
        var chance = SeededGenerator(seed: 11)
        for _ in 0..<400 {
            let meta = Dictionary(
                uniqueKeysWithValues: ["a", "b", "c"].map {
                    ($0, Bool.random(using: &chance) ? "1" : "0")
                })
            let (text, expected) = expression(&chance, meta, depth: 4)
            #expect(try chooses(text, try instance(meta: meta)) == expected, "\(text)")
        }
    }

    private func expression(
        _ chance: inout SeededGenerator, _ meta: [String: String], depth: Int
    ) -> (String, Bool) {
        let kind = depth == 0 ? 0 : Int.random(in: 0..<4, using: &chance)
        switch kind {
        case 0:
            let key = ["a", "b", "c"][Int.random(in: 0..<3, using: &chance)]
            return ("Service.Meta.\(key) == 1", meta[key] == "1")
        case 1:
            let (text, value) = expression(&chance, meta, depth: depth - 1)
            return ("not (\(text))", !value)
        default:
            let (left, first) = expression(&chance, meta, depth: depth - 1)
            let (right, second) = expression(&chance, meta, depth: depth - 1)
            return kind == 2
                ? ("(\(left)) and (\(right))", first && second)
                : ("(\(left)) or (\(right))", first || second)
        }
    }
}
