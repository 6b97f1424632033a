import CMeshABI
import MeshModel
import MeshRegex

/// The part of a snapshot that intentions are compiled to. Policies are written before everything
/// else that shares their sections, so that the part is taken over as it is while the intentions
/// stay the same.
///
/// Invariant: the intentions of a policy stand together, exact ones first, then its own for any
/// other caller; those of later policies stand behind them. The wildcard intention for any caller,
/// which policies share, stands before all.
struct PolicyPart: Sendable {
    /// That the part was made of.
    var source: [Intention]
    var table: PolicyTable
    var defaultAction: UInt8
    /// The services it was written for, those of targets by the keys of these.
    var needed: Needed
    /// Records by destination; `*` is shared by all services without intentions of their own.
    var indexes: [String: UInt32] = [:]

    var shared = SharedIntentions()
    var policies: [abi_policy] = []
    var intentions: [abi_intention] = []
    var permissions: [abi_permission] = []
    var providers: [String: TokenProviderPlan]
    var tokens: [abi_token] = []
    var tokenChecks: [abi_token_check] = []
    var tokenPlaces: [abi_token_place] = []
    var matches: [abi_match] = []
    var dfas: [abi_dfa] = []
    var blob: [UInt8] = []
    var automata: [CompiledRegex: UInt32] = [:]
    var expressions: Set<RegexCache.Key> = []

    struct Needed: Equatable, Sendable {
        var byTargets: [String]
        var byListeners: [String]
    }

    /// The record that decides about calls to a service.
    func index(of folded: String) -> UInt32 { indexes[folded] ?? indexes["*"] ?? UInt32.max }

    /// Puts another policy in the place of one. `record` refers to `new` as if these stood alone,
    /// or to what policies share.
    mutating func replace(_ index: Int, _ record: abi_policy, _ new: [abi_intention]) {
        let old = policies[index]
        let start = Int(old.intentions.count > 0 ? old.intentions.at : old.fallback)
        let ownFallback = old.fallback != UInt32.max && old.fallback >= start
        let end = start + Int(old.intentions.count) + (ownFallback ? 1 : 0)
        intentions.replaceSubrange(start..<end, with: new)
        let moved = new.count - (end - start)
        if moved != 0 { move(from: end, by: moved) }
        policies[index] = record
        if record.intentions.count > 0 { policies[index].intentions.at = UInt32(start) }
        if new.count > Int(record.intentions.count) {
            policies[index].fallback = UInt32(start) + record.intentions.count
        }
    }

    private mutating func move(from end: Int, by moved: Int) {
        for index in policies.indices {
            let policy = policies[index]
            if policy.intentions.count > 0, policy.intentions.at >= end {
                policies[index].intentions.at = UInt32(Int(policy.intentions.at) + moved)
            }
            if policy.fallback != UInt32.max, policy.fallback >= end {
                policies[index].fallback = UInt32(Int(policy.fallback) + moved)
            }
        }
    }
}
