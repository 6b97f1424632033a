import Foundation
import MeshHTTP
import MeshModel
import Testing

@testable import MeshConsul

/// What a Consul 1.9.8 agent answered to the same writes and questions.
@Suite struct VectorTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Vectors/consul")

    private static func cases(_ file: String) throws -> [JSON] {
        let data = try Data(contentsOf: folder.appendingPathComponent("\(file).json"))
        guard case .array(let cases) = try JSONParser.parse([UInt8](data)) else { return [] }
        return cases
    }

    /// Where we answer otherwise, and why.
    private static let different: [String: String] = [
        "put-proxy-defaults-name": "refused, as by newer versions: only global means anything",
        "put-sd-protocol-bad": "refused, as by newer versions: no proxy speaks it",
        "splitter-negative": "refused: a share below nothing is none",
        "router-retryon-bad": "the key is known here, and the value refused",
        "resolver-redirect-peer-no-service": "the key is known here, and the value refused",
        "resolver-redirect-peer-subset": "the key is known here, and the value refused",
        "resolver-failover-dcs-and-targets": "the key is known here, and the value refused",
        "resolver-failover-service-and-targets": "the key is known here, and the value refused",
        "resolver-failover-target-peer-subset": "the key is known here, and the value refused",
        "resolver-failover-target-peer-dc": "the key is known here, and the value refused",
        "resolver-failover-policy-bad": "the key is known here, and the value refused",
        "ixn-perm-header-contains": "the keys are known here",
    ]

    @Test func writesOfEntriesAreAnsweredAsByConsul() async throws {
        var compared = 0
        var others: Set<String> = []
        for vector in try Self.cases("config-writes") {
            let id = vector["id"]?.string ?? ""
            guard let expected = vector["expect"]?["consul-1.9.8-agent"] else { continue }
            let api = try await TestAPI()
            for entry in vector.list("existing_entries") {
                let answer = await api.send("PUT", "/v1/config", body: entry.text)
                #expect(answer.status == 200, "\(id): \(answer.text)")
            }
            let put = try #require(vector["put"])
            let answer = await api.send("PUT", "/v1/config", body: put.text)
            if Self.different[id] != nil {
                let isSame =
                    expected["status"] == .int(Int64(answer.status))
                    && (expected["body"] == nil || expected["body"]?.string == answer.text)
                if !isSame { others.insert(id) }
                continue
            }
            #expect(expected["status"] == .int(Int64(answer.status)), "\(id): \(answer.text)")
            if let body = expected["body"]?.string { #expect(answer.text == body, "\(id)") }
            if answer.status == 200, let stored = expected["stored"], stored != .null {
                let kind = stored["Kind"]?.string ?? ""
                let name = stored["Name"]?.string ?? ""
                let shown = try await api.send("GET", "/v1/config/\(kind)/\(name)").json
                #expect(Self.bare(shown) == Self.bare(stored), "\(id)")
            }
            compared += 1
        }
        #expect(others == Set(Self.different.keys))
        #expect(compared == 68 - Self.different.count)
    }

    /// Without indexes and without what is empty.
    private static func bare(_ json: JSON) -> [String: JSON] {
        guard case .object(let members) = json else { return [:] }
        return Dictionary(
            members.filter { member in
                !["CreateIndex", "ModifyIndex"].contains(member.name) && member.value != [:]
            }.map { ($0.name, sorted($0.value)) }, uniquingKeysWith: { $1 })
    }

    /// Members in the order of names: documents are compared without theirs.
    private static func sorted(_ json: JSON) -> JSON {
        switch json {
        case .object(let members):
            .object(
                members.map { JSON.Member($0.name, sorted($0.value)) }
                    .sorted { $0.name < $1.name })
        case .array(let elements): .array(elements.map(sorted))
        case .double(let value): Int64(exactly: value).map { .int($0) } ?? json
        case .null, .bool, .int, .unsigned, .string: json
        }
    }

    @Test(arguments: ["default_allow", "default_deny"])
    func intentionsDecideAsWithConsul(_ policy: String) async throws {
        var compared = 0
        for vector in try Self.cases("intentions") {
            let id = vector["id"]?.string ?? ""
            // Names that differ only by case are one name here.
            guard id != "case-sensitive" else { continue }
            let api = try await TestAPI(defaultAction: policy == "default_allow" ? .allow : .deny)
            for entry in vector.list("config_entries") {
                let answer = await api.send("PUT", "/v1/config", body: entry.text)
                #expect(answer.status == 200, "\(id): \(answer.text)")
            }
            for check in vector.list("check") {
                let (source, target) = (check["source"]?.string, check["destination"]?.string)
                let answer = await api.send(
                    "GET",
                    "/v1/connect/intentions/check?source=\(source ?? "")&destination=\(target ?? "")"
                )
                let expected = check["expect"]?[policy]
                #expect(try Self.sorted(answer.json) == expected.map(Self.sorted), "\(id)")
                compared += 1
            }
            // A wildcard in an identity is refused: nobody is everybody.
            for call in vector.list("authorize") where call["source"] != "*" {
                let uri =
                    "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/"
                    + (call["source"]?.string ?? "")
                let body: JSON = [
                    "Target": call["target"] ?? "", "ClientCertURI": .string(uri),
                ]
                let answer = await api.send(
                    "POST", "/v1/agent/connect/authorize", body: body.text)
                let expected = call["expect"]?[policy]
                #expect(try Self.sorted(answer.json) == expected.map(Self.sorted), "\(id)")
                compared += 1
            }
            try await Self.match(vector, api, id)
        }
        #expect(compared == 48)
    }

    private static func match(_ vector: JSON, _ api: TestAPI, _ id: String) async throws {
        for question in vector.list("match") {
            let names = question.list("names").compactMap(\.string).map { "&name=\($0)" }.joined()
            let answer = await api.send(
                "GET", "/v1/connect/intentions/match?by=\(question["by"]?.string ?? "")\(names)")
            #expect(question["expect"]?["status"] == .int(Int64(answer.status)), "\(id)")
            guard case .object(let lists)? = question["expect"]?["body"] else { continue }
            for list in lists {
                let shown = try answer.json[list.name] ?? .null
                if list.value == .null {
                    #expect(shown == .null, "\(id)")
                    continue
                }
                guard case .array(let wanted) = list.value, case .array(let got) = shown else {
                    Issue.record("\(id): \(list.name) is no list")
                    continue
                }
                #expect(got.map(bare) == wanted.map(bare), "\(id) \(list.name)")
            }
        }
    }
}
