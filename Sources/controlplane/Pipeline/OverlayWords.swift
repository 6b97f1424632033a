import MeshHealth
import MeshModel
import MeshTables
import MeshWorkers

/// What workers are to be told about the health of endpoints. Pure: made of what is known, told by
/// the pipeline.
struct OverlayWords: Sendable {
    var entries: [OverlayWriter.Entry] = []
    /// Endpoints whose checks have results now, of those that an adopted data plane knew.
    private(set) var proven: [UInt64] = []

    init() {}

    /// Of instances whose checks say this; the others have none.
    init(
        _ instances: ArraySlice<InstanceEndpoints>, _ standings: [ServiceID: HealthStanding],
        _ slots: SlotAllocator, _ adopted: Set<UInt64>, isNew: (UInt64, ServiceID) -> Bool
    ) {
        entries.reserveCapacity(instances.count)
        for instance in instances {
            add(instance, standings[instance.id] ?? .unchecked, slots, adopted) {
                isNew($0, instance.id)
            }
        }
    }

    /// Adds what is to be thought of each endpoint of an instance that has a slot.
    ///
    /// `adopted` are endpoints that a data plane was told about before: what it was told holds
    /// until a check knows better. `isNew` says of an endpoint whether it comes to others.
    mutating func add(
        _ instance: InstanceEndpoints, _ standing: HealthStanding, _ slots: SlotAllocator,
        _ adopted: Set<UInt64>, isNew: (UInt64) -> Bool
    ) {
        for key in instance.keys {
            guard let slot = slots.current(key) else { continue }
            if !adopted.isEmpty, adopted.contains(key) {
                if !standing.isProven { continue }
                proven.append(key)
            }
            let condition = HealthOverlay.condition(
                standing.status, weights: instance.weights,
                takesWarnings: !instance.onlyPassing.contains(key))
            entries.append(
                OverlayWriter.Entry(slot: slot, condition: condition, isNew: isNew(key)))
        }
    }
}
