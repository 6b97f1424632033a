import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

/// Everything that is told about one request, word by word.
@Suite struct ExplainGoldenTests {
    private func node() throws -> CompiledNode {
        let (web, api) = (try ServiceName("web"), try ServiceName("api"))
        var node = CompiledNode(node: "node-1", datacenter: "dc1", trustDomain: "test.mesh")
        node.targets = [try Plans.target("web", ports: [18000, 18001])]
        node.targets[0].checksIntentions = true
        node.identities = [
            IdentityPlan(
                service: api, spiffeID: "spiffe://test.mesh/ns/default/dc/dc1/svc/api", secret: 7)
        ]
        let route = RoutePlan(
            match: HTTPMatch(path: .prefix("/old")),
            action: .forward(SplitPlan.all(to: "web.default.dc1")),
            headerOps: [
                HeaderOpPlan(name: "x", kind: .set("1"), onResponse: false),
                HeaderOpPlan(name: "server", kind: .remove, onResponse: true),
            ], prefixRewrite: "/new/", requestTimeout: 1500, rule: "route 2", origin: "y:2")
        let admin = RoutePlan(
            match: HTTPMatch(path: .prefix("/admin")),
            action: .respond(status: 403, body: "", contentType: ""), rule: "route 1",
            origin: "y:1")
        node.listeners = [
            ListenerPlan(
                name: "api to web", address: Plans.loopback(9191), kind: .l7([admin, route]),
                role: .outbound, identity: api)
        ]
        node.intentions = [
            Intention(
                source: .exact(api), destination: .exact(web), effect: .action(.allow),
                origin: .file(SourceLocation(source: "y", line: 9, column: 5)))
        ]
        return node
    }

    @Test func aRequestThatIsSentOn() throws {
        let reader = try Plans.reader(try node())
        let first = try #require(reader.endpoints.first { reader.text($0.instance) == "web-18000" })
        let explainer = Explainer(reader) { $0 == first.overlay_slot ? 1 : 7 << 16 }
        let told = try explainer.explain(
            ExplainedRequest(method: "GET", url: "http://x:9191/old/a?b=c"))
        let lines = told.phases.map { phase in
            let rule = [phase.rule, phase.origin].compactMap(\.self).joined(separator: " @ ")
            return "\(phase.phase) \(phase.verdict) \(phase.detail)"
                + (rule.isEmpty ? "" : " | \(rule)")
        }
        let expected = [
            "listener matched api to web on 127.0.0.1:9191",
            "identity matched calls as api: spiffe://test.mesh/ns/default/dc/dc1/svc/api",
            "normalize matched host \"x\", path /old/a",
            "route passed the path does not match | route 1 @ y:1",
            "route matched to web.default.dc1: path begins with /old | route 2 @ y:2",
            "rewrite matched the path becomes /new/a | route 2 @ y:2",
            "headers matched request: sets x: 1 | route 2 @ y:2",
            "headers matched answer: removes server | route 2 @ y:2",
            "timeout matched 1500 ms, or 504; 60000 ms in which nothing moves | route 2 @ y:2",
            "retry none one try | route 2 @ y:2",
            "split matched 100.0 % of the traffic goes to web.default.dc1 | route 2 @ y:2",
            "authorize allow calls of web.default.dc1 | api => web (precedence 9) @ y:9:5",
            "endpoint passed web-18000 at 127.0.0.1:18000 fails its checks",
            "endpoint matched web-18001 at 127.0.0.1:18001 takes new work, weight 1",
            "upstream matched web.default.dc1: HTTP/1.1, connections are kept; "
                + "5000 ms to connect",
            "choose matched web.default.dc1: 1 of 2 endpoints: web-18001 at 127.0.0.1:18001",
        ]
        #expect(lines == expected)
        #expect(told.outcome == "forwarded to web.default.dc1")
    }
}
