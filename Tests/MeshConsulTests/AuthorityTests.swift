import Foundation
import MeshHTTP
import MeshIdentity
import MeshModel
import MeshStore
import Testing

@testable import MeshConsul

/// `/v1/connect/ca` and `/v1/agent/connect/ca`.
@Suite struct AuthorityTests {
    private func put(_ api: TestAPI, _ body: String) async -> TestAnswer {
        await api.send("PUT", "/v1/connect/ca/configuration", body: body)
    }

    @Test func mistakesAreToldInConsulsWords() async throws {
        let api = try await TestAPI()
        let wrong = [
            ("{\"Config\":{}}", "could not initialize provider: unknown CA provider \"\""),
            (
                "{\"Provider\":\"nope\"}",
                "could not initialize provider: unknown CA provider \"nope\""
            ),
            (
                "{\"Provider\":\"consul\",\"Config\":{\"LeafCertTTL\":\"10s\"}}",
                "error configuring provider: leaf cert TTL must be greater or equal than 1h0m0s"
            ),
            (
                "{\"Provider\":\"consul\",\"Config\":{\"LeafCertTTL\":\"8761h\"}}",
                "error configuring provider: leaf cert TTL must be less than 8760h0m0s"
            ),
            (
                "{\"Provider\":\"consul\",\"Config\":{\"PrivateKeyType\":\"dsa\"}}",
                "error configuring provider: private key type must be either 'ec' or 'rsa'"
            ),
            (
                "{\"Provider\":\"consul\",\"Config\":{\"RootCert\":\"x\"}}",
                "error configuring provider: RootCert needs its PrivateKey"
            ),
            (
                "{\"Provider\":\"consul\",\"Config\":{\"CSRMaxPerSecond\":-1}}",
                "error configuring provider: CSRMaxPerSecond must be 0 or more"
            ),
        ]
        let before = await put(api, "{\"Provider\":\"consul\",\"Config\":{}}")
        #expect(before.status == 200 && before.text.isEmpty)
        for (body, text) in wrong {
            let answer = await put(api, body)
            #expect(answer.status == 500, "\(body)")
            #expect(answer.text == text, "\(body)")
        }
        for body in ["", "{", "[]", "{\"Provider\":5}", "{\"Provider\":\"consul\",\"Config\":5}"] {
            let answer = await put(api, body)
            #expect(answer.status == 400, "\(body)")
            #expect(answer.text.hasPrefix("Bad request: Request decode failed: "), "\(body)")
        }
        #expect(await api.backend.authoritySettings().leafTTL == nil)
    }

    @Test func settingsAreShownAsTheyWereSentButForKeys() async throws {
        let api = try await TestAPI()
        let fresh = try await api.send("GET", "/v1/connect/ca/configuration").json
        #expect(fresh["Config"]?["LeafCertTTL"] == "72h")
        let body = "{\"Provider\":\"consul\",\"Config\":{\"LeafCertTTL\":\"24h\",\"Extra\":[1]}}"
        #expect(await put(api, body).status == 200)
        let shown = try await api.send("GET", "/v1/connect/ca/configuration").json
        #expect(shown["Config"] == ["LeafCertTTL": "24h", "Extra": [1]])
        #expect(await api.backend.authoritySettings().leafTTL == .hours(24))
        let secret = "{\"Provider\":\"consul\",\"Config\":{\"privatekey\":\"SECRET\"}}"
        #expect(await put(api, secret).status == 500)
        let after = await api.send("GET", "/v1/connect/ca/configuration").text
        #expect(!after.contains("SECRET"))
    }

    @Test func rootsAndLeavesHaveTheirIndexes() async throws {
        let api = try await TestAPI()
        let roots = await api.send("GET", "/v1/connect/ca/roots")
        let root = try #require(try roots.json.list("Roots").first)
        let indexes = api.backend.store.snapshot.rootIndexes.values.map(\.modify)
        #expect(root["ModifyIndex"] == .int(Int64(indexes[0].value)))
        #expect(roots.index == indexes[0].value)
        let first = await api.send("GET", "/v1/agent/connect/ca/leaf/web")
        let leaf = try first.json
        #expect(leaf["ModifyIndex"] == first.index.map { JSON.int(Int64($0)) })
        #expect(first.response.headers["X-Cache"] == "MISS")
        let again = await api.send("GET", "/v1/agent/connect/ca/leaf/web")
        #expect(again.response.headers["X-Cache"] == "HIT")
        #expect(try again.json["SerialNumber"] == leaf["SerialNumber"])
        let held = await api.send(
            "GET", "/v1/agent/connect/ca/leaf/web?index=\(first.index ?? 0)&wait=10ms")
        #expect(held.index == first.index)
        #expect(held.response.headers["X-Cache"] == "MISS")
    }
}
