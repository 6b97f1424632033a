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

    /// What one plan asks for.
    private struct Table {
        var entries: [UInt64: Entry] = [:]
        var providers: [String: TokenProviderPlan] = [:]
        var intentions: [Intention] = []
    }

    private struct Tables {
        /// What is wanted now, which may never be published: it counts for who explains.
        var wanted: [UInt64: Entry] = [:]
        /// What workers are about to run, what they run, and what they ran before: one that is late
        /// still does.
        var offered = Table()
        var running = Table()
        var previous = Table()

        subscript(check: UInt64) -> Entry? {
            offered.entries[check] ?? running.entries[check] ?? wanted[check]
                ?? previous.entries[check]
        }
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
        tables.withLock { $0.wanted = new }
    }

    /// Workers are about to run this plan: what it asks for is answered, besides what they run.
    func offer(_ node: CompiledNode) {
        let new = table(node, like: tables.withLock { $0.running })
        tables.withLock { $0.offered = new }
    }

    private func table(_ node: CompiledNode, like known: Table) -> Table {
        // Most nodes know no providers, but may have very many intentions.
        guard !node.tokenProviders.isEmpty else { return Table() }
        guard known.providers != node.tokenProviders || known.intentions != node.intentions else {
            return known
        }
        let entries = Self.entries(
            TokenKeeper.wanted(node.intentions), node.tokenProviders,
            // What is no key set has never been one of these.
            node.tokenProviders.compactMapValues { try? KeySet($0.keySet) })
        return Table(
            entries: entries, providers: node.tokenProviders, intentions: node.intentions)
    }

    /// They run what was offered last.
    func offerIsTaken() {
        tables.withLock { tables in
            guard Set(tables.running.entries.keys) != Set(tables.offered.entries.keys) else {
                tables.running = tables.offered
                return
            }
            tables.previous = tables.running
            tables.running = tables.offered
        }
    }

    /// Whether something is known of what workers ask by all these keys.
    func knows(_ checks: [UInt64]) -> Bool {
        tables.withLock { tables in checks.allSatisfy { tables[$0] != nil } }
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
        let entry = tables.withLock { $0[check] }
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
