import CMeshABI

/// Where workers count, by name; and by what key they know endpoints.
extension SnapshotReader {
    /// One listener or target with its slot in the statistics.
    package struct NamedSlot: Sendable {
        package var name: String
        /// The service's name in lower case; empty for listeners.
        package var service: String
        package var slot: Int
    }

    package var listenerSlots: [NamedSlot] {
        listeners.map {
            NamedSlot(name: text($0.name), service: "", slot: Int($0.stats_slot))
        }.sorted { $0.name < $1.name }
    }

    package var targetSlots: [NamedSlot] {
        targets.map {
            NamedSlot(
                name: text($0.name), service: text($0.service), slot: Int($0.stats_slot))
        }.sorted { $0.name < $1.name }
    }

    /// The ``EndpointPlan/key`` of every endpoint.
    package var endpointKeys: [UInt64] { endpoints.map(\.key) }
}
