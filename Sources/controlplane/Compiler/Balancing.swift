import MeshDiscovery
import MeshModel
import MeshTables

/// How a resolver wants one instance to be chosen.
struct Balancing {
    let balance: TargetPlan.Balance
    /// nil: what ``balance`` says is all.
    private(set) var plan: BalancingPlan?

    init(_ resolver: DiscoveryChain.Resolver) {
        self.init(resolver.loadBalancer, resolver.prioritizeByLocality)
    }

    init(_ balancer: LoadBalancer?, _ priority: LocalityPriority?) {
        balance =
            switch balancer?.policy {
            case .random: .random
            case .leastRequest: .leastRequest
            case .ringHash: .ringHash
            case .maglev: .maglev
            case .latency: .latency
            case .standard, .roundRobin, nil: .roundRobin
            }
        var plan = BalancingPlan()
        if let balancer { Self.read(balancer, &plan) }
        if let locality = priority, locality.mode == .failover {
            plan.healthyShare = UInt8(
                clamping: locality.healthyShare ?? LocalityPriority.usualShare)
        }
        // What is asked for a target costs every choice a little.
        if plan != BalancingPlan() || Self.needsPlan(balance) { self.plan = plan }
    }

    private static func needsPlan(_ balance: TargetPlan.Balance) -> Bool {
        switch balance {
        case .ringHash, .maglev, .latency: true
        case .roundRobin, .leastRequest, .random: false
        }
    }

    private static func read(_ balancer: LoadBalancer, _ plan: inout BalancingPlan) {
        plan.minimumRing = balancer.minimumRingSize
        plan.maximumRing = balancer.maximumRingSize
        plan.tableSize = balancer.tableSize ?? plan.tableSize
        plan.choices = balancer.choiceCount.map { UInt8(clamping: $0) } ?? plan.choices
        plan.decay = balancer.decay.map(milliseconds) ?? plan.decay
        plan.slowStart = balancer.slowStart.map(milliseconds) ?? 0
        plan.hashes = balancer.hashPolicies.compactMap(hash)
    }

    private static func milliseconds(_ duration: MeshDuration) -> UInt32 {
        UInt32(clamping: duration.millisecondsRoundedUp)
    }

    private static func hash(_ policy: LoadBalancer.HashPolicy) -> BalancingPlan.Hash? {
        let name = policy.fieldValue
        let part: BalancingPlan.Hash.Part
        switch policy.field {
        case .header: part = .header(name.lowercased())
        case .cookie: part = .cookie(name, attributes: policy.cookie.map(attributes) ?? "")
        case .queryParameter: part = .query(name)
        case nil:
            guard policy.sourceIP else { return nil }
            part = .address
        }
        return BalancingPlan.Hash(part, terminal: policy.terminal)
    }

    /// What stands behind the value of a cookie that is made; empty: none is.
    private static func attributes(_ cookie: LoadBalancer.Cookie) -> String {
        guard cookie.isMade else { return "" }
        var text = "; Path=\(cookie.path.isEmpty ? "/" : cookie.path)"
        if !cookie.session {
            text += "; Max-Age=\((cookie.ttl.nanoseconds + 999_999_999) / 1_000_000_000)"
        }
        text += "; HttpOnly"
        switch cookie.sameSite ?? .lax {
        case .strict: text += "; SameSite=Strict"
        case .lax: text += "; SameSite=Lax"
        case .none: text += "; SameSite=None; Secure"
        }
        return text
    }
}
