import Foundation
import MeshAuthz
import MeshClient
import MeshHealth
import MeshModel
import MeshStore
import MeshTables
import MeshTelemetry
import MeshTokens
import Synchronization

/// The providers of tokens and their key sets: reads the entries and files, fetches what is
/// elsewhere, keeps the last good set when a file is faulty or an issuer is away.
actor TokenKeeper {
    nonisolated let desk: TokenDesk

    /// A key set that is elsewhere.
    private struct Fetched {
        var remote: TokenProvider.Remote
        var keys: KeySet?
        var due: ContinuousClock.Instant
        /// The next pause after a failure.
        var pause: MeshDuration
        var isUnderWay = false
        var asked: ContinuousClock.Instant?
    }

    /// An unknown key, which anybody may name, makes nobody ask an issuer more often than this.
    private static let shortest: Duration = .seconds(5)
    private static let bodyLimit = 1 << 20

    private let store: any StateStore
    private let board: ProblemBoard
    private let log: Logger
    private nonisolated let wake: WakeSignal
    private nonisolated let lacking: LackingKeys
    private var fetched: [String: Fetched] = [:]
    /// What was fetched before a restart and is not asked for yet.
    private var kept: [String: FetchedKeys]
    /// Whether the store has other keys than `fetched`.
    private var isUnsaved = false
    private var plans: [String: TokenProviderPlan] = [:]
    private var local = LocalKeySets()

    /// Names of providers whose sets lack a key, noted by whoever judges.
    private final class LackingKeys: Sendable {
        private let names = Mutex<Set<String>>([])
        func note(_ name: String) { names.withLock { _ = $0.insert(name) } }
        func take() -> Set<String> {
            names.withLock { names in
                defer { names = [] }
                return names
            }
        }
    }

    init(
        store: any StateStore, board: ProblemBoard, registry: MetricsRegistry, log: Logger
    ) throws {
        self.store = store
        kept = try NodeRecord.fetchedKeys.load(store.snapshot) ?? [:]
        self.board = board
        self.log = log
        let lacking = LackingKeys()
        let wake = WakeSignal()
        self.wake = wake
        self.lacking = lacking
        desk = TokenDesk(registry) { name in
            lacking.note(name)
            wake.wake()
        }
    }

    // MARK: - what is wanted

    /// The providers of these entries with the keys that are known; what intentions ask for can be
    /// asked from now on.
    func take(
        _ entries: [ConfigEntryRecord], _ intentions: [Intention]
    ) -> [String: TokenProviderPlan] {
        let wanted = Self.wanted(intentions)
        var plans: [String: TokenProviderPlan] = [:]
        var keys: [String: KeySet] = [:]
        var problems: [String] = []
        for record in entries {
            guard let provider = read(record, &problems) else { continue }
            let set = keySet(of: provider, &problems)
            keys[provider.name] = set
            plans[provider.name] = TokenProviderPlan(
                provider: provider, keySet: set?.source ?? [])
        }
        for name in Set(wanted.map(\.name)).subtracting(plans.keys).sorted() {
            problems.append(
                "intentions ask for tokens of \(name), which no jwt-provider entry describes")
        }
        for name in fetched.keys where plans[name] == nil {
            fetched[name] = nil
            isUnsaved = true
            wake.wake()
            board.clear(.config, Self.subject(name))
        }
        local.keep(only: Set(plans.keys))
        board.replace(.config, kind: "jwt-provider", problems)
        desk.take(wanted, plans, keys)
        self.plans = plans
        return plans
    }

    /// Whether a request with these fields has the tokens that are asked for, as they are now.
    func judge(
        _ headers: [RequestFacts.Field], query: String
    ) -> IntentionMatcher.TokenTest {
        let (plans, desk) = (plans, desk)
        return { requirement in
            requirement.providers.contains { wanted in
                guard let provider = plans[wanted.name]?.provider,
                    let token = provider.token(headers, query: query)
                else { return false }
                let key = plans.key(of: wanted)
                return desk.verdict(check: key, token: Array(token.utf8))?.isGood ?? false
            }
        }
    }

    static func wanted(_ intentions: [Intention]) -> Set<TokenRequirement.Provider> {
        var wanted: Set<TokenRequirement.Provider> = []
        for intention in intentions {
            // Most of them ask for none, and there may be very many.
            if intention.token == nil, case .action = intention.effect { continue }
            for asked in intention.asked ?? [] {
                for token in asked.tokens { wanted.formUnion(token.providers) }
            }
        }
        return wanted
    }

    private func read(_ record: ConfigEntryRecord, _ problems: inout [String]) -> TokenProvider? {
        do {
            return try TokenProvider.read(record.entry)
        } catch {
            problems.append("\(error)")
            return nil
        }
    }

    private func keySet(of provider: TokenProvider, _ problems: inout [String]) -> KeySet? {
        if let taken = local.take(provider) {
            if let problem = taken.problem {
                problems.append(problem)
                if taken.isNew { log.warning("\(problem)") }
            } else if taken.isNew, let set = taken.set {
                tell(set, of: provider.name, "read")
            }
            return taken.set
        }
        guard case .remote(let remote) = provider.keys else { return nil }
        if let known = fetched[provider.name], known.remote == remote { return known.keys }
        let keys = lastGood(provider.name, from: remote.url)
        fetched[provider.name] = Fetched(
            remote: remote, keys: keys, due: .now, pause: remote.firstPause)
        wake.wake()
        return keys
    }

    /// The keys that the issuer at this place gave last: before another timeout or pause was
    /// written, or before a restart.
    private func lastGood(_ name: String, from url: String) -> KeySet? {
        if let known = fetched[name], known.remote.url == url { return known.keys }
        guard let before = kept.removeValue(forKey: name), before.url == url else { return nil }
        return try? KeySet(Array(before.keys))
    }

    /// An issuer that is away when this process starts changes nothing either.
    private func save() async {
        guard isUnsaved else { return }
        isUnsaved = false
        let sets = fetched.compactMapValues { one in
            one.keys.map { FetchedKeys(url: one.remote.url, keys: Data($0.source)) }
        }
        do {
            try await store.write { draft in try NodeRecord.fetchedKeys.save(sets, &draft) }
            board.clear(.store, "keys of issuers")
        } catch {
            // With the next ones.
            isUnsaved = true
            board.set(.store, "keys of issuers", "keys of issuers are not stored: \(error)")
        }
    }

    /// Whether a file with keys holds something else than before: the next gathering takes it.
    func haveFilesChanged() -> Bool {
        local.haveChanged(plans.values.map(\.provider))
    }

    /// Says that a provider has another set now, and what of it cannot be used.
    private func tell(_ set: KeySet, of name: String, _ how: String) {
        log.info(
            "keys of a provider were \(how)",
            metadata: ["provider": "\(name)", "keys": "\(set.count)"])
        for problem in set.problems {
            log.warning(
                "a key cannot be used",
                metadata: ["provider": "\(name)", LogKey.error: "\(problem)"])
        }
    }

    // MARK: - fetching

    /// Fetches what is due until the task is cancelled; `changed` is told of other keys. An issuer
    /// that is slow keeps no other waiting.
    func run(_ http: OutboundHTTP, _ changed: @escaping @Sendable () async -> Void) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for (name, remote) in takeDue(.now) {
                    group.addTask { await self.fetch(name, remote, http, changed) }
                }
                await save()
                await wake.wait(
                    until: fetched.values.filter { !$0.isUnderWay }.map(\.due).min())
            }
        }
    }

    /// What is to be fetched now: it is under way from here on.
    private func takeDue(
        _ now: ContinuousClock.Instant
    ) -> [(name: String, remote: TokenProvider.Remote)] {
        for name in lacking.take() {
            // One that never came or cannot be had now has its own pauses.
            guard let one = fetched[name], one.keys != nil, one.pause == one.remote.firstPause,
                let asked = one.asked, asked + Self.shortest < now
            else { continue }
            fetched[name]?.due = now
        }
        let due = fetched.filter { $0.value.due <= now && !$0.value.isUnderWay }
        for name in due.keys {
            fetched[name]?.isUnderWay = true
            fetched[name]?.asked = now
        }
        return due.map { ($0.key, $0.value.remote) }
    }

    /// What the board knows troubles with fetching by.
    private static func subject(_ name: String) -> String { "keys of jwt-provider \(name)" }

    private func fetch(
        _ name: String, _ remote: TokenProvider.Remote, _ http: OutboundHTTP,
        _ changed: @Sendable () async -> Void
    ) async {
        let result: Result<KeySet, any Error>
        do {
            let answer = try await http.send(
                OutboundRequest(
                    url: remote.url, headers: [("Accept", "application/json")],
                    timeout: remote.timeout.duration, bodyLimit: Self.bodyLimit))
            guard answer.status == 200 else {
                throw MeshError(.unavailable, "\(remote.url) answered \(answer.status)")
            }
            result = .success(try KeySet(answer.body))
        } catch {
            result = .failure(error)
        }
        // The entry may have changed meanwhile: then this answer is about nothing.
        guard var one = fetched[name], one.remote == remote else { return }
        one.isUnderWay = false
        defer { wake.wake() }
        let subject = Self.subject(name)
        switch result {
        case .success(let set):
            let isNew = one.keys?.source != set.source
            one.keys = set
            one.due = .now + remote.cache.duration
            one.pause = remote.firstPause
            fetched[name] = one
            board.clear(.config, subject)
            if isNew {
                tell(set, of: name, "fetched")
                isUnsaved = true
                await changed()
            }
        case .failure(let error):
            one.due = .now + one.pause.duration
            one.pause = min(
                MeshDuration(nanoseconds: one.pause.nanoseconds * 2), remote.longestPause)
            fetched[name] = one
            let goesOn = one.keys == nil ? "no token is good" : "the keys of before go on"
            log.warning(
                "keys of a provider cannot be fetched",
                metadata: ["provider": "\(name)", LogKey.error: "\(error)"])
            board.set(.config, subject, "jwt-provider \(name): \(error); \(goesOn)")
        }
    }
}

/// A key set as an issuer elsewhere gave it.
struct FetchedKeys: Codable, Sendable, Equatable {
    var url: String
    var keys: Data
}

extension NodeRecord<[String: FetchedKeys]> {
    static var fetchedKeys: NodeRecord { NodeRecord(name: "node/fetched-keys") }
}
