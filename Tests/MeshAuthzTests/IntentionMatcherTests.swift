import MeshModel
import Testing

@testable import MeshAuthz

@Suite struct IntentionMatcherTests {
    private func name(_ text: String) throws -> ServiceName { try ServiceName(text) }

    private func intention(
        _ source: String, _ destination: String, _ effect: Intention.Effect
    ) throws -> Intention {
        Intention(
            source: try NamePattern(source), destination: try NamePattern(destination),
            effect: effect)
    }

    private func matcher(
        _ intentions: [Intention], default action: IntentionAction = .deny
    ) -> IntentionMatcher {
        IntentionMatcher(intentions, defaultAction: action) { pattern, ignoreCase, text in
            let regex = try Regex(pattern)
            return text.wholeMatch(of: ignoreCase ? regex.ignoresCase() : regex) != nil
        }
    }

    /// The four ranks, each with the next below it as what would decide otherwise.
    @Test func theMostExactIntentionDecides() throws {
        let all = try [
            intention("*", "*", .action(.allow)), intention("web", "*", .action(.deny)),
            intention("*", "db", .action(.allow)), intention("web", "db", .action(.deny)),
        ]
        let whole = matcher(all)
        let decision = whole.decide(source: try name("web"), destination: try name("db"))
        #expect(decision.verdict == .deny)
        #expect(decision.intention?.precedence == 9)
        #expect(
            try whole.decide(source: name("api"), destination: name("db")).intention?.precedence
                == 8)
        #expect(
            try whole.decide(source: name("web"), destination: name("x")).intention?.precedence
                == 6)
        #expect(
            try whole.decide(source: name("api"), destination: name("x")).intention?.precedence
                == 5)
        // The order in which they are given does not matter.
        let reversed = matcher(all.reversed())
        #expect(
            reversed.decide(source: try name("web"), destination: try name("db")) == decision)
    }

    @Test func withoutIntentionTheDefaultDecides() throws {
        for action in IntentionAction.allCases {
            let decision = matcher([], default: action).decide(
                source: try name("web"), destination: try name("db"))
            #expect(decision.verdict == (action == .allow ? .allow : .deny))
            #expect(decision.rule == .noIntention)
            #expect(decision.reason == "No intention covers the call: the default decides")
        }
    }

    @Test func aCallerWithoutIdentityIsCoveredByWildcardsOnly() throws {
        let whole = try matcher([
            intention("web", "db", .action(.allow)), intention("*", "cache", .action(.allow)),
        ])
        #expect(whole.decide(source: nil, destination: try name("db")).verdict == .deny)
        #expect(whole.decide(source: nil, destination: try name("cache")).verdict == .allow)
    }

    @Test func caseDoesNotGetAroundARule() throws {
        let whole = try matcher([intention("web", "db", .action(.deny))], default: .allow)
        #expect(
            try whole.decide(source: name("WEB"), destination: name("Db")).verdict == .deny)
        #expect(
            try whole.decide(source: name("web-2"), destination: name("db")).verdict == .allow)
    }

    @Test func permissionsAreAskedInOrder() throws {
        let permissions = [
            Permission(action: .deny, http: HTTPMatch(path: .prefix("/admin"))),
            Permission(action: .allow, http: HTTPMatch(path: .prefix("/"), methods: ["get"])),
        ]
        let whole = try matcher([intention("web", "db", .permissions(permissions))])
        let (web, db) = (try name("web"), try name("db"))
        #expect(whole.decide(source: web, destination: db).verdict == .dependsOnRequest)
        func decide(_ method: String, _ path: String) throws -> Decision {
            try whole.decide(
                source: web, destination: db, request: RequestFacts(method: method, path: path))
        }
        let admin = try decide("GET", "/admin/x")
        #expect(admin.verdict == .deny)
        #expect(admin.reason == "Matched permission 1 of intention web => db (precedence 9)")
        #expect(try decide("GET", "/x").verdict == .allow)
        let put = try decide("PUT", "/x")
        #expect(put.verdict == .deny)
        guard case .noPermission = put.rule else {
            Issue.record("the default decides, not \(put.rule)")
            return
        }
    }

    @Test func tokensAreNotIgnored() throws {
        let permission = Permission(
            action: .allow, http: HTTPMatch(path: .prefix("/")),
            token: TokenRequirement(providers: [.init(name: "okta")]))
        let whole = try matcher([intention("web", "db", .permissions([permission]))])
        let decision = try whole.decide(
            source: name("web"), destination: name("db"),
            request: RequestFacts(method: "GET", path: "/"))
        #expect(decision.verdict == .deny)
        guard case .noPermission = decision.rule else {
            Issue.record("a permission whose token is missing decides: \(decision.rule)")
            return
        }
    }

    @Test(arguments: [
        (TextMatch.present, false, false, true, false), (.present, false, true, false, true),
        (.exact("One"), false, false, true, false), (.exact("one"), false, false, false, false),
        (.exact("one"), true, false, true, false), (.exact("two"), false, true, true, false),
        (.prefix("On"), false, false, true, false), (.suffix("ne"), false, false, true, false),
        (.contains("n"), false, false, true, false), (.contains(""), false, false, true, false),
        (.contains("N"), true, false, true, false), (.regex("O.e"), false, false, true, false),
        (.regex("O"), false, false, false, false), (.regex("o.E"), true, false, true, false),
    ])
    func headers(
        _ match: TextMatch, _ ignoreCase: Bool, _ invert: Bool, _ with: Bool, _ without: Bool
    ) throws {
        let header = HeaderMatch(name: "X-A", match: match, ignoreCase: ignoreCase, invert: invert)
        let permission = Permission(action: .allow, http: HTTPMatch(headers: [header]))
        let whole = try matcher([intention("web", "db", .permissions([permission]))])
        func allows(_ fields: [RequestFacts.Field]) throws -> Bool {
            let request = RequestFacts(method: "GET", path: "/", headers: fields)
            let decision = try whole.decide(
                source: name("web"), destination: name("db"), request: request)
            return decision.verdict == .allow
        }
        #expect(
            try allows([.init(name: "x-b", value: "q"), .init(name: "x-a", value: "One")]) == with)
        #expect(try allows([.init(name: "x-b", value: "One")]) == without)
    }
}
