import MeshFilter
import MeshModel
import MeshStore

/// The catalog at one index: this node with what runs on it, and nodes that were registered.
struct CatalogView: Sendable {
    let state: StoreState
    let backend: any ConsulBackend

    /// This node.
    func ownPlace() async -> CatalogPlace {
        let node = backend.node
        var addresses = ["lan": node.address, "wan": node.address]
        let family = node.address.contains(":") ? "ipv6" : "ipv4"
        if IPText.isAddress(node.address[...]) {
            addresses["lan_\(family)"] = node.address
            addresses["wan_\(family)"] = node.address
        }
        var info = node
        info.meta["consul-network-segment"] = ""
        let serf = CatalogCheck(
            id: "serfHealth", name: "Serf Health Status", status: .passing,
            output: "Agent alive and reachable")
        return CatalogPlace(
            id: state.installationID, info: info, taggedAddresses: addresses,
            createIndex: Index(1), modifyIndex: Index(1),
            checks: [serf] + (await backend.nodeChecks()), isLocal: true)
    }

    func place(_ stored: Stored<CatalogNode>) -> CatalogPlace {
        let node = stored.value
        return CatalogPlace(
            id: node.id,
            info: NodeInfo(
                name: node.name, datacenter: backend.node.datacenter, address: node.address,
                meta: node.meta),
            taggedAddresses: node.taggedAddresses, createIndex: stored.createIndex,
            modifyIndex: stored.modifyIndex,
            checks: node.checks.filter { $0.service == nil }.map(CatalogCheck.init),
            isLocal: false)
    }

    /// Every node, by name.
    func places() async -> [CatalogPlace] {
        let own = await ownPlace()
        let others = state.allCatalogNodes.map(place)
        return (others + [own]).sorted { $0.info.name < $1.info.name }
    }

    /// A node by its name or its id.
    func place(named name: String) async -> CatalogPlace? {
        let own = await ownPlace()
        let name = name.lowercased()
        if own.info.name.text.lowercased() == name || own.id == name { return own }
        if let stored = state.catalogNode(name) { return place(stored) }
        return state.allCatalogNodes.first { !$0.value.id.isEmpty && $0.value.id == name }
            .map(place)
    }

    /// Instances on all nodes, by node and id.
    func instances(_ selection: CatalogSelection) async -> [CatalogInstance] {
        var all: [CatalogInstance] = []
        for stored in state.allCatalogNodes { all += instances(selection, on: stored) }
        let own = await ownInstances(selection)
        if !own.isEmpty {
            let place = await ownPlace()
            all += own.map { CatalogInstance(place: place, instance: $0, state: state) }
        }
        return all.sorted {
            ($0.place.info.name.text, $0.definition.id.text)
                < ($1.place.info.name.text, $1.definition.id.text)
        }
    }

    /// The instances on one node, by id.
    func instances(on place: CatalogPlace) async -> [CatalogInstance] {
        guard !place.isLocal else {
            return await ownInstances(.all).map {
                CatalogInstance(place: place, instance: $0, state: state)
            }
            .sorted { $0.definition.id < $1.definition.id }
        }
        return state.catalogNode(place.info.name.text).map { instances(.all, on: $0) } ?? []
    }

    private func ownInstances(_ selection: CatalogSelection) async -> [LocalInstance] {
        var own = await backend.localInstances(selection)
        if let server = Self.server, selection.covers(server) {
            own.append(
                LocalInstance(server, createIndex: Index(1), modifyIndex: Index(1), checks: []))
        }
        return own
    }

    /// The node's own service: every Consul server has it.
    private static let server = try? ServiceDefinition(
        name: ServiceName("consul"), port: ConsulVersion.serverPort)

    /// The instances on a node that was registered.
    func instances(
        _ selection: CatalogSelection, on stored: Stored<CatalogNode>
    ) -> [CatalogInstance] {
        let services = stored.value.services.filter { selection.covers($0.definition) }
        guard !services.isEmpty else { return [] }
        let place = place(stored)
        return services.map { service in
            let checks = stored.value.checks.filter { $0.service == service.definition.id }
            return CatalogInstance(
                place: place,
                instance: LocalInstance(
                    service.definition, createIndex: service.createIndex,
                    modifyIndex: service.modifyIndex, checks: checks.map(CatalogCheck.init)),
                state: state)
        }
    }
}

extension CatalogCheck {
    init(_ check: CatalogNode.Check) {
        self.init(
            id: check.id, name: check.name, status: check.status, notes: check.notes,
            output: check.output, createIndex: check.createIndex, modifyIndex: check.modifyIndex)
    }

    var filtered: FilteredCheck {
        FilteredCheck(id: id, name: name, notes: notes, output: output, status: status)
    }
}
