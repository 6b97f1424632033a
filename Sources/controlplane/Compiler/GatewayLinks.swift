import MeshModel

/// What gateways' entries mean for a node with these services.
enum GatewayLinks {
    /// The terminating gateway by which the mesh reaches a service, where there is one. With
    /// several, the first by name that names the service.
    static func gateways(
        _ entries: some Sequence<ConfigEntry>, _ inventory: Inventory
    ) -> [ServiceName: ServiceName] {
        var named: [ServiceName: ServiceName] = [:]
        var forAll: ServiceName?
        for entry in terminating(entries) {
            for service in entry.services {
                switch service.name {
                case .exact(let name): named[name] = named[name] ?? entry.name
                case .any: forAll = forAll ?? entry.name
                }
            }
        }
        guard let forAll else { return named }
        let rest = outside(inventory).map { ($0, forAll) }
        return named.merging(rest) { own, _ in own }
    }

    private static func terminating(
        _ entries: some Sequence<ConfigEntry>
    ) -> [TerminatingGateway] {
        var found: [TerminatingGateway] = []
        for entry in entries {
            if case .terminatingGateway(let gateway) = entry { found.append(gateway) }
        }
        return found.sorted { $0.name.folded < $1.name.folded }
    }

    /// The services that are not in the mesh by themselves: no instance has a proxy.
    static func outside(_ inventory: Inventory) -> [ServiceName] {
        var inside: Set<ServiceName> = []
        var all: Set<ServiceName> = []
        for instance in inventory.instances where instance.definition.kind == .typical {
            all.insert(instance.definition.name)
            if instance.definition.connect.native || inventory.proxy(of: instance.definition) != nil
            {
                inside.insert(instance.definition.name)
            }
        }
        return all.subtracting(inside).sorted()
    }

    /// The services that are in the mesh.
    static func inside(_ inventory: Inventory) -> [ServiceName] {
        let all = Set(
            inventory.instances.lazy.map(\.definition).filter { $0.kind == .typical }.map(\.name))
        return all.subtracting(outside(inventory)).sorted()
    }

    /// The services whose certificates the gateways of a node need: their own, and those of the
    /// services that terminating gateways stand for.
    static func identities(
        _ entries: some Sequence<ConfigEntry>, _ inventory: Inventory
    ) -> Set<ServiceName> {
        guard !inventory.gateways.isEmpty else { return [] }
        let own = Set(inventory.gateways.map(\.name))
        let served = gateways(entries, inventory).filter { own.contains($0.value) }.keys
        return own.union(served)
    }

    /// The host names that certificates of ingress gateways have to be for.
    static func serverNames(
        _ entries: some Sequence<ConfigEntry>, _ inventory: Inventory,
        in datacenter: DatacenterName
    ) -> [ServiceName: Set<String>] {
        let own = Set(
            inventory.gateways.filter { $0.kind == .ingressGateway }.map(\.name))
        guard !own.isEmpty else { return [:] }
        var found: [ServiceName: Set<String>] = [:]
        for case .ingressGateway(let entry) in entries where own.contains(entry.name) {
            for listener in entry.listeners {
                guard let tls = entry.tls(of: listener), tls.certs.isEmpty else { continue }
                let hosts = listener.services.flatMap(\.hosts).filter { $0 != "*" }
                found[entry.name, default: []].formUnion(hosts.map { $0.lowercased() })
                found[entry.name, default: []].formUnion([
                    "*.ingress.consul", "*.ingress.\(datacenter.text.lowercased()).consul",
                ])
            }
        }
        return found
    }
}
