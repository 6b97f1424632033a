import CMeshABI
import MeshLanes
import MeshModel

/// Targets that stand side by side in their section, written aside while others are written. Texts
/// stand where the draft alone has them; guards and new slots are given when it is moved.
struct TargetDraft: Sendable {
    /// Fewer targets than this are written with everything else.
    static let fewest = 512

    /// A target with guards.
    struct Guarded: Sendable {
        var record: Int
        var place: Int
    }

    /// Their endpoints and failovers stand without gaps, in the order of records.
    var records: [abi_target] = []
    var endpoints: [abi_endpoint] = []
    private(set) var failover: [UInt32] = []
    private(set) var guarded: [Guarded] = []
    private(set) var text = TextTable()
    /// Endpoints without a slot.
    private(set) var newEndpoints = 0

    /// What targets are written from.
    struct Source: Sendable {
        let node: CompiledNode
        let section: TargetSection
        let stamp: SnapshotBuilder.Stamp
        /// Those that are given already.
        let slots: SlotTables
    }

    /// The targets of a piece of the section; nil where there is something to say about one.
    init?(_ range: Range<Int>, of source: Source) {
        let (node, section) = (source.node, source.section)
        let count = range.reduce(0) { $0 + node.targets[section.order[$1]].endpoints.count }
        var memory = SnapshotBuilder.Memory()
        memory.text = TextTable(expecting: range.count * 6 + count)
        var writer = SnapshotWriter(
            node: node, stamp: source.stamp, slots: SlotTables(), memory: memory)
        writer.targetKeys = section.keys
        records.reserveCapacity(range.count)
        endpoints.reserveCapacity(count)
        for number in range {
            let place = section.order[number]
            let plan = node.targets[place]
            var record = writer.record(of: plan, key: section.keys[number])
            let first = endpoints.count
            writer.write(plan, to: &endpoints, maxWeight: &record.max_weight)
            record.endpoints.count = UInt32(endpoints.count - first)
            let failovers = writer.failover(of: plan)
            record.failover.count = UInt32(failovers.count)
            failover += failovers
            record.stats_slot = source.slots.targets.current(record.key) ?? ABI_NONE
            for at in first..<endpoints.count {
                if let slot = source.slots.overlay.current(endpoints[at].key) {
                    endpoints[at].overlay_slot = slot
                } else {
                    newEndpoints += 1
                }
            }
            if plan.guarded != nil { guarded.append(Guarded(record: records.count, place: place)) }
            records.append(record)
        }
        guard writer.problems.isEmpty else { return nil }
        text = writer.memory.text
    }

    /// The texts have become a part of another table.
    mutating func moveTexts(by base: UInt32) {
        for at in records.indices { records[at].moveTexts(by: base) }
        for at in endpoints.indices { endpoints[at].moveTexts(by: base) }
    }
}

extension abi_target {
    fileprivate mutating func moveTexts(by base: UInt32) {
        name.move(by: base)
        service.move(by: base)
        sni.move(by: base)
        expected_id.move(by: base)
        congestion.move(by: base)
    }
}

extension abi_endpoint {
    fileprivate mutating func moveTexts(by base: UInt32) {
        address.path.move(by: base)
        instance.move(by: base)
        node.move(by: base)
    }
}
