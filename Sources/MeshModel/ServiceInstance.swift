/// A machine of the mesh.
package struct NodeInfo: Hashable, Sendable, Codable {
    package var name: NodeName
    package var datacenter: DatacenterName
    /// The address that other nodes reach this one at.
    package var address: String
    package var meta: [String: String]
    /// nil: nothing is said.
    package var locality: Locality?

    package init(
        name: NodeName, datacenter: DatacenterName, address: String, meta: [String: String] = [:],
        locality: Locality? = nil
    ) {
        self.name = name
        self.datacenter = datacenter
        self.address = address
        self.meta = meta
        self.locality = locality
    }
}

/// One running instance of a service, on some node, as the catalog knows it.
package struct ServiceInstance: Hashable, Sendable, Codable {
    /// What identifies an instance: its id is unique on its node.
    package struct Key: Hashable, Sendable, Codable, Comparable {
        package var node: NodeName
        package var id: ServiceID

        package init(node: NodeName, id: ServiceID) {
            self.node = node
            self.id = id
        }

        package static func < (left: Self, right: Self) -> Bool {
            left.node == right.node ? left.id < right.id : left.node < right.node
        }
    }

    package var node: NodeName
    package var nodeAddress: String
    package var datacenter: DatacenterName
    package var service: ServiceName
    package var id: ServiceID
    package var kind: ServiceKind
    /// The registered address; the node's is used when empty.
    package var address: String
    package var port: UInt16
    package var socketPath: String?
    package var tags: [String]
    package var meta: [String: String]
    package var weights: ServiceWeights
    /// Set when the instance is a proxy: what it stands for and its upstreams.
    package var proxy: ProxyDefinition?
    /// Whether the instance speaks mesh mTLS by itself.
    package var native: Bool
    /// The worst of its checks and its node's.
    package var status: CheckStatus
    package var origin: Origin
    package var createIndex: Index
    package var modifyIndex: Index

    /// An instance on `node` as `definition` registers it.
    package init(
        _ definition: ServiceDefinition, on node: NodeInfo, origin: Origin,
        status: CheckStatus? = nil, createIndex: Index = .zero, modifyIndex: Index = .zero
    ) {
        self.node = node.name
        self.nodeAddress = node.address
        self.datacenter = node.datacenter
        self.service = definition.name
        self.id = definition.id
        self.kind = definition.kind
        self.address = definition.address
        self.port = definition.port
        self.socketPath = definition.socketPath
        self.tags = definition.tags
        self.meta = definition.meta
        self.weights = definition.weights
        self.proxy = definition.proxy
        self.native = definition.connect.native
        self.status = status ?? .aggregate(definition.checks.map(\.initialStatus))
        self.origin = origin
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }

    package var key: Key { Key(node: node, id: id) }

    /// The address to dial: the instance's, or its node's.
    package var effectiveAddress: String { address.isEmpty ? nodeAddress : address }

    /// The share of traffic at the present status; 0 when it takes none.
    package var effectiveWeight: Int {
        switch status {
        case .passing: weights.passing
        case .warning: weights.warning
        case .critical, .maintenance: 0
        }
    }

    package enum CodingKeys: String, CodingKey {
        case node
        case nodeAddress = "node_address"
        case datacenter, service, id, kind, address, port
        case socketPath = "socket_path"
        case tags, meta, weights, proxy, native, status, origin
        case createIndex = "create_index"
        case modifyIndex = "modify_index"
    }
}
