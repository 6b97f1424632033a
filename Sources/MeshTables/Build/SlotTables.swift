import CMeshABI

/// The slots of one data plane: endpoints in its overlay, listeners and targets in its statistics.
package struct SlotTables: Sendable {
    package var overlay = SlotAllocator(capacity: LIMIT_ENDPOINTS)
    package var listeners = SlotAllocator(capacity: LIMIT_LISTENERS)
    package var targets = SlotAllocator(capacity: LIMIT_TARGETS)

    package init() {}

    /// What was freed, for its owner to clear before the next generation is built.
    package struct Released: Hashable, Sendable {
        package var overlay: [UInt32]
        package var listeners: [UInt32]
        package var targets: [UInt32]
    }

    /// Frees what only generations before `oldest`, the oldest that any worker still holds, used.
    package mutating func release(before oldest: UInt64) -> Released {
        Released(
            overlay: overlay.release(before: oldest),
            listeners: listeners.release(before: oldest),
            targets: targets.release(before: oldest))
    }

    /// The slots as a running snapshot has them, after a restart of the control plane.
    package init(recovering reader: SnapshotReader) {
        let generation = reader.generation
        for endpoint in reader.endpoints {
            _ = overlay.adopt(
                key: endpoint.key, slot: endpoint.overlay_slot, generation: generation)
        }
        for listener in reader.listeners {
            _ = listeners.adopt(
                key: listener.key, slot: UInt32(listener.stats_slot), generation: generation)
        }
        for target in reader.targets {
            _ = targets.adopt(key: target.key, slot: target.stats_slot, generation: generation)
        }
        overlay.finishAdopting()
        listeners.finishAdopting()
        targets.finishAdopting()
    }
}
