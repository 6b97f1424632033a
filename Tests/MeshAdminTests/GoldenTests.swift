import Foundation
import MeshAdminAPI
import Testing

/// What the API says, as programs of others have learned it: `Tests/Vectors/admin-api.json`.
/// `RECORD_ADMIN_API=1 swift test --filter GoldenTests` writes it anew, for a reviewer to read.
@Suite struct GoldenTests {
    private static let file = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Vectors/admin-api.json")

    private static let reports: [(name: String, value: any Codable & Sendable)] = [
        ("status", Sample.status), ("services", Sample.services),
        ("instances", Sample.instances), ("checks", Sample.checks),
        ("check_update", Sample.checkUpdate), ("intentions", Sample.intentions),
        ("intention_check", Sample.check), ("routes", Sample.routes), ("stats", Sample.stats),
        ("certificates", Sample.certificates), ("roots", Sample.roots),
        ("explain_request", Sample.explainRequest), ("explain", Sample.explanation),
        ("intention_request", Sample.intentionRequest), ("change", Sample.refusedChange),
        ("error", ErrorReport(code: "not_found", message: "there is no service web")),
        ("health", HealthReport(status: "not ready", reason: "no data plane is connected")),
    ]

    private static func text(_ value: any Encodable) throws -> String {
        String(decoding: try APICoding.encoder(pretty: true).encode(value), as: UTF8.self)
    }

    private static func recorded() throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        return try #require(object as? [String: Any])
    }

    init() throws {
        if ProcessInfo.processInfo.environment["RECORD_ADMIN_API"] != nil { try Self.record() }
    }

    private static func record() throws {
        let members = try reports.sorted { $0.name < $1.name }.map { report in
            let lines = try text(report.value).split(separator: "\n")
            return "  \"\(report.name)\" : " + lines.joined(separator: "\n  ")
        }
        let document = "{\n" + members.joined(separator: ",\n") + "\n}\n"
        try document.write(to: file, atomically: true, encoding: .utf8)
    }

    @Test(arguments: reports.map(\.name))
    func aReportReadsAsItAlwaysHas(name: String) throws {
        let value = try #require(Self.reports.first { $0.name == name }).value
        let golden = try #require(try Self.recorded()[name])
        let data = try JSONSerialization.data(
            withJSONObject: golden, options: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
        #expect(try Self.text(value) == String(decoding: data, as: UTF8.self))
        try Self.expectRoundTrip(value, data)
    }

    private static func expectRoundTrip<Value: Codable>(_ value: Value, _ json: Data) throws {
        let back = try APICoding.decoder().decode(Value.self, from: json)
        #expect(try text(back) == text(value))
    }

    @Test func everyRecordedReportStillExists() throws {
        #expect(Set(try Self.recorded().keys) == Set(Self.reports.map(\.name)))
    }

    @Test func everyKeyIsSnakeCase() throws {
        func keys(_ object: Any) -> [String] {
            switch object {
            case let object as [String: Any]: object.flatMap { [$0.key] + keys($0.value) }
            case let list as [Any]: list.flatMap(keys)
            default: []
            }
        }
        for key in try keys(Self.recorded()) {
            #expect(key.wholeMatch(of: /[a-z][a-z0-9]*(_[a-z0-9]+)*/) != nil, "\(key)")
        }
    }
}
