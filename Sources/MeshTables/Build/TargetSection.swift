import CMeshABI
import MeshModel

/// The targets of a build as they stand in their sections, for the next build to take over.
///
/// Invariants: `keys` rises; record `n` is that of `plans[order[n]]`, and `numbers[order[n]]` is
/// `n`; the endpoints of records stand in the order of records, without gaps.
struct TargetSection: Sendable {
    /// As the plan has them.
    private(set) var plans: [TargetPlan] = []
    /// What endpoints rely on besides the plans of their targets.
    private(set) var shapes: [TLSShape] = []
    /// The places of plans by their keys.
    let order: [Int]
    private let numbers: [Int]
    let keys: [UInt64]
    private(set) var records: [abi_target] = []
    private(set) var endpoints: [abi_endpoint] = []
    private(set) var failover: [UInt32] = []

    /// Without records: these follow in the order of keys.
    init(_ plans: [TargetPlan] = [], _ shapes: [TLSShape] = []) {
        var sorted = plans.indices.map { (key: StableHash.of(plans[$0].id), place: $0) }
        sorted.sort { $0.key < $1.key }
        self.plans = plans
        self.shapes = shapes
        keys = sorted.map(\.key)
        order = sorted.map(\.place)
        var numbers = [Int](repeating: 0, count: plans.count)
        for (number, place) in order.enumerated() { numbers[place] = number }
        self.numbers = numbers
        records.reserveCapacity(plans.count)
    }

    /// The record of the target with this key.
    func number(ofKey key: UInt64) -> Int? {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low < keys.count && keys[low] == key ? low : nil
    }

    /// The endpoints of a record.
    func endpoints(of number: Int) -> ArraySlice<abi_endpoint> {
        let place = records[number].endpoints
        return endpoints[Int(place.at)..<Int(place.at + place.count)]
    }

    /// The places of the plans that are others than here. nil: the same targets with the same
    /// relations to others must stand there, or too many have changed.
    func changes(to targets: [TargetPlan], _ shapes: [TLSShape]) -> [Int]? {
        guard targets.count == plans.count, shapes == self.shapes else { return nil }
        if targets == plans { return [] }
        var changed: [Int] = []
        for place in targets.indices where targets[place] != plans[place] {
            guard plans[place].hasSameRelations(as: targets[place]),
                changed.count <= plans.count / 8
            else { return nil }
            changed.append(place)
        }
        return changed
    }

    mutating func reserve(endpoints count: Int) { endpoints.reserveCapacity(count) }

    /// Adds the next record, whose references to other targets are complete.
    mutating func append(
        _ record: abi_target, endpoints new: some Collection<abi_endpoint>, failover ids: [UInt32]
    ) {
        var record = record
        record.endpoints = Self.place(new.count, at: endpoints.count)
        record.failover = Self.place(ids.count, at: failover.count)
        endpoints.append(contentsOf: new)
        failover.append(contentsOf: ids)
        records.append(record)
    }

    /// Adds the next records, which were written aside.
    mutating func append(_ draft: TargetDraft) {
        var (endpoint, other) = (endpoints.count, failover.count)
        for var record in draft.records {
            let counts = (Int(record.endpoints.count), Int(record.failover.count))
            record.endpoints = Self.place(counts.0, at: endpoint)
            record.failover = Self.place(counts.1, at: other)
            (endpoint, other) = (endpoint + counts.0, other + counts.1)
            records.append(record)
        }
        endpoints.append(contentsOf: draft.endpoints)
        failover.append(contentsOf: draft.failover)
    }

    /// Puts another plan, with its record and endpoints, in the place of one that has the same
    /// relations.
    mutating func replace(
        _ place: Int, _ plan: TargetPlan, _ record: abi_target, endpoints new: [abi_endpoint]
    ) {
        let number = numbers[place]
        let old = records[number]
        let start = Int(old.endpoints.count > 0 ? old.endpoints.at : self.start(after: number))
        endpoints.replaceSubrange(start..<start + Int(old.endpoints.count), with: new)
        plans[place] = plan
        records[number] = record
        records[number].endpoints = Self.place(new.count, at: start)
        records[number].failover = old.failover
        records[number].policy = old.policy
        let moved = new.count - Int(old.endpoints.count)
        if moved == 0 { return }
        for later in records.indices[(number + 1)...] where records[later].endpoints.count > 0 {
            records[later].endpoints.at = UInt32(Int(records[later].endpoints.at) + moved)
        }
    }

    /// Where the endpoints of the records behind this one begin.
    private func start(after number: Int) -> UInt32 {
        records[(number + 1)...].first { $0.endpoints.count > 0 }?.endpoints.at
            ?? UInt32(endpoints.count)
    }

    /// Sets the policy of every record, by the folded name of the service that is asked about.
    mutating func setPolicies(_ policy: (String) -> UInt32) {
        for (number, place) in order.enumerated() {
            records[number].policy =
                plans[place].checksIntentions ? policy(plans[place].service.folded) : UInt32.max
        }
    }

    /// An empty range has no place.
    private static func place(_ count: Int, at: Int) -> abi_ref {
        count == 0 ? abi_ref() : abi_ref(at: UInt32(at), count: UInt32(count))
    }
}

extension TargetPlan {
    /// Whether whatever refers to the target, and whatever it refers to, is the same.
    fileprivate func hasSameRelations(as other: TargetPlan) -> Bool {
        id == other.id && service == other.service && failover == other.failover
            && checksIntentions == other.checksIntentions
    }
}

/// What the records of endpoints and listeners say about TLS settings besides their index.
struct TLSShape: Hashable, Sendable {
    let server: Bool
    let mesh: Bool
}
