package import MeshModel

/// Decides calls by intentions, in Consul's order: the first intention that covers the pair
/// decides, no other is consulted. Written from the rules, apart from the tables of the data plane,
/// so that each can be tested against the other.
package struct IntentionMatcher: Sendable {
    /// Answers whether a whole text matches an expression. The room has no engine of its own.
    package typealias RegexTest =
        @Sendable (_ pattern: String, _ ignoreCase: Bool, _ text: String) throws -> Bool

    let ordered: [Intention]
    let defaultAction: IntentionAction
    private let regex: RegexTest
    let token: TokenTest

    /// Answers whether a request has the token that is asked for.
    package typealias TokenTest = @Sendable (TokenRequirement) -> Bool

    package init(
        _ intentions: [Intention], defaultAction: IntentionAction, regex: @escaping RegexTest,
        token: @escaping TokenTest = { _ in false }
    ) {
        ordered = intentions.sorted(by: Intention.consultedBefore)
        self.defaultAction = defaultAction
        self.regex = regex
        self.token = token
    }

    /// The decision about a connection. Permissions are about requests: where they decide, a plain
    /// connection is denied, and the verdict says that a request may fare better.
    package func decide(source: ServiceName?, destination: ServiceName) -> Decision {
        guard let intention = first(source, destination) else {
            return Decision(verdict: verdict(defaultAction), rule: .noIntention)
        }
        if case .action(let action) = intention.effect, intention.asked == nil {
            return Decision(verdict: verdict(action), rule: .intention(intention))
        }
        return Decision(verdict: .dependsOnRequest, rule: .intention(intention))
    }

    /// The decision about a request.
    package func decide(
        source: ServiceName?, destination: ServiceName, request: RequestFacts
    ) throws -> Decision {
        let connection = decide(source: source, destination: destination)
        guard case .intention(let intention) = connection.rule,
            let asked = intention.asked
        else { return connection }
        for (index, one) in asked.enumerated() {
            if try covers(one.permission.http, request), one.tokens.allSatisfy(token) {
                return Decision(
                    verdict: verdict(one.permission.action),
                    rule: .permission(intention, index: index))
            }
        }
        return Decision(verdict: uncovered(by: intention), rule: .noPermission(intention))
    }

    /// What holds where no permission covers a request. Who writes that every caller needs a token
    /// lets nobody in without one, whatever the default.
    func uncovered(by intention: Intention) -> Decision.Verdict {
        intention.token == nil ? verdict(defaultAction) : .deny
    }

    func verdict(_ action: IntentionAction) -> Decision.Verdict {
        action == .allow ? .allow : .deny
    }

    /// A caller without identity is covered by wildcard sources only.
    private func first(_ source: ServiceName?, _ destination: ServiceName) -> Intention? {
        ordered.first { covers($0, source, destination) }
    }

    func covers(
        _ intention: Intention, _ source: ServiceName?, _ destination: ServiceName
    ) -> Bool {
        guard intention.destination.covers(destination) else { return false }
        return source.map { intention.source.covers($0) } ?? (intention.source == .any)
    }

    // MARK: - requests

    private func covers(_ match: HTTPMatch, _ request: RequestFacts) throws -> Bool {
        try refusal(of: match, request) == nil
    }

    /// The first criterion that the request does not meet, in words; nil: it meets them all.
    func refusal(of match: HTTPMatch, _ request: RequestFacts) throws -> String? {
        if !match.methods.isEmpty,
            !match.methods.contains(where: { $0.uppercased() == request.method })
        {
            return "the method is none of \(match.methods.joined(separator: ", "))"
        }
        guard try covers(match.path, match.caseInsensitive, request.path) else {
            return "the path is another"
        }
        for header in match.headers {
            let values = request.headers.filter {
                $0.name.lowercased() == header.name.lowercased()
            }.map(\.value)
            guard try holds(header.match, header.ignoreCase, header.invert, values) else {
                return "the header \(header.name) is not as asked"
            }
        }
        for parameter in match.query {
            let values = request.query.filter { $0.name == parameter.name }.map(\.value)
            guard try holds(parameter.match, false, false, values) else {
                return "the parameter \(parameter.name) is not as asked"
            }
        }
        return nil
    }

    private func covers(_ match: PathMatch?, _ ignoreCase: Bool, _ path: String) throws -> Bool {
        func fold(_ text: String) -> String { ignoreCase ? text.lowercased() : text }
        switch match {
        case nil: return true
        case .exact(let text): return fold(path) == fold(text)
        case .prefix(let text): return fold(path).hasPrefix(fold(text))
        case .regex(let pattern): return try regex(pattern, ignoreCase, path)
        }
    }

    /// Whether any of the values of a subject satisfies the match. A subject that is absent matches
    /// only where its absence is asked for.
    private func holds(
        _ match: TextMatch, _ ignoreCase: Bool, _ invert: Bool, _ values: [String]
    ) throws -> Bool {
        if values.isEmpty { return match == .present && invert }
        let held = try values.contains { try self.holds(match, ignoreCase, $0) }
        return held != invert
    }

    private func holds(_ match: TextMatch, _ ignoreCase: Bool, _ value: String) throws -> Bool {
        func fold(_ text: String) -> String { ignoreCase ? text.lowercased() : text }
        let value = fold(value)
        switch match {
        case .present: return true
        case .exact(let text): return value == fold(text)
        case .prefix(let text): return value.hasPrefix(fold(text))
        case .suffix(let text): return value.hasSuffix(fold(text))
        case .contains(let text):
            let text = fold(text)
            return text.isEmpty
                || value.indices.contains { value[$0...].hasPrefix(text) }
        case .regex(let pattern): return try regex(pattern, ignoreCase, value)
        }
    }
}
