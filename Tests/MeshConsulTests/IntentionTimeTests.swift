import MeshModel
import Testing

@testable import MeshConsul

/// Times and digests of intentions that the older API has written.
@Suite struct IntentionTimeTests {
    @Test func digestsAreThoseOfTheStandard() {
        func hex(_ bytes: [UInt8]) -> String {
            Blake2b.digest(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        func counted(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }
        #expect(
            hex([]) == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8")
        #expect(
            hex(Array("abc".utf8))
                == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319")
        // Around one block, and of several.
        #expect(
            hex(counted(127))
                == "f2fe67ff342e21b8f45e8f2e0bcd1d9243245d50ee6c78042e9c491388791c72")
        #expect(
            hex(counted(128))
                == "c3582f71ebb2be66fa5dd750f80baae97554f3b015663c8be377cfcb2488c1d1")
        #expect(
            hex(counted(129))
                == "f7f3c46ba2564ff4c4c162da1f5b605f9f1c4aa6a20652a9f9a337c1a2f5b9c9")
        #expect(
            hex(counted(256))
                == "582f782226018ec33076bd8d1c42413530ac7e1126260ffc0f306ba3befc3f24")
        #expect(
            hex(counted(1000))
                == "b372d0608f720c8c3dd41e9c8eecb10143b41abe520b616607e754bf79c08331")
    }

    /// The digest that a Consul 1.9.8 agent told of the same intention.
    @Test func anIntentionHasConsulsDigest() throws {
        var intention = Intention(
            source: try NamePattern("old"), destination: try NamePattern("legacydst"),
            effect: .action(.allow), id: "e03b3e65-c334-6199-5fd9-78eee59f1952")
        #expect(intention.json["Hash"] == nil && intention.json["CreatedAt"] == nil)
        intention.written = .init(
            created: 1_795_219_521_303_840_627, updated: 1_795_219_522_000_000_000)
        #expect(intention.json["Hash"] == "KoyKibiItZWSAQfA8uxnNwjCBDP6aZ2Rr1FMAyQkqvs=")
        #expect(intention.json["CreatedAt"] == "2026-11-21T00:05:21.303840627Z")
        let digest = intention.json["Hash"]
        intention.meta = ["a": "b"]
        #expect(intention.json["Hash"] != digest)
    }

    @Test func theOlderAPITellsWhenItWrote() async throws {
        let api = try await TestAPI()
        let body = #"{"SourceName":"a","DestinationName":"b","Action":"allow"}"#
        let made = await api.send("POST", "/v1/connect/intentions", body: body)
        let id = try #require(try made.json["ID"]?.string)
        let path = "/v1/connect/intentions/\(id)"
        let first = try await api.send("GET", path).json
        #expect(first["CreatedAt"] == "2027-01-15T08:00:00.1234567Z")
        #expect(first["UpdatedAt"] == first["CreatedAt"])
        // An intention is sent back as it was told, with the change.
        let back = first.text.replacing("\"allow\"", with: "\"deny\"")
        let changed = await api.send("PUT", path, body: back)
        #expect(changed.status == 200, "\(changed.text)")
        let second = try await api.send("GET", path).json
        #expect(second["Action"] == "deny" && second["CreatedAt"] == first["CreatedAt"])
        #expect(second["Hash"] != nil && second["Hash"] != first["Hash"])
        // One of the newer API has none of this.
        let exact = "/v1/connect/intentions/exact?source=a&destination=c"
        #expect(await api.send("PUT", exact, body: #"{"Action":"allow"}"#).status == 200)
        let newer = try await api.send("GET", exact).json
        #expect(newer["CreatedAt"] == nil && newer["Hash"] == nil)
    }
}
