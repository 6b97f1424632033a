import MeshModel
import MeshStore
import Testing

@testable import MeshConsul

/// Operations of transactions on nodes, services and checks.
@Suite struct CatalogTransactionTests {
    private static let node =
        "{\"Node\":{\"Verb\":\"set\",\"Node\":{\"Node\":\"far\",\"Address\":\"10.0.0.9\","
        + "\"Meta\":{\"site\":\"oslo\"}}}}"
    private static let service =
        "{\"Service\":{\"Verb\":\"set\",\"Node\":\"far\",\"Service\":{\"ID\":\"web-1\","
        + "\"Service\":\"web\",\"Port\":80,\"Tags\":[\"v1\"]}}}"
    private static let check =
        "{\"Check\":{\"Verb\":\"set\",\"Check\":{\"Node\":\"far\",\"CheckID\":\"c\","
        + "\"Name\":\"c\",\"Status\":\"passing\",\"ServiceID\":\"web-1\"}}}"

    private func run(
        _ api: StateAPI, _ operations: String..., token: String? = nil
    ) async throws -> (status: Int, json: JSON) {
        let body = "[\(operations.joined(separator: ","))]"
        let answer = await api.send("PUT", "/v1/txn", body, token: token)
        return (answer.status, try answer.json)
    }

    private func failures(_ api: StateAPI, _ operations: String...) async throws -> [String] {
        let body = "[\(operations.joined(separator: ","))]"
        let answer = await api.send("PUT", "/v1/txn", body)
        #expect(answer.status == 409)
        return try answer.json.list("Errors").compactMap { $0["What"]?.string }
    }

    @Test func aNodeItsServiceAndItsCheckComeTogether() async throws {
        let api = try await StateAPI()
        let (status, json) = try await run(api, Self.node, Self.service, Self.check)
        #expect(status == 200)
        let results = json.list("Results")
        #expect(results[0]["Node"]?["Address"] == "10.0.0.9")
        #expect(results[0]["Node"]?["Meta"] == ["site": "oslo"])
        #expect(results[1]["Service"]?["Service"] == "web")
        #expect(results[1]["Service"]?["Tags"] == ["v1"])
        #expect(results[2]["Check"]?["ServiceName"] == "web")
        let stored = try #require(api.store.snapshot.catalogNode("far"))
        #expect(stored.value.services.count == 1 && stored.value.checks.count == 1)
        let (_, again) = try await run(
            api, "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"FAR\"}}}",
            "{\"Service\":{\"Verb\":\"get\",\"Node\":\"far\",\"Service\":{\"ID\":\"web-1\"}}}",
            "{\"Check\":{\"Verb\":\"get\",\"Check\":{\"Node\":\"far\",\"CheckID\":\"c\"}}}",
            "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"lab\"}}}")
        #expect(again.list("Results").count == 4)
        #expect(again.list("Results")[3]["Node"]?["Node"] == "lab")
    }

    @Test func allOrNothing() async throws {
        let api = try await StateAPI()
        let before = api.store.snapshot.index
        let texts = try await failures(
            api, Self.node,
            "{\"Service\":{\"Verb\":\"get\",\"Node\":\"far\",\"Service\":{\"ID\":\"x\"}}}",
            "{\"Check\":{\"Verb\":\"set\",\"Check\":{\"Node\":\"no\",\"Name\":\"c\"}}}",
            "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"no\"}}}")
        #expect(
            texts == [
                "service \"x\" on node \"far\" doesn't exist", "Missing node registration",
                "node \"no\" doesn't exist",
            ])
        #expect(api.store.snapshot.index == before)
        #expect(api.store.snapshot.catalogNode("far") == nil)
    }

    @Test func indexesGuardWrites() async throws {
        let api = try await StateAPI()
        _ = try await run(api, Self.node, Self.service, Self.check)
        func cas(_ verb: String, _ index: UInt64) -> String {
            "{\"Service\":{\"Verb\":\"\(verb)\",\"Node\":\"far\",\"Service\":{\"ID\":\"web-1\","
                + "\"Service\":\"web\",\"Port\":81,\"ModifyIndex\":\(index)}}}"
        }
        #expect(
            try await failures(api, cas("cas", 1)) == [
                "failed to set service \"web-1\" on node \"far\", index is stale"
            ])
        #expect(
            try await failures(api, cas("delete-cas", 1)) == [
                "failed to delete service \"web-1\" on node \"far\", index is stale"
            ])
        let index = try #require(
            api.store.snapshot.catalogNode("far")?.value.services.first?.modifyIndex)
        #expect(try await run(api, cas("cas", index.value)).status == 200)
        let port = api.store.snapshot.catalogNode("far")?.value.services.first?.definition.port
        #expect(port == 81)
        let next = try #require(
            api.store.snapshot.catalogNode("far")?.value.services.first?.modifyIndex)
        #expect(try await run(api, cas("delete-cas", next.value)).status == 200)
        // Its check went with it.
        #expect(api.store.snapshot.catalogNode("far")?.value.checks == [])
        _ = try await run(api, "{\"Node\":{\"Verb\":\"delete\",\"Node\":{\"Node\":\"far\"}}}")
        #expect(api.store.snapshot.catalogNode("far") == nil)
    }

    @Test func wrongOperationsAreNamed() async throws {
        let api = try await StateAPI()
        #expect(
            try await failures(
                api, "{\"Node\":{\"Verb\":\"burn\",\"Node\":{\"Node\":\"far\"}}}") == [
                    "unknown Node verb \"burn\""
                ])
        #expect(
            try await failures(
                api,
                "{\"Node\":{\"Verb\":\"set\",\"Node\":{\"Node\":\"lab\",\"Address\":\"1.2.3.4\"}}}"
            ).first?.hasPrefix("node lab is this node") == true)
        let wrong = await api.send(
            "PUT", "/v1/txn", "[{\"Service\":{\"Verb\":\"set\",\"Node\":5}}]")
        #expect(wrong.status == 400)
        #expect(wrong.text.contains("TxnOp.Service.Node"))
    }

    @Test func whoMayNotWriteIsRefusedAndWhoMayNotReadIsShownNothing() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let (status, json) = try await run(api, Self.node)
        #expect(status == 409)
        #expect(json.list("Errors").first?["What"] == "Permission denied")
        _ = try await run(api, Self.node, token: StateAPI.management)
        let (read, shown) = try await run(
            api, "{\"Node\":{\"Verb\":\"get\",\"Node\":{\"Node\":\"far\"}}}")
        #expect(read == 200)
        #expect(shown.list("Results").isEmpty)
    }
}
