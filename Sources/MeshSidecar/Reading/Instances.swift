package import MeshModel

/// One place where a service of the mesh is dialled: a proxy of an instance, or an instance that
/// speaks mutual TLS itself.
package struct MeshEndpoint: Sendable, Hashable {
    package var instance: String
    package var node: String
    /// An address or a host name.
    package var host: String
    package var port: UInt16
    package var socketPath: String?
    /// Among its equals; at least 1.
    package var weight: Int

    package init(
        instance: String, node: String, host: String, port: UInt16, socketPath: String? = nil,
        weight: Int = 1
    ) {
        self.instance = instance
        self.node = node
        self.host = host
        self.port = port
        self.socketPath = socketPath
        self.weight = weight
    }
}

/// Reads lists of instances with their health.
package enum Instances {
    /// Those that take traffic, by node and id. `onlyPassing` leaves out those with a warning;
    /// `isRemote`: they are in another datacenter, and dialled at their addresses for that.
    package static func read(
        _ list: AgentJSON, onlyPassing: Bool, isRemote: Bool
    ) -> [MeshEndpoint] {
        var found: [MeshEndpoint] = []
        for entry in list.items {
            // One entry that nothing can be made of does not take the others away.
            guard let endpoint = read(entry, onlyPassing, isRemote) else { continue }
            found.append(endpoint)
        }
        return found.sorted {
            ($0.node, $0.instance, $0.host, $0.port) < ($1.node, $1.instance, $1.host, $1.port)
        }
    }

    private static func read(
        _ entry: AgentJSON, _ onlyPassing: Bool, _ isRemote: Bool
    ) -> MeshEndpoint? {
        guard let service = entry["Service"], let node = entry["Node"],
            let id = service.text("ID"), let weight = weight(of: entry, onlyPassing)
        else { return nil }
        let name = node.text("Node") ?? ""
        if let path = service.text("SocketPath") {
            return MeshEndpoint(
                instance: id, node: name, host: "", port: 0, socketPath: path, weight: weight)
        }
        let wide = isRemote ? service["TaggedAddresses"]?["wan"] : nil
        let own = service.text("Address")
        let host =
            wide?.text("Address") ?? (isRemote ? own ?? node["TaggedAddresses"]?.text("wan") : own)
            ?? node.text("Address")
        let port = (try? wide?.port("Port") ?? service.port("Port")) ?? 0
        guard let host, port != 0, IPText.isHost(host[...]) else { return nil }
        return MeshEndpoint(instance: id, node: name, host: host, port: port, weight: weight)
    }

    /// nil: it takes no traffic.
    private static func weight(of entry: AgentJSON, _ onlyPassing: Bool) -> Int? {
        let weights = entry["Service"]?["Weights"]
        let statuses = entry.items("Checks").map { $0.text("Status") ?? "critical" }
        if statuses.contains(where: { $0 != "passing" && $0 != "warning" }) { return nil }
        let isWarning = statuses.contains("warning")
        if isWarning, onlyPassing { return nil }
        let weight = weights?.int(isWarning ? "Warning" : "Passing") ?? 1
        return weight > 0 ? Int(min(weight, 65_535)) : nil
    }
}

/// What a prepared query gave.
package struct QueryResult: Sendable, Equatable {
    package var service: ServiceName
    package var datacenter: DatacenterName
    package var endpoints: [MeshEndpoint]

    /// Reads `/v1/query/<name>/execute?connect=true`; `home` is the datacenter of the proxy.
    package init(_ json: AgentJSON, home: DatacenterName) throws {
        service = try ServiceName(try json.need("Service"))
        datacenter = try json.text("Datacenter").map { try DatacenterName($0) } ?? home
        guard let nodes = json["Nodes"] else {
            endpoints = []
            return
        }
        // The query has decided about health; what it lets through with a warning is meant.
        endpoints = Instances.read(nodes, onlyPassing: false, isRemote: datacenter != home)
    }
}
