import Foundation
import MeshHTTP
import MeshModel
import Testing

@testable import MeshConsul

/// Discovery chains over the API, GET and POST with overrides, as a Consul 1.9.8 compiled them.
@Suite struct ChainVectorTests {
    private static func cases(_ file: String) throws -> [JSON] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
            .appendingPathComponent("Vectors/consul/discovery-chain/\(file).json")
        guard case .array(let all) = try JSONParser.parse([UInt8](Data(contentsOf: path))) else {
            return []
        }
        return all
    }

    private static func api(_ vector: JSON) async throws -> TestAPI {
        let domain = try #require(vector["evaluate"]?["trust_domain"]?.string)
        return try await TestAPI(trustDomain: try TrustDomain(domain))
    }

    /// Writes the entries; the answer to the first that is refused.
    private static func write(_ vector: JSON, _ api: TestAPI) async -> TestAnswer? {
        for entry in vector.list("config_entries") {
            let answer = await api.send("PUT", "/v1/config", body: entry.text)
            if answer.status != 200 { return answer }
        }
        return nil
    }

    /// Entries that need others come after those.
    private static func writeInAnyOrder(_ vector: JSON, _ api: TestAPI) async -> TestAnswer? {
        var left = vector.list("config_entries")
        while true {
            var refused: [(entry: JSON, answer: TestAnswer)] = []
            for entry in left {
                let answer = await api.send("PUT", "/v1/config", body: entry.text)
                if answer.status != 200 { refused.append((entry, answer)) }
            }
            if refused.count == left.count { return refused.first?.answer }
            left = refused.map(\.entry)
        }
    }

    @Test(
        arguments: [
            ("default", 10), ("resolver", 12), ("failover", 11), ("splitter", 11), ("router", 15),
            ("loadbalancer", 5), ("override", 10),
        ])
    func chainsAreThoseOfConsul(_ file: String, _ count: Int) async throws {
        var compared = 0
        for vector in try Self.cases(file) {
            let id = vector["id"]?.string ?? ""
            guard let expected = vector["expect"]?["consul-1.9.8"]?["chain"],
                vector["evaluate"]?["namespace"] == "default"
            else { continue }
            let api = try await Self.api(vector)
            // Where we answer otherwise: no proxy speaks such a protocol.
            if id == "override-protocol-unknown" { continue }
            if let refused = await Self.writeInAnyOrder(vector, api) {
                Issue.record("\(id): \(refused.text)")
                continue
            }
            let target = "/v1/discovery-chain/\(vector["service"]?.string ?? "")"
            let overrides = vector["overrides"] ?? [:]
            let asked =
                overrides == [:]
                ? await api.send("GET", target)
                : await api.send("POST", target, body: overrides.text)
            #expect(asked.status == 200, "\(id): \(asked.text)")
            let shown = Self.bare(try asked.json["Chain"] ?? .null)
            #expect(shown == Self.bare(expected), "\(id)")
            compared += 1
        }
        // The rest has keys that 1.9.8 did not know.
        #expect(compared == count)
    }

    @Test func contradictionsAreRefusedWhenWritten() async throws {
        var compared = 0
        for vector in try Self.cases("graph-error") {
            let id = vector["id"]?.string ?? ""
            let expected = vector["expect"]?["consul-1.9.8"]?["config_write_error"]?.string
            let api = try await Self.api(vector)
            let refused = await Self.write(vector, api)
            #expect(refused?.status == 500, "\(id)")
            #expect(refused?.text == expected, "\(id)")
            compared += 1
        }
        #expect(compared == 13)
    }

    /// What means nothing is left out, members are in the order of names, weights are numbers, and
    /// of a hash only its being there is compared.
    private static func bare(_ json: JSON) -> JSON {
        switch json {
        case .object(let members):
            .object(
                members.compactMap { member -> JSON.Member? in
                    let value = bare(member.value)
                    guard ![.null, "", false, [:], []].contains(value) else { return nil }
                    return JSON.Member(
                        member.name, member.name == "CustomizationHash" ? true : value)
                }.sorted { $0.name < $1.name })
        case .array(let elements): .array(elements.map(bare))
        case .double(let value): Int64(exactly: value).map { .int($0) } ?? json
        case .null, .bool, .int, .unsigned, .string: json
        }
    }
}

/// Identities as clients show them.
@Suite struct IdentityVectorTests {
    @Test func identitiesAreTakenOrRefusedAsIntended() async throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Vectors/consul/names.json")
        let vectors = try JSONParser.parse([UInt8](Data(contentsOf: path)))
        let api = try await TestAPI()
        var taken = 0
        for vector in vectors.list("spiffe") {
            let uri = vector["uri"]?.string ?? ""
            let body: JSON = ["Target": "db", "ClientCertURI": .string(uri)]
            let answer = await api.send("POST", "/v1/agent/connect/authorize", body: body.text)
            let isService = vector["type"] == "SpiffeIDService"
            // Escapes are refused altogether: names here have no characters that need them.
            let isWanted = vector["intended"] == "accept" && isService && !uri.contains("%")
            #expect(answer.status == (isWanted ? 200 : 400), "\(uri): \(answer.text)")
            if isWanted { taken += 1 }
        }
        #expect(taken == 2)
    }
}
