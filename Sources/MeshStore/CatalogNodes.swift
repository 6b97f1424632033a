package import MeshModel

/// Nodes that were registered in the catalog: all of the catalog that is not this node's.
extension StoreState {
    /// A node by its name, whatever its case.
    package func catalogNode(_ name: String) -> Stored<CatalogNode>? {
        catalogNodes[name.lowercased()]
    }

    /// Every registered node, by name.
    package var allCatalogNodes: [Stored<CatalogNode>] {
        catalogNodes.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The index of the last change of any of them, or of the start.
    package var catalogNodesIndex: Index { recent.lastNode }
}

extension StoreDraft {
    /// Changes a node, or makes or forgets it: `change` is given what there is and says what there
    /// shall be. Says whether anything is different.
    package mutating func changeCatalogNode(
        _ name: String, _ change: (CatalogNode?, Index) throws -> CatalogNode?
    ) rethrows -> Bool {
        let key = name.lowercased()
        let old = state.catalogNode(key)
        let new = try change(old?.value, index)
        guard old?.value != new else { return false }
        record(
            .catalogNode(key, from: old, to: new.map { Stored($0, replacing: old, at: index) }))
        return true
    }
}

extension Change {
    /// Services that are others than before, or of whose health something else is said; all of them
    /// when the node itself is another.
    static func catalogNode(
        _ key: String, _ old: CatalogNode?, _ new: CatalogNode?
    ) -> [(object: Touched, isGone: Bool)] {
        func bare(_ node: CatalogNode?) -> CatalogNode? {
            var node = node
            node?.services = []
            node?.checks.removeAll { $0.service != nil }
            return node
        }
        func parts(_ node: CatalogNode?) -> [ServiceID: (CatalogNode.Service, [CatalogNode.Check])]
        {
            var parts: [ServiceID: (CatalogNode.Service, [CatalogNode.Check])] = [:]
            for service in node?.services ?? [] {
                let id = service.definition.id
                parts[id] = (service, node?.checks.filter { $0.service == id } ?? [])
            }
            return parts
        }
        let (before, after) = (parts(old), parts(new))
        let isAnother = bare(old) != bare(new)
        var touched: Set<Touched> = []
        if isAnother { touched.insert(Touched(.nodes, key)) }
        for id in Set(before.keys).union(after.keys) {
            let (left, right) = (before[id], after[id])
            guard isAnother || left?.0 != right?.0 || left?.1 != right?.1 else { continue }
            for definition in [left?.0.definition, right?.0.definition].compactMap({ $0 }) {
                touched.formUnion(concerned(by: definition))
            }
            // What is said of a node is asked for with its services.
            touched.insert(Touched(.nodes, key))
        }
        return touched.map { ($0, $0.topic == .nodes && new == nil) }
    }

    /// What waiters see changed with one service.
    static func concerned(by definition: ServiceDefinition) -> Set<Touched> {
        var touched: Set = [Touched(.services, definition.name.folded)]
        if definition.connect.native || definition.connect.sidecarService != nil {
            touched.insert(Touched(.proxies, definition.name.folded))
        }
        if let name = definition.connect.sidecarService?.name {
            touched.insert(Touched(.services, name.folded))
        } else if definition.connect.sidecarService != nil {
            touched.insert(Touched(.services, definition.name.folded + "-sidecar-proxy"))
        }
        if let destination = definition.proxy?.destinationServiceName {
            touched.insert(Touched(.proxies, destination.folded))
        }
        return touched
    }
}
