import MeshModel
import MeshStore

/// Services on nodes that others speak for, as instances that this node's data plane can dial: with
/// an id that no other node's has, an address, and checks that say what was said of them.
enum RemoteServices {
    /// What distinguishes them from what runs here: nobody may change them but by the catalog.
    static let origin = Origin.derived

    static func records(_ nodes: [Stored<CatalogNode>]) -> [ServiceRecord] {
        nodes.flatMap { stored in
            stored.value.services.compactMap { service in
                definition(service.definition, on: stored.value).map {
                    ServiceRecord(
                        definition: $0, origin: origin, createIndex: service.createIndex,
                        modifyIndex: service.modifyIndex)
                }
            }
        }
    }

    /// The node's own word about itself, for filters of subsets.
    static func info(_ node: CatalogNode, datacenter: DatacenterName) -> NodeInfo {
        NodeInfo(
            name: node.name, datacenter: datacenter, address: node.address, meta: node.meta)
    }

    /// The name of the node that such an id begins with.
    static func node(of id: ServiceID) -> Substring { id.text.prefix { $0 != "/" } }

    private static func id(_ id: ServiceID, on node: CatalogNode) -> ServiceID? {
        try? ServiceID("\(node.name.text.lowercased())/\(id)")
    }

    /// nil: its id with the node's is longer than ids are.
    private static func definition(
        _ service: ServiceDefinition, on node: CatalogNode
    ) -> ServiceDefinition? {
        guard let id = id(service.id, on: node) else { return nil }
        var proxy = service.proxy
        if let wanted = destination(of: service, on: node) {
            proxy?.destinationServiceID = wanted
        }
        let checks = node.checks.filter { $0.service == nil || $0.service == service.id }
        var definition = ServiceDefinition(
            name: service.name, id: id, kind: service.kind,
            address: service.address.isEmpty ? node.address : service.address, port: service.port,
            tags: service.tags, meta: service.meta, weights: service.weights, proxy: proxy)
        definition.connect.native = service.connect.native
        definition.checks = checks.map { check in
            CheckDefinition(
                id: "\(node.name.text.lowercased())/\(check.id)@\(service.id)", name: check.name,
                notes: check.notes, status: check.status)
        }
        return definition
    }

    /// The instance on the same node that a proxy stands for.
    private static func destination(
        of service: ServiceDefinition, on node: CatalogNode
    ) -> ServiceID? {
        guard let proxy = service.proxy else { return nil }
        let own = node.services.lazy.map(\.definition).filter { $0.kind != .connectProxy }
        let wanted =
            proxy.destinationServiceID
            ?? own.first { $0.name == proxy.destinationServiceName }?.id
        return wanted.flatMap { id($0, on: node) }
    }
}
