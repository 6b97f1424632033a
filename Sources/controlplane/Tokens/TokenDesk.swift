import Foundation
import MeshModel
import MeshTables
import MeshTelemetry
import MeshTokens
import MeshWorkers
import Synchronization

/// Answers the questions of workers about tokens: the table of what may be asked, at hand without
/// waiting for anybody.
final class TokenDesk: Sendable {
    private struct Entry {
        var check: TokenCheck
        var provider: String
    }

    private struct Tables {
        var current: [UInt64: Entry] = [:]
        /// Those of before: workers that still run that snapshot ask by its keys.
        var previous: [UInt64: Entry] = [:]
        /// Those of a plan that is held although another one is wanted.
        var held: [UInt64: Entry] = [:]
        var heldProviders: [String: TokenProviderPlan] = [:]
    }

    private let tables = Mutex(Tables())
    /// Called with a provider's name when a token names a key that its set lacks.
    private let lacksKey: @Sendable (String) -> Void

    private let counters: [TokenCheck.Reason: Counter]

    init(_ registry: MetricsRegistry, lacksKey: @escaping @Sendable (String) -> Void) {
        self.lacksKey = lacksKey
        var counters: [TokenCheck.Reason: Counter] = [:]
        for reason in TokenCheck.Reason.allCases {
            counters[reason] = registry.counter(
                "ringmesh_token_verdicts_total", "Questions of workers about tokens, by answer.",
                ["verdict": "\(reason)"])
        }
        self.counters = counters
    }

    /// What intentions ask for, with the providers as they are now.
    func take(
        _ wanted: Set<TokenRequirement.Provider>, _ providers: [String: TokenProviderPlan],
        _ keys: [String: KeySet]
    ) {
        let new = Self.entries(wanted, providers, keys)
        tables.withLock { tables in
            guard Set(tables.current.keys) != Set(new.keys) else { return }
            tables.previous = tables.current
            tables.current = new
        }
    }

    /// What a plan asks for that somebody went back to; nil: none is held.
    func hold(_ node: CompiledNode?) {
        let providers = node?.tokenProviders ?? [:]
        guard tables.withLock({ $0.heldProviders != providers }) else { return }
        let new = Self.entries(
            TokenKeeper.wanted(node?.intentions ?? []), providers,
            // What is no key set has never been one of these.
            providers.compactMapValues { try? KeySet($0.keySet) })
        tables.withLock { tables in
            tables.held = new
            tables.heldProviders = providers
        }
    }

    private static func entries(
        _ wanted: Set<TokenRequirement.Provider>, _ providers: [String: TokenProviderPlan],
        _ keys: [String: KeySet]
    ) -> [UInt64: Entry] {
        var entries: [UInt64: Entry] = [:]
        for one in wanted {
            guard let plan = providers[one.name] else { continue }
            entries[providers.key(of: one)] = Entry(
                check: TokenCheck(
                    provider: plan.provider, keys: keys[one.name] ?? .none,
                    claims: one.verifyClaims), provider: one.name)
        }
        return entries
    }

    /// The verdict on a token; nil: nothing is known of this question.
    func verdict(check: UInt64, token: [UInt8]) -> TokenCheck.Verdict? {
        let entry = tables.withLock { $0.current[check] ?? $0.held[check] ?? $0.previous[check] }
        guard let entry else { return nil }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let verdict = entry.check.verdict(on: token, now: now)
        if verdict.reason == .unknownKey { lacksKey(entry.provider) }
        return verdict
    }

    /// What a worker is told.
    func answer(check: UInt64, token: [UInt8]) -> TokenAnswer {
        guard let verdict = verdict(check: check, token: token) else { return .none }
        counters[verdict.reason]?.increment()
        return TokenAnswer(isGood: verdict.isGood, life: verdict.life)
    }
}
