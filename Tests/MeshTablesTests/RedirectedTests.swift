import MeshModel
import Testing

@testable import MeshTables

/// Listeners for redirected connections, and those behind them.
@Suite struct RedirectedTests {
    private func node(other: String? = "elsewhere") throws -> CompiledNode {
        var node = try Plans.small()
        let api = try ServiceName("api")
        node.identities = [
            IdentityPlan(
                service: api, spiffeID: "spiffe://test.mesh/ns/default/dc/dc1/svc/api", secret: 7)
        ]
        let v6 = IPAddress(v6High: 0xfd00_0000_0000_0000, low: 1)
        node.listeners += [
            ListenerPlan(
                name: "outbound", address: Plans.loopback(15001),
                kind: .redirected(
                    [
                        OriginalPlan(address: v6, port: 0, listener: "to web"),
                        OriginalPlan(
                            address: IPAddress(v4: 0x0a00_0001), port: 0, listener: "to web"),
                        OriginalPlan(
                            address: IPAddress(v4: 0x0a00_0001), port: 443, listener: "elsewhere"),
                    ], other: other)),
            ListenerPlan(
                name: "to web", address: Plans.loopback(15001), behind: "outbound",
                kind: .l4(SplitPlan.all(to: "web.default.dc1")), role: .outbound, identity: api),
            ListenerPlan(
                name: "elsewhere", address: Plans.loopback(15001), behind: "outbound",
                kind: .l4(SplitPlan.all(to: "original"))),
        ]
        node.targets.append(
            TargetPlan(
                id: "original", service: try ServiceName("original-destination"),
                endpoints: [
                    EndpointPlan(address: .original, instance: "original", node: "node-1")
                ]))
        return node
    }

    private func explained(
        _ url: String, from: String? = nil, listener: String? = nil, in node: CompiledNode
    ) throws -> Explanation {
        try Explainer(Plans.reader(node)).explain(
            ExplainedRequest(
                method: "GET", url: url, headers: [], from: from, listener: listener))
    }

    @Test(arguments: [
        ("http://10.0.0.1/", "forwarded to web.default.dc1"),
        ("http://10.0.0.1:8443/", "forwarded to web.default.dc1"),
        ("http://10.0.0.1:443/", "forwarded to original"),
        ("http://[fd00::1]:80/", "forwarded to web.default.dc1"),
        ("http://10.0.0.2:8080/", "200"),
    ])
    func addressesLeadToTheListenersThatStandForThem(url: String, outcome: String) throws {
        var node = try node()
        // What no address stands for is looked for by its port, as before.
        node.listeners[0].kind = .l7([
            RoutePlan(
                action: .respond(status: 200, body: "", contentType: ""), rule: "r", origin: "o")
        ])
        #expect(try explained(url, in: node).outcome == outcome)
    }

    @Test func theCallerSaysWhichListenerIsMeant() throws {
        let node = try node()
        #expect(
            try explained("http://10.0.0.1/", from: "api", in: node).outcome
                == "forwarded to web.default.dc1")
        // Nobody of that name is redirected: nothing listens on the port itself.
        #expect(
            try explained("http://10.0.0.1/", from: "other", in: node).outcome
                == "connection refused")
    }

    @Test func otherAddressesGoWhereTheListenerSays() throws {
        let url = "http://10.9.9.9:80/"
        #expect(
            try explained(url, listener: "outbound", in: node()).outcome
                == "forwarded to original")
        #expect(
            try explained(url, listener: "outbound", in: node(other: nil)).outcome
                == "connection closed, no_route")
        #expect(
            try explained("http://127.0.0.1:15001/", in: node()).outcome
                == "connection closed, not_redirected")
    }

    @Test func theDumpNamesEveryAddress() throws {
        let dump = SnapshotDump(try Plans.reader(node()))
        let outer = try #require(dump.listeners.first { $0.name == "outbound" })
        #expect(
            outer.routes.map { "\($0.match) \($0.action)" } == [
                "to 10.0.0.1 to to web", "to 10.0.0.1 port 443 to elsewhere",
                "to fd00::1 to to web", "to any other address to elsewhere",
            ])
    }

    @Test func whatIsNotBehindAListenerIsRefused() throws {
        var broken = try node()
        broken.listeners[2].behind = nil
        broken.listeners[2].address = Plans.loopback(9000)
        #expect(throws: PlanError.self) { try Plans.reader(broken) }
        broken = try node()
        broken.listeners[3].behind = "public"
        #expect(throws: PlanError.self) { try Plans.reader(broken) }
        broken = try node()
        broken.listeners[1].kind = .redirected(
            [
                OriginalPlan(address: IPAddress(v4: 1), port: 5, listener: "to web"),
                OriginalPlan(address: IPAddress(v4: 1), port: 5, listener: "elsewhere"),
            ], other: nil)
        #expect(throws: PlanError.self) { try Plans.reader(broken) }
    }
}
