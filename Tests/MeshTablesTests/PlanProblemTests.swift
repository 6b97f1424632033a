import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

/// What cannot be expressed is refused before it is published, with a text that names it.
@Suite struct PlanProblemTests {
    private func route(_ plan: RoutePlan) throws -> [String] {
        var node = try Plans.small()
        node.listeners[0].kind = .l7([plan])
        return try Plans.problems(node)
    }

    private func forward(_ match: HTTPMatch = HTTPMatch()) -> RoutePlan {
        RoutePlan(
            match: match, action: .forward(SplitPlan.all(to: "web.default.dc1")), rule: "route 2",
            origin: "ringmesh.yaml:31:9")
    }

    @Test func routesAreNamedWithTheirOrigin() throws {
        var plan = forward(HTTPMatch(path: .regex("(")))
        #expect(
            try route(plan).first
                == "route 2 (ringmesh.yaml:31:9): path_regex \"(\": a group without its ) at "
                + "position 2 of the expression")
        plan = forward(HTTPMatch(path: .exact("a b")))
        #expect(try route(plan).first?.contains("does not begin with '/'") == true)
        plan = forward(HTTPMatch(methods: ["PURGE"]))
        #expect(try route(plan).first?.contains("the method PURGE cannot be matched") == true)
        plan = forward(HTTPMatch(headers: [HeaderMatch(name: "a b", match: .present)]))
        #expect(try route(plan).first?.contains("is not a header name") == true)
        plan = forward()
        plan.prefixRewrite = "/x"
        #expect(try route(plan).first?.contains("needs path_exact or path_prefix") == true)
        plan = forward()
        plan.retries = 11
        #expect(try route(plan).first?.contains("11 retries; 10 are the limit") == true)
        plan = forward()
        plan.host = "a b"
        #expect(try route(plan).first?.contains("is not a host") == true)
        plan = forward()
        plan.action = .forward(SplitPlan.all(to: "nowhere"))
        #expect(try route(plan).first?.contains("\"nowhere\", which does not exist") == true)
        plan.action = .forward([SplitPlan(weight: 0, target: "web.default.dc1")])
        #expect(try route(plan).first?.contains("nowhere to send") == true)
        plan.action = .forward(
            (0...256).map { SplitPlan(weight: $0 + 1, target: "web.default.dc1") })
        #expect(try route(plan).first?.contains("257 destinations; 256 are the limit") == true)
        plan.action = .respond(status: 199, body: "", contentType: "")
        #expect(try route(plan).first?.contains("answers 199") == true)
        plan.action = .respond(status: 200, body: "", contentType: "a\r\nb")
        #expect(try route(plan).first?.contains("control characters") == true)
    }

    /// As many routes as one listener may have are written and opened; one more is refused.
    @Test func routesHaveALimit() throws {
        #expect(ListenerDefinition.greatestRoutes == Int(LIMIT_TABLE_ROUTES))
        var node = try Plans.small()
        let routes = (0..<ListenerDefinition.greatestRoutes).map { index in
            RoutePlan(
                host: "host\(index / 10).test", match: HTTPMatch(path: .prefix("/\(index % 10)")),
                action: .forward(SplitPlan.all(to: "web.default.dc1")), rule: "route \(index + 1)",
                origin: "ringmesh.yaml:\(index + 20):9")
        }
        node.listeners[0].kind = .l7(routes)
        #expect(try Plans.reader(node).generation == 1)
        node.listeners[0].kind = .l7(routes + [forward()])
        let name = node.listeners[0].name
        #expect(
            try Plans.problems(node).first
                == "listener \(name) has 131073 routes; 131072 are the limit")
    }

    @Test func textsHaveALimit() throws {
        for (length, isGood) in [(16383, true), (16384, true), (16385, false)] {
            var plan = forward()
            plan.action = .respond(
                status: 200, body: String(repeating: "x", count: length), contentType: "")
            #expect(try route(plan).isEmpty == isGood, "\(length)")
        }
        var plan = forward()
        plan.origin = "a\0b"
        #expect(try route(plan).first?.contains("NUL") == true)
    }

    @Test func listenersAreChecked() throws {
        var node = try Plans.small()
        let good = node.listeners[0]
        func problem(_ change: (inout ListenerPlan) -> Void) throws -> String {
            var plan = good
            change(&plan)
            node.listeners = [plan]
            return try Plans.problems(node).joined(separator: "; ")
        }
        #expect(try problem { _ in } == "")
        #expect(try problem { $0.role = .inbound }.contains("without mesh TLS"))
        #expect(try problem { $0.role = .inbound }.contains("without intentions"))
        #expect(try problem { $0.role = .outbound }.contains("without an identity"))
        #expect(
            try problem { $0.identity = try? ServiceName("web") }.contains("certificate this node"))
        #expect(try problem { $0.address = Plans.loopback(0) }.contains("has no port"))
        #expect(
            try problem { $0.address = .unix(path: "x", mode: 0) }.contains("absolute path"))
        #expect(try problem { $0.timeouts.head = 0 }.contains("no timeout"))
        #expect(try problem { $0.via = "a b" }.contains("Via may not have"))
        #expect(try problem { $0.congestion = "much too long a name" }.contains("congestion"))
        node.listeners = [good, good]
        #expect(try Plans.problems(node).first?.contains("is there twice") == true)
    }

    @Test func targetsAreChecked() throws {
        var node = try Plans.small()
        let tls = node.intern(
            TLSPlan(server: false, verify: .require, mesh: true, trust: [1]))
        let server = node.intern(TLSPlan(server: true, certificates: [7]))
        let good = node.targets[0]
        func problem(_ change: (inout TargetPlan) -> Void) throws -> String {
            var plan = good
            change(&plan)
            node.targets = [plan]
            return try Plans.problems(node).joined(separator: "; ")
        }
        #expect(try problem { _ in } == "")
        #expect(try problem { $0.endpoints[0].weight = 0 }.contains("the weight 0"))
        #expect(try problem { $0.endpoints[0].weight = 65536 }.contains("the weight 65536"))
        #expect(try problem { $0.connectTimeout = 0 }.contains("no connect timeout"))
        #expect(try problem { $0.endpoints[0].tls = tls }.contains("without an expected identity"))
        #expect(try problem { $0.endpoints[0].tls = server }.contains("of a server"))
        #expect(try problem { $0.failover = ["x"] }.contains("does not exist"))
        #expect(
            try problem { $0.failover = Array(repeating: good.id, count: 17) }
                .contains("17 failover targets"))
        node.targets = [good, good]
        #expect(try Plans.problems(node).first?.contains("is there twice") == true)
    }

    @Test func tlsIsChecked() throws {
        func problem(_ plan: TLSPlan) throws -> String {
            var node = try Plans.small()
            _ = node.intern(plan)
            return try Plans.problems(node).joined(separator: "; ")
        }
        #expect(try problem(TLSPlan(server: true)).contains("needs a certificate"))
        #expect(
            try problem(TLSPlan(server: false, verify: .require)).contains("nothing to verify by"))
        #expect(
            try problem(TLSPlan(server: false, mesh: true)).contains("must require a certificate"))
        #expect(try problem(TLSPlan(server: false, alpn: [""])).contains("1 to 255 bytes"))
        var name = ServerNamePlan(name: "a.test")
        #expect(
            try problem(TLSPlan(server: true, certificates: [7], names: [name]))
                .contains("is not a server name with a certificate"))
        name.add(7, isRSA: true)
        #expect(try problem(TLSPlan(server: true, certificates: [7], names: [name])) == "")
        #expect(try problem(TLSPlan(server: false, names: [name])).contains("no server names"))
        #expect(
            try problem(TLSPlan(server: true, certificates: [7, 8, 9])).contains("too many own"))
        #expect(
            try problem(TLSPlan(server: true, maxVersion: .v12, certificates: [7]))
                .contains("no version is left"))
    }

    @Test func intentionsAreChecked() throws {
        var node = try Plans.small()
        node.targets[0].checksIntentions = true
        node.intentions = [
            try Plans.intention("a", "web", .allow), try Plans.intention("A", "WEB", .deny),
        ]
        #expect(try Plans.problems(node).first?.contains("is there twice") == true)
        node.intentions = [
            Intention(
                source: .any, destination: .exact(try ServiceName("web")),
                effect: .permissions([
                    Permission(
                        action: .allow, http: HTTPMatch(path: .prefix("/")),
                        token: TokenRequirement(providers: [.init(name: "x")]))
                ]))
        ]
        // A provider that nothing is known of is one whose tokens nobody has.
        #expect(try Plans.problems(node).isEmpty)
        node.intentions[0].effect = .permissions([])
        #expect(try Plans.problems(node).first?.contains("has no permissions") == true)
    }

    @Test func allProblemsAreReportedAtOnce() throws {
        var node = try Plans.small()
        node.targets[0].connectTimeout = 0
        node.listeners[0].via = "a b"
        node.listeners[0].role = .outbound
        #expect(try Plans.problems(node).count == 3)
        node.targets = (0..<500).map {
            var plan = node.targets[0]
            plan.id = "target \($0)"
            return plan
        }
        #expect(try Plans.problems(node).count == PlanError.limit)
    }

    @Test func tooManyListenersAreRefused() throws {
        for (count, isGood) in [(1023, true), (1024, true), (1025, false)] {
            var node = try Plans.small()
            let good = node.listeners[0]
            node.listeners = (0..<count).map {
                var plan = good
                plan.name = "listener-\($0)"
                plan.address = Plans.loopback(UInt16(1000 + $0))
                return plan
            }
            #expect(try Plans.problems(node).isEmpty == isGood, "\(count)")
        }
    }

    /// A refused build changes neither the slots nor what the next build makes.
    @Test func aRefusedBuildLeavesNothingBehind() throws {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        let good = try Plans.small()
        _ = try builder.build(good, stamp: Plans.stamp(1), slots: &slots)
        var bad = good
        bad.targets.append(try Plans.target("new", ports: [1, 2, 3]))
        bad.listeners[0].via = "a b"
        #expect(throws: PlanError.self) {
            try builder.build(bad, stamp: Plans.stamp(2), slots: &slots)
        }
        #expect(slots.overlay.count == 2)
        let reader = try SnapshotReader(
            builder.build(good, stamp: Plans.stamp(3), slots: &slots))
        #expect(reader.endpoints.count == 2)
        #expect(slots.overlay.count == 2)
    }
}
