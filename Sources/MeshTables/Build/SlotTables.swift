import CMeshABI

/// The slots of one data plane: endpoints in its overlay, listeners, targets and routes in its
/// statistics. Routes may outnumber their slots: those that come too late are not counted.
package struct SlotTables: Sendable {
    package var overlay = SlotAllocator(capacity: LIMIT_ENDPOINTS)
    package var listeners = SlotAllocator(capacity: LIMIT_LISTENERS)
    package var targets = SlotAllocator(capacity: LIMIT_TARGETS)
    package var routes = SlotAllocator(capacity: LIMIT_ROUTE_SLOTS)

    package init() {}

    /// What was freed, for its owner to clear before the next generation is built.
    package struct Released: Hashable, Sendable {
        package var overlay: [UInt32]
        package var listeners: [UInt32]
        package var targets: [UInt32]
        package var routes: [UInt32]
    }

    /// Frees what only generations before `oldest`, the oldest that any worker still holds, used.
    package mutating func release(before oldest: UInt64) -> Released {
        Released(
            overlay: overlay.release(before: oldest),
            listeners: listeners.release(before: oldest),
            targets: targets.release(before: oldest),
            routes: routes.release(before: oldest))
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
        for route in reader.countedRoutes where route.slot != nil {
            _ = routes.adopt(
                key: Self.key(ofRoute: route.rule, route.origin, of: route.listener),
                slot: UInt32(route.slot ?? 0), generation: generation)
        }
        overlay.finishAdopting()
        listeners.finishAdopting()
        targets.finishAdopting()
        routes.finishAdopting()
    }

    /// What tells a route from others over generations: what people call it, and where it stands.
    static func key(ofRoute rule: String, _ origin: String, of listener: String) -> UInt64 {
        var hash = StableHash()
        hash.combine(listener)
        hash.combine(rule)
        hash.combine(origin)
        return hash.finish()
    }
}
