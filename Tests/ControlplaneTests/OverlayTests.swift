import MeshConfig
import MeshModel
import MeshWorkers
import Testing

@testable import MeshHealth
@testable import controlplane

@Suite struct OverlayTests {
    private func report(
        _ service: String, _ status: CheckStatus, isProven: Bool = true
    ) throws -> CheckReport {
        let id = try ServiceID(service)
        return CheckReport(
            spec: CheckSpec(id: "c", service: id, definition: CheckDefinition(tcp: "a:1")),
            status: status, output: "", isProven: isProven)
    }

    @Test func theWorstCheckDecides() throws {
        let overlay = HealthOverlay([
            try report("web", .passing), try report("web", .critical), try report("web", .warning),
            try report("api", .warning),
        ])
        #expect(overlay[try ServiceID("web")].status == .critical)
        #expect(overlay[try ServiceID("api")].status == .warning)
        #expect(overlay[try ServiceID("db")] == .init(status: .passing, isProven: true))
    }

    @Test func oneUnprovenCheckLeavesTheServiceUnproven() throws {
        let overlay = HealthOverlay([
            try report("web", .passing), try report("web", .critical, isProven: false),
        ])
        #expect(!overlay[try ServiceID("web")].isProven)
    }

    @Test func statusesBecomeConditions() {
        let weights = ServiceWeights(passing: 10, warning: 3)
        #expect(HealthOverlay.condition(.passing, weights: weights) == .normal)
        #expect(HealthOverlay.condition(.warning, weights: weights).weight == 3)
        #expect(HealthOverlay.condition(.warning, weights: weights, takesWarnings: false).isDown)
        #expect(
            HealthOverlay.condition(.passing, weights: weights, takesWarnings: false) == .normal)
        #expect(HealthOverlay.condition(.critical, weights: weights).isDown)
        #expect(HealthOverlay.condition(.maintenance, weights: weights).isDown)
    }
}

@Suite struct ExitStatusTests {
    private func problems(_ list: [Problem]) -> ConfigProblems { ConfigProblems(problems: list) }

    private func flag(_ name: String, key: String = "") -> Problem {
        Problem(.error, "wrong", at: SourceLocation(source: "flag --\(name)"), key: key)
    }

    @Test func onlyMistakesOfTheCommandLineAreUsage() {
        #expect(Failure.isUsage(problems([flag("nonsense")])))
        #expect(Failure.isUsage(problems([Problem(.error, "\"x\" is not a flag")])))
        #expect(Failure.isUsage(problems([flag("config.path")])))
        #expect(!Failure.isUsage(problems([flag("config.path", key: "config.path")])))
        #expect(!Failure.isUsage(problems([flag("log.level", key: "log.level")])))
        let file = Problem(
            .error, "wrong", at: SourceLocation(source: "a.yaml", line: 1, column: 1), key: "a")
        #expect(!Failure.isUsage(problems([flag("nonsense"), file])))
        #expect(!Failure.isUsage(problems([])))
    }
}
