import Foundation
import MeshConsul
import MeshHTTP
import MeshModel
import MeshStore
import Testing

@Suite struct AccessControlTests {
    private let management = StateAPI.management

    /// A token with rules; its secret.
    private func token(_ rules: String, on api: StateAPI) async throws -> String {
        let name = "p-\(UUID().uuidString.prefix(8))"
        let policy = JSON.object([
            .init("Name", .string(name)), .init("Rules", .string(rules)),
        ])
        let made = await api.send("PUT", "/v1/acl/policy", policy.text, token: management)
        #expect(made.status == 200, "\(made.text)")
        let answer = try await api.send(
            "PUT", "/v1/acl/token", "{\"Policies\":[{\"Name\":\"\(name)\"}]}", token: management
        ).json
        return try #require(answer["SecretID"]?.plain)
    }

    @Test func bootstrapGivesOneTokenOfManagement() async throws {
        let api = try await StateAPI(isDefaultAllow: false, management: nil)
        let first = try await api.send("PUT", "/v1/acl/bootstrap").json
        let secret = try #require(first["SecretID"]?.plain)
        #expect(first["ID"]?.plain == secret)
        #expect(first["Policies"]?.text.contains("global-management") == true)
        #expect(await api.send("PUT", "/v1/kv/a", "1", token: secret).text == "true")
        let again = await api.send("PUT", "/v1/acl/bootstrap")
        #expect(again.status == 403)
        let index = try #require(api.store.snapshot.bootstrapIndex)
        #expect(
            again.text
                == "Permission denied: ACL bootstrap no longer allowed (reset index: \(index))")
    }

    @Test func bootstrapIsAllowedAgainByItsIndexOnce() async throws {
        let probe = try await StateAPI(isDefaultAllow: false, management: nil)
        _ = await probe.send("PUT", "/v1/acl/bootstrap")
        let index = try #require(probe.store.snapshot.bootstrapIndex).value
        let api = try await StateAPI(isDefaultAllow: false, management: nil, resetIndex: index)
        #expect(await api.send("PUT", "/v1/acl/bootstrap").status == 200)
        #expect(
            api.store.snapshot.bootstrapIndex?.value == index, "the same writes, the same index")
        #expect(await api.send("PUT", "/v1/acl/bootstrap").status == 200)
        #expect(await api.send("PUT", "/v1/acl/bootstrap").status == 403)
    }

    @Test func whoHasAConfiguredTokenOfManagementNeedsNoBootstrap() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        #expect(await api.send("PUT", "/v1/acl/bootstrap").status == 403)
    }

    /// What Consul answered tokens that may, that may not and that there are not.
    @Test func whoMayNotIsToldAsConsulTells() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let web = try await token(
            "service \"web\" { policy = \"write\" } service_prefix \"\" { policy = \"read\" } "
                + "node_prefix \"\" { policy = \"read\" }", on: api)
        #expect(await api.send("PUT", "/v1/kv/a", "1", token: management).text == "true")
        for (holder, text) in [
            (web, "Permission denied"), (nil, "Permission denied"), ("bogus", "ACL not found"),
        ] {
            for (method, target) in [
                ("GET", "/v1/kv/a"), ("PUT", "/v1/kv/a"), ("DELETE", "/v1/kv/a"),
                ("PUT", "/v1/session/create"), ("GET", "/v1/agent/self"),
                ("GET", "/v1/acl/tokens"), ("PUT", "/v1/acl/token"), ("PUT", "/v1/acl/policy"),
                ("DELETE", "/v1/kv/?recurse"),
            ] {
                let answer = await api.send(method, target, "{}", token: holder)
                #expect(answer.status == 403, "\(method) \(target)")
                #expect(answer.text == text, "\(method) \(target)")
                #expect(answer.response.headers["X-Consul-Default-ACL-Policy"] == "deny")
            }
        }
        for holder in [web, nil] {
            #expect(await api.send("GET", "/v1/kv/?recurse", token: holder).status == 404)
            #expect(await api.send("GET", "/v1/session/list", token: holder).text == "[]")
            #expect(await api.send("GET", "/v1/query", token: holder).text == "[]")
        }
        #expect(await api.send("GET", "/v1/kv/?recurse", token: "bogus").text == "ACL not found")
        #expect(await api.send("GET", "/v1/status/leader", token: "bogus").status == 200)
    }

    @Test func keysAreShownByRules() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        for key in ["app/a", "app/b", "app/secret/x", "other"] {
            _ = await api.send("PUT", "/v1/kv/\(key)", "1", token: management)
        }
        let app = try await token(
            "key_prefix \"app/\" { policy = \"write\" } key_prefix \"app/secret/\" "
                + "{ policy = \"deny\" }", on: api)
        #expect(
            await api.send("GET", "/v1/kv/?keys", token: app).text == "[\"app/a\",\"app/b\"]")
        #expect(
            await api.send("GET", "/v1/kv/?keys&separator=/", token: app).text == "[\"app/\"]")
        #expect(await api.send("GET", "/v1/kv/app/secret/x", token: app).status == 403)
        #expect(await api.send("DELETE", "/v1/kv/app/?recurse", token: app).status == 403)
        #expect(await api.send("DELETE", "/v1/kv/app/a?recurse", token: app).text == "true")
        let operations =
            "[{\"KV\":{\"Verb\":\"get-tree\",\"Key\":\"\"}},"
            + "{\"KV\":{\"Verb\":\"set\",\"Key\":\"app/c\"}}]"
        let results = try await api.send("PUT", "/v1/txn", operations, token: app).json
        #expect(results["Results"]?.text.contains("secret") == false)
        #expect(results["Results"]?.text.contains("app/c") == true)
        let denied = await api.send(
            "PUT", "/v1/txn", "[{\"KV\":{\"Verb\":\"check-index\",\"Key\":\"other\"}}]", token: app)
        #expect(denied.status == 409)
        #expect(denied.text.contains("Permission denied"))
    }

    @Test func aTokenLivesFromItsMakingToItsEnd() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let policy = try await api.send(
            "PUT", "/v1/acl/policy",
            "{\"Name\":\"kv\",\"Rules\":\"key_prefix \\\"\\\" { policy = \\\"write\\\" }\"}",
            token: management
        ).json
        let id = try #require(policy["ID"]?.plain)
        let made = try await api.send(
            "PUT", "/v1/acl/token",
            "{\"Description\":\"d\",\"Policies\":[{\"ID\":\"\(id)\"}],\"Local\":true}",
            token: management
        ).json
        let (accessor, secret) = (
            try #require(made["AccessorID"]?.plain), try #require(made["SecretID"]?.plain)
        )
        #expect(await api.send("PUT", "/v1/kv/a", "1", token: secret).text == "true")

        let own = try await api.send("GET", "/v1/acl/token/self", token: secret).json
        #expect(own["SecretID"]?.plain == secret && own["AccessorID"]?.plain == accessor)
        let seen = try await api.send("GET", "/v1/acl/token/\(accessor)", token: management).json
        #expect(seen["SecretID"]?.plain == "<hidden>", "the secret is not kept")
        let list = await api.send("GET", "/v1/acl/tokens", token: management).text
        #expect(list.contains(accessor) && !list.contains(secret) && !list.contains("SecretID"))
        #expect(
            await api.send("GET", "/v1/acl/tokens?policy=\(id)", token: management).text
                .contains(ACLToken.anonymousID) == false)

        let copy = try await api.send(
            "PUT", "/v1/acl/token/\(accessor)/clone", "{\"Description\":\"copy\"}",
            token: management
        ).json
        let second = try #require(copy["SecretID"]?.plain)
        #expect(second != secret && copy["Description"]?.plain == "copy")
        #expect(await api.send("PUT", "/v1/kv/a", "2", token: second).text == "true")

        let changed = await api.send(
            "PUT", "/v1/acl/token/\(accessor)", "{\"Description\":\"none\",\"Policies\":[]}",
            token: management)
        #expect(changed.status == 200, "\(changed.text)")
        #expect(await api.send("PUT", "/v1/kv/a", "3", token: secret).status == 403)
        #expect(
            await api.send("DELETE", "/v1/acl/token/\(accessor)", token: management).text == "true")
        #expect(await api.send("PUT", "/v1/kv/a", "3", token: secret).text == "ACL not found")
        #expect(
            await api.send("DELETE", "/v1/acl/policy/\(id)", token: management).text == "true")
        #expect(await api.send("PUT", "/v1/kv/a", "3", token: second).text == "Permission denied")
    }

    @Test func aTokenDoesNotDeleteItself() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let own = try await api.send("GET", "/v1/acl/token/self", token: management).json
        let accessor = try #require(own["AccessorID"]?.plain)
        let answer = await api.send("DELETE", "/v1/acl/token/\(accessor)", token: management)
        #expect(answer.text == "Deletion of the request's authorization token is not permitted")
    }

    @Test func tokensExpire() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let made = try await api.send(
            "PUT", "/v1/acl/token", "{\"ExpirationTTL\":\"1h\"}", token: management
        ).json
        #expect(made["ExpirationTime"]?.plain == "2027-01-15T09:00:00.000Z")
        let secret = try #require(made["SecretID"]?.plain)
        for (passed, isKnown) in [(3599.0, true), (3600.0, false)] {
            let access = StoredAccess(
                store: api.store, datacenter: "dc1", isDefaultAllow: false,
                now: { StateAPI.now.addingTimeInterval(passed) })
            let authority = try? await access.authority(of: secret)
            #expect((authority != nil) == isKnown)
        }
    }

    @Test func theAnonymousTokenMayBeGivenRules() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        #expect(await api.send("GET", "/v1/kv/?keys").status == 200)
        let policy = await api.send(
            "PUT", "/v1/acl/policy",
            "{\"Name\":\"all\",\"Rules\":\"key_prefix \\\"\\\" { policy = \\\"read\\\" }\"}",
            token: management)
        #expect(policy.status == 200)
        _ = await api.send("PUT", "/v1/kv/a", "1", token: management)
        #expect(await api.send("GET", "/v1/kv/a").status == 403)
        let changed = await api.send(
            "PUT", "/v1/acl/token/\(ACLToken.anonymousID)",
            "{\"Policies\":[{\"Name\":\"all\"}]}", token: management)
        #expect(changed.status == 200, "\(changed.text)")
        #expect(await api.send("GET", "/v1/kv/a").status == 200)
        #expect(await api.send("PUT", "/v1/kv/a", "2").status == 403)
    }

    @Test func theDefaultMayBeToAllow() async throws {
        let api = try await StateAPI(isDefaultAllow: true)
        let answer = await api.send("PUT", "/v1/kv/a", "1")
        #expect(answer.text == "true")
        #expect(answer.response.headers["X-Consul-Default-ACL-Policy"] == "allow")
        #expect(await api.send("GET", "/v1/acl/tokens").status == 403)
        #expect(await api.send("GET", "/v1/kv/a", token: "bogus").status == 403)
    }

    @Test func preparingTwiceChangesNothing() async throws {
        let api = try await StateAPI(isDefaultAllow: false)
        let before = api.store.snapshot.index
        let node = try await TestBackend().node
        try await StoredAccess.prepare(
            api.store, node: node, management: management, agent: nil,
            now: StateAPI.now.addingTimeInterval(1))
        #expect(api.store.snapshot.index == before)
        let agent = "44444444-4444-4444-8444-444444444444"
        try await StoredAccess.prepare(
            api.store, node: node, management: management, agent: agent, now: StateAPI.now)
        #expect(await api.send("GET", "/v1/agent/self", token: agent).status == 403)
        #expect(await api.send("PUT", "/v1/kv/a", token: agent).status == 403)
        #expect(api.store.snapshot.tokens.count == 3)
    }
}
