package import MeshModel
import MeshStore

/// Which instances are asked for. Names are compared without case.
package enum CatalogSelection: Sendable, Hashable {
    case all
    case id(String)
    /// The instances of a service.
    case named(String)
    /// The instances that take part in the mesh for a service: its proxies, and native ones.
    case connect(String)

    package func covers(_ definition: ServiceDefinition) -> Bool {
        switch self {
        case .all: true
        case .id(let id): definition.id.text == id
        case .named(let name): definition.name.folded == name.lowercased()
        case .connect(let name):
            definition.kind == .connectProxy
                ? definition.proxy?.destinationServiceName?.folded == name.lowercased()
                : definition.connect.native && definition.name.folded == name.lowercased()
        }
    }
}

/// A check as the catalog shows it.
package struct CatalogCheck: Sendable, Hashable {
    package var id: String
    package var name: String
    package var status: CheckStatus
    package var notes: String
    package var output: String
    /// `ttl`, `tcp`, `http`, `grpc`, `alias`, `maintenance`, or empty.
    package var type: String
    package var createIndex: Index
    package var modifyIndex: Index
    /// Whether the status is of a result, and not what the check began with.
    package var isProven: Bool
    /// The port at which a sidecar exposes what the check asks for; 0: none does.
    package var exposedPort: UInt16

    package init(
        id: String, name: String, status: CheckStatus, notes: String = "", output: String = "",
        type: String = "", createIndex: Index = Index(1), modifyIndex: Index = Index(1),
        isProven: Bool = true, exposedPort: UInt16 = 0
    ) {
        self.id = id
        self.name = name
        self.status = status
        self.notes = notes
        self.output = output
        self.type = type
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
        self.isProven = isProven
        self.exposedPort = exposedPort
    }
}

/// One instance of this node, with what is known of its health.
package struct LocalInstance: Sendable {
    package var definition: ServiceDefinition
    /// The service that it is a sidecar of by that one's definition.
    package var parent: ServiceID?
    package var createIndex: Index
    package var modifyIndex: Index
    package var checks: [CatalogCheck]

    package init(
        _ definition: ServiceDefinition, parent: ServiceID? = nil, createIndex: Index,
        modifyIndex: Index, checks: [CatalogCheck]
    ) {
        self.definition = definition
        self.parent = parent
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
        self.checks = checks
    }
}

/// A node of the catalog: this one, or one that was registered.
struct CatalogPlace: Sendable {
    var id: String
    var info: NodeInfo
    var taggedAddresses: [String: String]
    var createIndex: Index
    var modifyIndex: Index
    /// What is said of the node itself.
    var checks: [CatalogCheck]
    let isLocal: Bool
}

/// An instance on a node.
struct CatalogInstance: Sendable {
    let place: CatalogPlace
    let instance: LocalInstance
    /// Where its service is called as a whole, if the instance is one that shows it.
    let virtualAddress: String?

    init(place: CatalogPlace, instance: LocalInstance, state: StoreState) {
        self.place = place
        self.instance = instance
        let definition = instance.definition
        let service = definition.proxy?.destinationServiceName ?? definition.name
        virtualAddress =
            definition.showsVirtualAddress
            ? state.virtualAddress(of: service)?.description : nil
    }

    var definition: ServiceDefinition { instance.definition }

    /// The checks of the node, then the instance's own.
    var checks: [CatalogCheck] { place.checks + instance.checks }
}
