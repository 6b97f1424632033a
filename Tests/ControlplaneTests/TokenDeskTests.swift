import Foundation
import MeshModel
import MeshTables
import MeshTelemetry
import MeshTokens
import MeshWorkers
import Testing

@testable import controlplane

/// Workers ask about what they run, which need not be what is wanted.
@Suite struct TokenDeskTests {
    private static let keys = """
        {"keys": [{"kty": "EC", "crv": "P-256", "kid": "one",
         "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}
        """

    /// A node whose only intention asks for a token of this issuer, and by what key workers ask.
    static func node(issuer: String, keys: String = keys) throws -> (CompiledNode, UInt64) {
        var provider = try TokenProvider(
            OtherEntry(
                kind: TokenProvider.kind, name: "okta",
                fields: [
                    "json_web_key_set": .object(["local": .object(["jwks": .string(keys)])])
                ]))
        provider.issuer = issuer
        let web = try ServiceName("web")
        let wanted = TokenRequirement.Provider(name: "okta")
        var intention = Intention(source: .any, destination: .exact(web), effect: .action(.allow))
        intention.token = TokenRequirement(providers: [wanted])
        var node = CompiledNode(node: "n", datacenter: "dc1", intentions: [intention])
        node.tokenProviders = [
            "okta": TokenProviderPlan(provider: provider, keySet: Array(keys.utf8))
        ]
        return (node, node.tokenProviders.key(of: wanted))
    }

    @Test func whatRunsIsAnsweredWhateverIsOffered() throws {
        let desk = TokenDesk(MetricsRegistry()) { _ in }
        let all = try ["a", "b", "c", "d"].map { try Self.node(issuer: $0) }
        func known() -> [Bool] { all.map { desk.knows([$0.1]) } }
        #expect(known() == [false, false, false, false])
        #expect(desk.verdict(check: all[0].1, token: [0x78]) == nil)
        #expect(desk.answer(check: all[0].1, token: [0x78]) == .none)

        desk.offer(all[0].0)
        #expect(known() == [true, false, false, false], "before it is known to be live")
        #expect(desk.verdict(check: all[0].1, token: [0x78])?.reason == .malformed)
        desk.offerIsTaken()
        // Workers refuse these.
        desk.offer(all[1].0)
        desk.offer(all[2].0)
        #expect(known() == [true, false, true, false])
        desk.offer(all[0].0)
        desk.offerIsTaken()
        desk.offer(all[3].0)
        desk.offerIsTaken()
        #expect(known() == [true, false, false, true], "one that is late runs the one before")
        desk.offer(all[3].0)
        desk.offerIsTaken()
        #expect(known() == [true, false, false, true], "the same is no other")
        let none = CompiledNode(node: "n", datacenter: "dc1")
        for _ in 0..<2 {
            desk.offer(none)
            desk.offerIsTaken()
        }
        #expect(known() == [false, false, false, true])
        desk.offer(all[1].0)
        desk.offerIsTaken()
        #expect(known() == [false, true, false, false])
    }

    /// Keys of an issuer that is described as it was are those of now, when they are known.
    @Test func keysOfAHeldPlanAreRenewed() throws {
        var (held, before) = try Self.node(issuer: "a")
        let wanted = TokenRequirement.Provider(name: "okta")
        var (newer, _) = try Self.node(issuer: "a")
        newer.tokenProviders["okta"]?.keySet = []
        held.renewKeySets(from: newer)
        #expect(held.tokenProviders.key(of: wanted) == before, "not fetched yet")
        newer.tokenProviders["okta"]?.keySet = Array((Self.keys + "\n").utf8)
        held.renewKeySets(from: newer)
        #expect(held.tokenProviders.key(of: wanted) != before)
        before = held.tokenProviders.key(of: wanted)
        let (other, _) = try Self.node(issuer: "b")
        held.renewKeySets(from: other)
        #expect(held.tokenProviders.key(of: wanted) == before, "another issuer")
    }
}
