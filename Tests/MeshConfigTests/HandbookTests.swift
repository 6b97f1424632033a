import Foundation
import MeshConfig
import MeshModel
import Testing

/// What the handbook says about configuration is what the code does.
@Suite struct HandbookTests {
    private static let handbook = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Sources/Handbook.docc")

    /// The page is generated: `RECORD_HANDBOOK=1 swift test --filter HandbookTests` writes it.
    @Test func thePageOfKeysIsThatOfTheTables() throws {
        let page = Self.handbook.appending(path: "ConfigurationKeys.md")
        let generated = ConfigReference.markdown()
        if ProcessInfo.processInfo.environment["RECORD_HANDBOOK"] != nil {
            try generated.write(to: page, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: page, encoding: .utf8)
        let stale: Comment =
            "ConfigurationKeys.md is stale: RECORD_HANDBOOK=1 swift test --filter HandbookTests"
        #expect(written == generated, stale)
    }

    @Test func theExampleOfTheHandbookIsSound() throws {
        let page = try String(
            contentsOf: Self.handbook.appending(path: "Configuration.md"), encoding: .utf8)
        let examples = page.components(separatedBy: "```yaml\n").dropFirst().map {
            $0.components(separatedBy: "```")[0]
        }
        #expect(examples.count == 4)
        for example in examples { #expect(problems(example) == []) }
    }

    @Test func theExampleOfAccessLogsIsSound() throws {
        let page = try String(
            contentsOf: Self.handbook.appending(path: "AccessLog.md"), encoding: .utf8)
        let example = try #require(page.components(separatedBy: "```yaml\n").dropFirst().first)
            .components(separatedBy: "```")[0]
        let text = example + "services: [ { name: web, port: 8080 } ]\n"
        #expect(problems(text) == [])
        let read = try load(text)
        #expect(read.accessLog.path == "/var/log/ringmesh/access.log")
        #expect(read.listeners[0].value.accessLog?.sample == 0.1)
        #expect(read.listeners[1].value.accessLog == AccessLogDefinition(path: ""))
        #expect(try load(read.rendered()).rendered() == read.rendered())
    }

    /// The example shows everything that the contract for tests and benchmarks does.
    @Test func theExampleOfTheHandbookIsTheOneThatTestsUse() throws {
        let page = try String(
            contentsOf: Self.handbook.appending(path: "Configuration.md"), encoding: .utf8)
        let start = try #require(page.range(of: "```yaml\n")).upperBound
        let end = try #require(page[start...].range(of: "```")).lowerBound
        let shown = try load(String(page[start..<end]))
        let used = try load(designExample)
        #expect(shown.rendered() == used.rendered())
    }
}
