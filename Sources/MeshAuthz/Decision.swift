package import MeshModel

/// Whether a call is allowed, why, and the rule that decided.
package struct Decision: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case allow
        case deny
        /// Depends on the request; see ``IntentionMatcher/decide(source:destination:request:)``.
        case dependsOnRequest
    }

    /// What decided.
    package enum Rule: Hashable, Sendable {
        /// An intention as a whole.
        case intention(Intention)
        /// One permission of an intention, counted from 0.
        case permission(Intention, index: Int)
        /// An intention covers the call, but none of its permissions the request.
        case noPermission(Intention)
        /// No intention covers the call.
        case noIntention
    }

    package var verdict: Verdict
    package var rule: Rule

    package init(verdict: Verdict, rule: Rule) {
        self.verdict = verdict
        self.rule = rule
    }

    /// The intention that decided, if one did.
    package var intention: Intention? {
        switch rule {
        case .intention(let intention), .permission(let intention, _),
            .noPermission(let intention):
            intention
        case .noIntention: nil
        }
    }

    /// The reason in words.
    package var reason: String {
        switch rule {
        case .intention(let intention): "Matched \(Self.name(intention))"
        case .permission(let intention, let index):
            "Matched permission \(index + 1) of \(Self.name(intention))"
        case .noPermission(let intention):
            "Matched \(Self.name(intention)), but none of its permissions: the default decides"
        case .noIntention: "No intention covers the call: the default decides"
        }
    }

    private static func name(_ intention: Intention) -> String {
        "intention \(intention.source) => \(intention.destination) "
            + "(precedence \(intention.precedence))"
    }
}
