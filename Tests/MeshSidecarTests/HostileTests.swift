import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshSidecar
import Testing

/// Answers that are cut, wrong or made to hurt: each is an error, none more than that.
@Suite struct HostileTests {
    /// Everything that is read from answers.
    private func readAll(_ body: [UInt8]) {
        guard let json = try? AgentJSON(body, "body") else { return }
        guard let web = try? ServiceName("web"), let home = try? DatacenterName("dc1") else {
            return
        }
        _ = try? Registration(json)
        _ = try? MeshRoots(json)
        _ = try? LeafCertificate(json)
        if let read = try? Chains.read(json, service: web) { _ = ChainTraffic(read.chain) }
        _ = try? Intentions.read(json, service: web)
        _ = try? QueryResult(json, home: home)
        _ = Instances.read(json, onlyPassing: false, isRemote: true)
    }

    @Test func everyRecordedAnswerIsReadOrRefused() throws {
        for body in try Recorded.bodies() { readAll(body) }
    }

    /// Nothing that is cut is taken for the whole.
    @Test func everyTruncationIsAnError() throws {
        let names = [
            ("agent", "agent/service-sidecar"), ("connect", "connect/agent-roots"),
            ("chain", "chain/web"), ("health", "health/connect"),
            ("intentions", "intentions/match-dest"), ("query", "query/execute-connect"),
        ]
        for (file, name) in names {
            let body = try Recorded.answer(file, name).body
            _ = try JSONReader.read(body)
            let taken = (0..<body.count).filter { length in
                (try? JSONReader.read(Array(body[..<length]))) != nil
            }
            #expect(taken.isEmpty, "\(name)")
        }
    }

    @Test func mutationsNeverCrash() throws {
        var random = Xorshift(state: 0x5EED_CAFE)
        let bodies = try Recorded.bodies().filter { $0.count < 6000 }
        for _ in 0..<1500 {
            var body = bodies[Int(random.next() % UInt64(bodies.count))]
            for _ in 0..<1 + random.next() % 4 where !body.isEmpty {
                let at = Int(random.next() % UInt64(body.count))
                switch random.next() % 4 {
                case 0: body[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: body.remove(at: at)
                case 2: body.insert(Array("{}[]\",:0-tn\\".utf8)[Int(random.next() % 12)], at: at)
                default: body.swapAt(at, Int(random.next() % UInt64(body.count)))
                }
            }
            readAll(body)
        }
    }

    @Test(arguments: [
        "", " ", "{", "[", "\"", "{\"a\"", "{\"a\":}", "{\"a\":1,}", "[1,]", "[1 2]", "tru",
        "nul", "-", "1e999", "01x", "\"\\x\"", "\"\\u12\"", "\"\n\"", "{}{}", "{a:1}", "+",
    ])
    func whatIsNoJSON(text: String) {
        #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.utf8)) }
    }

    @Test(arguments: [
        ("null", DataValue.null), (" true ", .bool(true)), ("-7", .int(-7)), ("1.5", .double(1.5)),
        ("9007199254740993", .int(9_007_199_254_740_993)),
        ("18446744073709551616", .double(18_446_744_073_709_551_616)),
        ("\"a\\u00e9\\ud83d\\ude00\\n\"", .string("aé😀\n")), ("\"\\ud83d\"", .string("\u{FFFD}")),
        ("{\"a\":1,\"a\":2}", .object(["a": .int(2)])), ("[]", .array([])), ("{}", .object([:])),
    ])
    func whatIsJSON(text: String, value: DataValue) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(
                (String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        _ = try JSONReader.read(nested(128))
        #expect(throws: JSONReader.Mistake.tooDeep) { try JSONReader.read(nested(200)) }
        #expect(throws: JSONReader.Mistake.tooDeep) { try JSONReader.read(nested(1_000_000)) }
    }

    /// A chain that leads in a circle, or nowhere, ends nowhere but in an error.
    @Test(arguments: [
        #"{"StartNode":"a","Nodes":{}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"resolver","Resolver":{"Target":"x"}}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"splitter","Splits":[{"Weight":100,"NextNode":"a"}]}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"router","Routes":[{"NextNode":"a"}]}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"router","Routes":[]}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"splitter","Splits":[]}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"roundabout"}}}"#,
        #"{"StartNode":"a","Nodes":{"a":{"Type":"splitter","Splits":[{"Weight":1e300,"NextNode":"b"}]}}}"#,
    ])
    func brokenChains(chain: String) throws {
        var value = try JSONReader.read(Array(chain.utf8))
        if case .object(var members) = value {
            members["Datacenter"] = .string("dc1")
            value = .object(members)
        }
        let json = AgentJSON(.object(["Chain": value]), "chain")
        #expect(throws: MeshError.self) {
            try Chains.read(json, service: try ServiceName("web"))
        }
    }
}

/// Numbers that are the same in every run.
struct Xorshift: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
