import MeshLanes
import MeshModel
import MeshStore

/// What of an inventory is another than before. Never sidecars: where they are concerned, all of it
/// counts as changed.
struct InventoryChange: Sendable, Equatable {
    var services: Set<ServiceID> = []
    /// The services whose instances these are, and were.
    var names: Set<ServiceName> = []

    mutating func formUnion(_ other: InventoryChange) {
        services.formUnion(other.services)
        names.formUnion(other.names)
    }
}

/// What follows from all objects of the store, kept up to date by looking at those that change.
struct KeptObjects {
    private(set) var inventory = Inventory()
    /// In the order in which they are consulted.
    private(set) var intentions: [Intention] = []
    /// Without intentions, by kind and name.
    private(set) var entries: [ConfigEntryRecord] = []
    /// By name in lower case.
    private(set) var virtualAddresses: [String: VirtualAddress] = [:]
    /// By id.
    private(set) var queries: [PreparedQuery] = []
    /// Of the state that it follows from; nil: of none.
    private var index: Index?

    /// The next state counts as a new one.
    mutating func forget() { index = nil }

    /// Takes what has changed since the state before. nil when all of it has to be taken anew.
    mutating func take(_ stored: StoreState, ports: SidecarPorts) -> InventoryChange? {
        guard let index else { return nil }
        // A reader may come late with an older state.
        guard stored.index > index else { return InventoryChange() }
        // Those who speak for other nodes speak seldom.
        guard stored.catalogNodesIndex <= index else { return nil }
        guard let services = stored.services(changedAfter: index),
            let pairs = stored.intentions(changedAfter: index)
        else { return nil }
        let entries = stored.plainEntriesIndex > index ? stored.plainEntries : nil
        // Sidecars are made by what entries say about the checks behind them.
        if let entries, ExposeDefaults(entries.lazy.map(\.entry)) != ports.exposing { return nil }
        // Until all of it is taken, none of it counts.
        self.index = nil
        var change = InventoryChange()
        for id in services {
            guard let names = inventory.take(stored.service(id), of: id) else { return nil }
            if !names.isEmpty { change.services.insert(id) }
            change.names.formUnion(names)
        }
        // A port that a sidecar was given may be claimed now, one that it lacked may be free.
        guard inventory.problems.isEmpty,
            !ports.ports.values.contains(where: inventory.claims.contains)
        else { return nil }
        for key in pairs { put(stored.intention(key), key) }
        if let entries { self.entries = entries }
        queries = stored.preparedQueries.map(\.value)
        virtualAddresses = stored.virtualAddresses
        self.index = stored.index
        return change
    }

    /// Takes all of a state; `records` are its services, those of other `nodes` too.
    mutating func take(
        _ records: [ServiceRecord], of stored: StoreState, ports: SidecarPorts,
        nodes: [NodeInfo] = []
    ) {
        (inventory, intentions) = Inventory.made(
            of: records, ports: ports, nodes: nodes, lanes: .machine
        ) {
            stored.intentions
        }
        entries = stored.plainEntries
        queries = stored.preparedQueries.map(\.value)
        virtualAddresses = stored.virtualAddresses
        index = stored.index
    }

    private mutating func put(_ intention: Intention?, _ key: IntentionKey) {
        let probe = Intention(
            source: key.source, destination: key.destination, effect: .action(.deny))
        var low = 0
        var high = intentions.count
        while low < high {
            let middle = (low + high) / 2
            if Intention.consultedBefore(intentions[middle], probe) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        let isThere =
            low < intentions.count && intentions[low].source == key.source
            && intentions[low].destination == key.destination
        switch (isThere, intention) {
        case (true, let new?): intentions[low] = new
        case (true, nil): intentions.remove(at: low)
        case (false, let new?): intentions.insert(new, at: low)
        case (false, nil): break
        }
    }
}
