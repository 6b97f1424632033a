import CMeshABI
import CMeshBase
import CMeshTable
import Foundation
import MeshAuthz
import MeshModel
import MeshRegex
import Testing

@testable import MeshTables

/// The pure decision of MeshAuthz and the lookups of the data plane over compiled policies must say
/// the same, and both what Consul says.
@Suite struct IntentionAgreementTests {
    private func matcher(
        _ intentions: [Intention], _ action: IntentionAction
    ) -> IntentionMatcher {
        IntentionMatcher(intentions, defaultAction: action) { pattern, ignoreCase, text in
            try CompiledRegex.compile(pattern, ignoreCase: ignoreCase).accepts(text.utf8)
        }
    }

    /// A snapshot with a listener for each destination, in their order.
    private func tables(
        _ intentions: [Intention], _ action: IntentionAction, _ destinations: [ServiceName]
    ) throws -> SnapshotReader {
        var node = CompiledNode(
            node: "node-1", datacenter: "dc1", trustDomain: "test.mesh", intentions: intentions,
            intentionsDefault: action)
        node.targets = [TargetPlan(id: "t", service: destinations[0])]
        node.listeners = destinations.enumerated().map { index, service in
            ListenerPlan(
                name: service.folded, address: Plans.loopback(UInt16(index + 1)),
                kind: .l4(SplitPlan.all(to: "t")), intentionsOf: service)
        }
        return try Plans.reader(node)
    }

    private func policy(_ reader: SnapshotReader, _ destination: ServiceName) -> UInt32 {
        for listener in reader.listeners where reader.text(listener.name) == destination.folded {
            return listener.policy
        }
        return UInt32.max
    }

    private func decide(
        _ reader: SnapshotReader, _ destination: ServiceName, _ source: String,
        _ request: ExplainedRequest? = nil
    ) throws -> intent_decision {
        let policy = policy(reader, destination)
        let input = try request.map { try RequestInput($0) }
        var source = source
        return source.withUTF8 { text in
            let slice = bytes_of(text.baseAddress, text.count)
            guard let input else { return intent_decide(reader.view, policy, slice) }
            var record = input.input
            return withExtendedLifetime(input) {
                intent_permit(reader.view, policy, slice, &record)
            }
        }
    }

    /// Thousands of random sets: same verdict, same intention.
    @Test func randomIntentionsAgree() throws {
        var chance = SeededGenerator(seed: 7)
        let names = try ["a", "ab", "b", "c-1", "web", "z.z"].map { try ServiceName($0) }
        var decisions = 0
        for _ in 0..<1500 {
            var pairs: Set<[String]> = []
            var intentions: [Intention] = []
            for _ in 0..<Int.random(in: 0...14, using: &chance) {
                let sources = names.map(\.text) + ["*"]
                let source = sources[Int.random(in: sources.indices, using: &chance)]
                let destinations = sources + ["*"]
                let destination = destinations[Int.random(in: destinations.indices, using: &chance)]
                guard pairs.insert([source, destination]).inserted else { continue }
                intentions.append(
                    try Plans.intention(
                        source, destination, Bool.random(using: &chance) ? .allow : .deny))
            }
            let action: IntentionAction = Bool.random(using: &chance) ? .allow : .deny
            let own = matcher(intentions, action)
            let reader = try tables(intentions, action, names)
            for destination in names {
                for source in names.map(Optional.some) + [nil] {
                    let expected = own.decide(source: source, destination: destination)
                    let found = try decide(reader, destination, source?.text ?? "")
                    decisions += 1
                    #expect(
                        (found.verdict == INTENT_ALLOW) == (expected.verdict == .allow),
                        "\(source?.text ?? "-") => \(destination)")
                    guard found.intention != UInt32.max else {
                        #expect(expected.rule == .noIntention)
                        continue
                    }
                    let record = reader.intentions[Int(found.intention)]
                    #expect(reader.text(record.source) == fold(expected.intention?.source))
                    #expect(
                        reader.text(record.destination) == fold(expected.intention?.destination))
                }
            }
        }
        #expect(decisions > 50_000)
    }

    private func fold(_ pattern: NamePattern?) -> String {
        pattern.map { "\($0)".lowercased() } ?? "none"
    }

    // MARK: - Consul's answers

    fileprivate struct VectorSource: Decodable {
        struct Permission: Decodable {
            var Action: String
            var HTTP: HTTPRule
        }
        struct HTTPRule: Decodable {
            struct HeaderRule: Decodable {
                var Name: String
                var Present: Bool?
                var Exact: String?
                var Prefix: String?
                var Suffix: String?
                var Regex: String?
                var Invert: Bool?
            }
            var PathExact: String?
            var PathPrefix: String?
            var PathRegex: String?
            var Header: [HeaderRule]?
            var Methods: [String]?
        }
        var Name: String
        var Action: String?
        var Permissions: [Permission]?

        func intention(to destination: String) throws -> Intention {
            Intention(
                source: try NamePattern(Name), destination: try NamePattern(destination),
                effect: try effect())
        }

        private func effect() throws -> Intention.Effect {
            if let Action { return .action(try #require(IntentionAction(rawValue: Action))) }
            return .permissions(
                try (Permissions ?? []).map { permission in
                    MeshModel.Permission(
                        action: try #require(IntentionAction(rawValue: permission.Action)),
                        http: permission.HTTP.match)
                })
        }
    }

    private static func load<Value: Decodable>(_ type: Value.Type, _ file: String) throws -> Value {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let url = tests.appendingPathComponent("Vectors/consul/\(file)")
        return try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }

    private struct PermissionCase: Decodable {
        struct Request: Decodable {
            var source: String
            var method: String
            var path: String
            var headers: [String: String]
            var allowed: [String: Bool]
        }
        var id: String
        var destination: String
        var sources: [VectorSource]
        var wildcard_destination_sources: [VectorSource]
        var requests: [Request]
    }

    @Test func permissionsDecideAsInConsul() throws {
        let cases = try Self.load([PermissionCase].self, "l7-permissions.json")
        #expect(cases.count == 12)
        for vector in cases {
            let intentions =
                try vector.sources.map { try $0.intention(to: vector.destination) }
                + vector.wildcard_destination_sources.map { try $0.intention(to: "*") }
            let destination = try ServiceName(vector.destination)
            for action in IntentionAction.allCases {
                let own = matcher(intentions, action)
                let reader = try tables(intentions, action, [destination])
                for request in vector.requests {
                    let expected = request.allowed["default_\(action.rawValue)"]
                    let headers = request.headers.map { ($0.key, $0.value) }
                    let path = String(request.path.prefix { $0 != "?" })
                    let decision = try own.decide(
                        source: ServiceName(request.source), destination: destination,
                        request: RequestFacts(
                            method: request.method, path: path,
                            headers: headers.map { .init(name: $0, value: $1) }))
                    #expect(
                        (decision.verdict == .allow) == expected,
                        "\(vector.id): \(request.method) \(request.path), default \(action)")
                    let found = try decide(
                        reader, destination, request.source,
                        ExplainedRequest(
                            method: request.method, url: request.path,
                            headers: headers.map { .init(name: $0, value: $1) }))
                    #expect(
                        (found.verdict == INTENT_ALLOW) == expected,
                        "\(vector.id): \(request.method) \(request.path), default \(action)")
                }
            }
        }
    }

    private struct IntentionCase: Decodable {
        struct Entry: Decodable {
            var Kind: String
            var Name: String
            var Sources: [VectorSource]?
        }
        struct Check: Decodable {
            struct Answer: Decodable { var Allowed: Bool }
            var source: String
            var destination: String
            var expect: [String: Answer]
        }
        var id: String
        var config_entries: [Entry]
        var check: [Check]
    }

    @Test func checksAreAnsweredAsByConsul() throws {
        let cases = try Self.load([IntentionCase].self, "intentions.json")
        var checked = 0
        for vector in cases {
            let intentions = try vector.config_entries.filter { $0.Kind == "service-intentions" }
                .flatMap { entry in
                    try (entry.Sources ?? []).map { try $0.intention(to: entry.Name) }
                }
            for check in vector.check {
                // Names with a star are no services; case is folded, which is our intention.
                guard let source = try? ServiceName(check.source),
                    let destination = try? ServiceName(check.destination),
                    vector.id != "case-sensitive"
                else { continue }
                for action in IntentionAction.allCases {
                    let expected = check.expect["default_\(action.rawValue)"]?.Allowed
                    let decision = matcher(intentions, action)
                        .decide(source: source, destination: destination)
                    #expect((decision.verdict == .allow) == expected, "\(vector.id)")
                    let reader = try tables(intentions, action, [destination])
                    let found = try decide(reader, destination, check.source)
                    #expect((found.verdict == INTENT_ALLOW) == expected, "\(vector.id)")
                    checked += 1
                }
            }
        }
        #expect(checked >= 30)
    }
}

extension IntentionAgreementTests.VectorSource.HTTPRule {
    fileprivate var match: HTTPMatch {
        var match = HTTPMatch(methods: Methods ?? [])
        if let PathExact { match.path = .exact(PathExact) }
        if let PathPrefix { match.path = .prefix(PathPrefix) }
        if let PathRegex { match.path = .regex(PathRegex) }
        match.headers = (Header ?? []).map { header in
            var text = TextMatch.present
            if let exact = header.Exact { text = .exact(exact) }
            if let prefix = header.Prefix { text = .prefix(prefix) }
            if let suffix = header.Suffix { text = .suffix(suffix) }
            if let regex = header.Regex { text = .regex(regex) }
            return HeaderMatch(name: header.Name, match: text, invert: header.Invert ?? false)
        }
        return match
    }
}
