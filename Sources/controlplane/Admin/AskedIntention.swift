import MeshAdminAPI
import MeshAuthz
import MeshModel

/// A question why intentions decide as they do about a request, read.
struct AskedIntention {
    let source: ServiceName
    let destination: ServiceName
    let request: RequestFacts
    /// Behind the path; without its mark.
    let query: String

    init(_ question: IntentionQuestion) throws {
        let parts = question.path.split(separator: "?", maxSplits: 1)
        guard let path = parts.first.map(String.init), path.hasPrefix("/") else {
            throw MeshError(.invalid, "\"\(question.path)\" is no path: write /orders")
        }
        var headers = question.headers.map { RequestFacts.Field(name: $0.name, value: $0.value) }
        if let token = question.token {
            headers.append(.init(name: "Authorization", value: "Bearer \(token)"))
        }
        source = try ServiceName(question.source)
        destination = try ServiceName(question.destination)
        query = parts.count > 1 ? String(parts[1]) : ""
        request = RequestFacts(
            method: question.method.uppercased(), path: path, headers: headers)
    }

    /// Everything that is looked at, the last of it decides.
    func report(by matcher: IntentionMatcher, generation: UInt64) throws -> ExplainReport {
        let steps = try matcher.steps(
            source: source, destination: destination, request: request)
        let allowed = steps.contains { $0.outcome == .decided(.allow) }
        return ExplainReport(
            generation: generation, phases: steps.map(Self.phase),
            outcome: allowed ? "allow" : "deny")
    }

    private static func phase(_ step: DecisionStep) -> ExplainReport.Phase {
        let verdict =
            switch step.outcome {
            case .decided(let verdict): verdict == .allow ? "allow" : "deny"
            case .asks: "matched"
            case .passed: "passed"
            }
        func rule(_ intention: Intention) -> String {
            "\(intention.source) => \(intention.destination) (precedence \(intention.precedence))"
        }
        switch step.subject {
        case .intention(let intention):
            return .init(
                phase: "intention", verdict: verdict, detail: step.reason, rule: rule(intention),
                origin: "\(intention.origin)")
        case .permission(let intention, let index):
            return .init(
                phase: "permission", verdict: verdict,
                detail: "permission \(index + 1): \(step.reason)", rule: rule(intention),
                origin: "\(intention.origin)")
        case .defaultAction:
            return .init(
                phase: "default", verdict: verdict, detail: step.reason,
                rule: "mesh.intentions_default")
        }
    }
}
