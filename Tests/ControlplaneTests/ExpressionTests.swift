import Foundation
import MeshConfig
import MeshModel
import Testing

@testable import controlplane

@Suite struct ExpressionTests {
    private let location = SourceLocation(source: "a.yaml", line: 3, column: 5)

    private func entry(_ entry: ConfigEntry) -> [Problem] {
        Expressions.problems([Owned(entry, at: location)])
    }

    @Test func everyPlaceOfAnExpressionIsLookedAt() throws {
        let web = try ServiceName("web")
        let match = HTTPMatch(
            path: .regex("("), headers: [HeaderMatch(name: "x-a", match: .regex("["))],
            query: [QueryMatch(name: "q", match: .regex("*"))])
        let router = entry(
            .serviceRouter(
                ServiceRouter(name: web, routes: [.init(), .init(match: match)])))
        #expect(router.map(\.location) == [location, location, location])
        for (problem, part) in zip(router, ["path_regex \"(\"", "header x-a", "parameter q"]) {
            #expect(problem.message.hasPrefix("service-router web, route 2: "), "\(problem)")
            #expect(problem.message.contains(part), "\(problem)")
        }
        let intentions = entry(
            .serviceIntentions(
                ServiceIntentions(
                    name: .exact(web),
                    sources: [
                        .init(
                            name: .any,
                            permissions: [Permission(action: .allow, http: match)])
                    ])))
        #expect(intentions.count == 3)
        #expect(
            intentions.allSatisfy { $0.message.hasPrefix("intention * => web, permission 1: ") })
    }

    @Test func filtersOfSubsetsAreLookedAt() throws {
        let problems = entry(
            .serviceResolver(
                ServiceResolver(
                    name: try ServiceName("web"),
                    subsets: [
                        "a": .init(filter: "Service.Meta.v == "), "b": .init(filter: ""),
                        "c": .init(filter: "v1 in Service.Tags"),
                        "d": .init(filter: "Checks is empty"),
                    ])))
        #expect(problems.map(\.location) == [location, location])
        #expect(
            problems[0].message.contains("subset a: filter \"Service.Meta.v == \": 1:19 (18): "))
        #expect(problems[1].message.contains("subset d: filter"))
    }

    @Test func soundExpressionsAndOtherMatchesPass() throws {
        let match = HTTPMatch(
            path: .regex("/v[0-9]+/.*"), headers: [HeaderMatch(name: "x-a", match: .exact("("))],
            query: [QueryMatch(name: "q", match: .regex("[0-9]+"))])
        #expect(
            entry(
                .serviceRouter(
                    ServiceRouter(name: try ServiceName("web"), routes: [.init(match: match)]))
            ).isEmpty)
    }

    @Test func aConfigurationWithOneIsRefusedWithItsPlace() throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "ringmesh-test-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "node.yaml")
        try """
        listeners:
          - name: public
            bind_addr: 127.0.0.1:1
            kind: l7
            routes: [ { match: { path_regex: "a)" }, respond: { status: 403 } } ]
        """.write(to: file, atomically: true, encoding: .utf8)
        let source = ConfigurationSource(
            arguments: ["--config.path", file.path()], environment: [:])
        #expect {
            _ = try source.load()
        } throws: { error in
            let problems = (error as? ConfigProblems)?.problems ?? []
            return problems.count == 1 && problems[0].location?.line == 5
                && problems[0].message.contains("listener public, route 1: path_regex \"a)\"")
        }
    }
}
