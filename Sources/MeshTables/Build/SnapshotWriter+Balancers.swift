import CMeshABI
import MeshModel

/// What is kept of a target's balancer from one build to the next: its tables take long to make.
struct BalancerPart: Sendable {
    struct Tier: Hashable, Sendable {
        var members: [HashTables.Member] = []
    }

    /// What the tables are made of.
    struct Source: Hashable, Sendable {
        var balance: TargetPlan.Balance
        var minimumRing: Int?
        var maximumRing: Int?
        var tableSize: Int
        var tiers: [Tier]
    }

    let source: Source
    /// By tier; empty where nothing is hashed.
    let tables: [[UInt32]]
}

extension SnapshotWriter {
    /// The balancers of targets, in the order of their records.
    mutating func writeBalancers() {
        var parts: [UInt64: BalancerPart] = [:]
        for (number, place) in memory.targets.order.enumerated()
        where node.targets[place].balancing != nil && number < out.targets.count {
            guard let plan = node.targets[place].balancing,
                check(plan, node.targets[place].id, node.targets[place])
            else { continue }
            let key = out.targets[number].key
            let source = source(of: node.targets[place], plan)
            let known = memory.balancers[key]
            let part = known?.source == source ? known : nil
            let made = part ?? BalancerPart(source: source, tables: Self.tables(of: source))
            parts[key] = made
            out.targets[number].balancer = UInt32(out.balancers.count)
            write(made, plan, of: node.targets[place])
        }
        memory.balancers = parts
        if out.tableSlots.count > LIMIT_HASH_SLOTS {
            refuse(
                "the tables of ring_hash and maglev have \(out.tableSlots.count) slots on one "
                    + "node; \(LIMIT_HASH_SLOTS) are the limit: make them smaller")
        }
    }

    private func source(of target: TargetPlan, _ plan: BalancingPlan) -> BalancerPart.Source {
        var tiers = [BalancerPart.Tier()]
        if plan.healthyShare != nil {
            let none = BalancerPart.Tier()
            tiers = Array(repeating: none, count: Locality.Distance.allCases.count)
        }
        for endpoint in target.endpoints {
            let tier = plan.healthyShare == nil ? 0 : endpoint.distance.rawValue
            tiers[tier].members.append(
                HashTables.Member(key: endpoint.key, weight: endpoint.weight))
        }
        return BalancerPart.Source(
            balance: target.balance, minimumRing: plan.minimumRing,
            maximumRing: plan.maximumRing, tableSize: plan.tableSize, tiers: tiers)
    }

    private static func tables(of source: BalancerPart.Source) -> [[UInt32]] {
        source.tiers.map { tier in
            switch source.balance {
            case .ringHash:
                HashTables.ring(
                    tier.members, minimum: source.minimumRing, maximum: source.maximumRing)
            case .maglev where !LoadBalancer.isPrime(source.tableSize): []
            case .maglev: HashTables.maglev(tier.members, size: source.tableSize)
            case .roundRobin, .leastRequest, .random, .latency: []
            }
        }
    }

    private mutating func write(
        _ part: BalancerPart, _ plan: BalancingPlan, of target: TargetPlan
    ) {
        let id = target.id
        var record = abi_balancer()
        record.tiers = abi_ref(
            at: UInt32(out.tiers.count), count: UInt32(part.source.tiers.count))
        var next: UInt32 = 0
        for (tier, table) in zip(part.source.tiers, part.tables) {
            var written = abi_tier()
            written.endpoints = abi_ref(at: next, count: UInt32(tier.members.count))
            written.max_weight = UInt32(tier.members.map(\.weight).max() ?? 0)
            written.kind = UInt8(Self.kind(of: target.balance).rawValue)
            if !table.isEmpty {
                written.table = abi_ref(
                    at: UInt32(out.tableSlots.count), count: UInt32(table.count))
                out.tableSlots.append(contentsOf: table)
            }
            out.tiers.append(written)
            next += UInt32(tier.members.count)
        }
        if !plan.hashes.isEmpty {
            record.hashes = abi_ref(
                at: UInt32(out.hashes.count), count: UInt32(plan.hashes.count))
            for hash in plan.hashes { out.hashes.append(self.record(of: hash, id)) }
        }
        record.slow_start_ms = plan.slowStart
        record.decay_ms = target.balance == .latency ? plan.decay : 0
        record.choices =
            target.balance == .latency || target.balance == .leastRequest ? plan.choices : 0
        record.spill = plan.healthyShare ?? 100
        out.balancers.append(record)
    }

    private static func kind(of balance: TargetPlan.Balance) -> abi_table {
        switch balance {
        case .ringHash: ABI_TABLE_RING
        case .maglev: ABI_TABLE_MAGLEV
        case .roundRobin, .leastRequest, .random, .latency: ABI_TABLE_NONE
        }
    }

    /// False, and refused: no table is made of it.
    private mutating func check(
        _ plan: BalancingPlan, _ id: String, _ target: TargetPlan
    ) -> Bool {
        let before = problems.count
        let distances = target.endpoints.map(\.distance)
        if plan.healthyShare != nil, zip(distances, distances.dropFirst()).contains(where: >) {
            refuse("target \(id): its endpoints are not in the order of their distance")
        }
        if plan.hashes.count > Int(LIMIT_TARGET_HASHES) {
            refuse(
                "target \(id) hashes \(plan.hashes.count) parts of a request; "
                    + "\(LIMIT_TARGET_HASHES) are the limit")
        }
        if !(2...Int(LIMIT_CHOICES)).contains(Int(plan.choices))
            || plan.slowStart > LIMIT_SLOW_START_MS || !(1...LIMIT_DECAY_MS).contains(plan.decay)
            || !(1...100).contains(plan.healthyShare ?? 100)
            || !(2...Int(LIMIT_MAGLEV_SLOTS)).contains(plan.tableSize)
            || !LoadBalancer.isPrime(plan.tableSize)
        {
            refuse("target \(id): the numbers of its load balancing are out of bounds")
        }
        return problems.count == before
    }

    private mutating func record(of hash: BalancingPlan.Hash, _ id: String) -> abi_hash {
        var record = abi_hash()
        record.terminal = hash.terminal ? 1 : 0
        switch hash.part {
        case .header(let name):
            record.of = UInt8(ABI_HASH_HEADER.rawValue)
            record.name = token(name.lowercased(), "a header that target \(id) hashes")
        case .cookie(let name, let attributes):
            record.of = UInt8(ABI_HASH_COOKIE.rawValue)
            record.name = token(name, "a cookie that target \(id) hashes")
            record.attributes = line(attributes, "a cookie of target \(id)")
            if name.utf8.count > LIMIT_COOKIE_NAME || attributes.utf8.count > LIMIT_COOKIE_REST {
                refuse("target \(id): a cookie is longer than it may be")
            }
        case .query(let name):
            record.of = UInt8(ABI_HASH_QUERY.rawValue)
            record.name = place(name, "a parameter that target \(id) hashes")
            if name.isEmpty || name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) {
                refuse("target \(id) hashes \"\(name)\", which is no name of a parameter")
            }
        case .address: record.of = UInt8(ABI_HASH_ADDRESS.rawValue)
        }
        return record
    }

    private mutating func token(_ name: String, _ what: @autoclosure () -> String) -> abi_text {
        if !HTTPToken.isToken(name) { refuse("\(what()): \"\(name)\" is not a name") }
        return place(name, what())
    }
}
