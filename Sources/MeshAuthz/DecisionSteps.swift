package import MeshModel

/// One thing that was looked at on the way to a decision.
package struct DecisionStep: Hashable, Sendable {
    package enum Subject: Hashable, Sendable {
        case intention(Intention)
        /// A permission of the intention that covers the call, counted from 0.
        case permission(Intention, index: Int)
        case defaultAction
    }

    package enum Outcome: Hashable, Sendable {
        /// It decided so.
        case decided(Decision.Verdict)
        /// It covers the call and leaves the decision to its permissions.
        case asks
        /// It did not decide.
        case passed
    }

    package var subject: Subject
    package var outcome: Outcome
    /// Why, in words.
    package var reason: String
}

extension IntentionMatcher {
    /// Everything that is looked at for a request, in order; the last step decides. Intentions that
    /// would decide if the first were not there stand behind it.
    package func steps(
        source: ServiceName?, destination: ServiceName, request: RequestFacts
    ) throws -> [DecisionStep] {
        var steps: [DecisionStep] = []
        let covering = ordered.filter { covers($0, source, destination) }
        for (place, intention) in covering.enumerated() {
            steps.append(step(intention, isFirst: place == 0))
        }
        guard let first = covering.first else { return [byDefault("no intention covers the call")] }
        guard let asked = first.asked else { return steps }
        for (index, one) in asked.enumerated() {
            let subject = DecisionStep.Subject.permission(first, index: index)
            let refusal = try refusal(of: one.permission.http, request)
            let missing = one.tokens.first { !token($0) }.map { requirement in
                let names = requirement.providers.map(\.name).joined(separator: " or ")
                return "there is no good token of \(names)"
            }
            if let why = refusal ?? missing {
                steps.append(DecisionStep(subject: subject, outcome: .passed, reason: why))
                continue
            }
            steps.append(
                DecisionStep(
                    subject: subject, outcome: .decided(verdict(one.permission.action)),
                    reason: "the request is as it asks"))
            return steps
        }
        let why = "no permission covers the request"
        guard first.token != nil, defaultAction == .allow else { return steps + [byDefault(why)] }
        return steps + [
            DecisionStep(
                subject: .intention(first), outcome: .decided(uncovered(by: first)),
                reason: why + ", and the entry asks every caller for a token")
        ]
    }

    private func step(_ intention: Intention, isFirst: Bool) -> DecisionStep {
        guard isFirst else {
            return DecisionStep(
                subject: .intention(intention), outcome: .passed,
                reason: "covers the call, too; a more exact one is there")
        }
        if case .action(let action) = intention.effect, intention.asked == nil {
            return DecisionStep(
                subject: .intention(intention), outcome: .decided(verdict(action)),
                reason: "the most exact one that covers the call")
        }
        return DecisionStep(
            subject: .intention(intention), outcome: .asks,
            reason: "the most exact one that covers the call; its permissions decide")
    }

    private func byDefault(_ why: String) -> DecisionStep {
        DecisionStep(
            subject: .defaultAction, outcome: .decided(verdict(defaultAction)), reason: why)
    }
}
