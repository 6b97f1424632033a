/// An instance that may be used now.
package struct DNSInstance: Hashable, Sendable {
    package var node: String
    package var nodeAddress: String
    /// Empty: the node's.
    package var address: String
    package var port: UInt16
    package var weight: Int

    package init(
        node: String, nodeAddress: String, address: String, port: UInt16, weight: Int
    ) {
        self.node = node
        self.nodeAddress = nodeAddress
        self.address = address
        self.port = port
        self.weight = weight
    }
}

package struct DNSNode: Hashable, Sendable {
    package var name: String
    package var address: String
    package var meta: [String: String]

    package init(name: String, address: String, meta: [String: String] = [:]) {
        self.name = name
        self.address = address
        self.meta = meta
    }
}

/// What a prepared query gave.
package struct DNSQueryResult: Hashable, Sendable {
    package var instances: [DNSInstance]
    package var datacenter: String
    /// How long it may be kept; nil leaves it to the server.
    package var ttl: UInt32?

    package init(instances: [DNSInstance], datacenter: String, ttl: UInt32? = nil) {
        self.instances = instances
        self.datacenter = datacenter
        self.ttl = ttl
    }
}

/// Whom the server asks.
package protocol DNSCatalog: Sendable {
    /// Instances that may be used, in the order in which they are to be tried. `tag` empty: all.
    func instances(of service: String, tag: String, isConnect: Bool) async -> [DNSInstance]
    /// Where a service of the mesh is called as a whole; nil: there is no such service.
    func virtualAddress(of service: String) async -> String?
    /// nil: there is none.
    func node(_ name: String) async -> DNSNode?
    /// nil: there is no such query. It is told the node of the client, by address.
    func query(_ name: String) async throws -> DNSQueryResult?
}
