/// A proxy that the node itself starts, configures and stops for a service, of which
/// `connect: { proxy: {} }` in a file says no more than that it is wanted.
///
/// It is registered like a sidecar, which is what ``ConnectDefinition/sidecarService`` then says;
/// this says what of it is not the same.
package struct ManagedProxy: Hashable, Sendable, Codable {
    /// The program and its arguments; empty: the node's own data plane is the proxy.
    package var command: [String]

    package init(command: [String] = []) { self.command = command }

    /// What the API says to who registers one, in Consul's words.
    package static let disallowed = "Managed proxy registration via the API is disallowed."

    /// The proxy of a service as a sidecar: with the id of the service and `-proxy` as id and name.
    package static func sidecar(
        of id: ServiceID, config: [String: DataValue], upstreams: [UpstreamDefinition]
    ) throws -> SidecarDefinition {
        let text = id.text + "-proxy"
        return SidecarDefinition(
            id: try ServiceID(text), name: try ServiceName(text),
            port: ProxyOptions(config).bindPort,
            proxy: ProxyDefinition(config: config, upstreams: upstreams))
    }

    /// Upstreams as proxies of Consul 1.2 have them: within `config`.
    package static func upstreams(
        _ config: [String: DataValue], _ checks: inout FieldChecks
    ) -> [UpstreamDefinition] {
        let key = config.keys.first { FoldedKey($0).text == "upstreams" }
        guard let key, let value = config[key], value != .null else { return [] }
        guard case .array(let items) = value else {
            checks.fail(["config", .key(key)], "write a list of upstreams")
            return []
        }
        return items.enumerated().compactMap { index, item in
            do {
                return try upstream(item)
            } catch {
                checks.fail(["config", .key(key), .index(index)], "\(error)")
                return nil
            }
        }
    }

    private static func upstream(_ item: DataValue) throws -> UpstreamDefinition {
        func text(_ key: String) -> String? {
            item[key: key]?.string.flatMap { $0.isEmpty ? nil : $0 }
        }
        let type = text("destination_type") ?? "service"
        guard let type = UpstreamDefinition.DestinationType(rawValue: type) else {
            throw MeshError(.invalid, "write service or prepared_query as destination_type")
        }
        let port = item[key: "local_bind_port"]?.int ?? 0
        guard let port = UInt16(exactly: port) else {
            throw MeshError(.invalid, "local_bind_port is no port")
        }
        var options: [String: DataValue] = [:]
        options["connect_timeout_ms"] = item[key: "connect_timeout_ms"]
        return UpstreamDefinition(
            destinationName: try ServiceName(text("destination_name") ?? ""),
            destinationType: type,
            datacenter: try text("destination_datacenter").map { try DatacenterName($0) },
            localBindAddress: text("local_bind_address") ?? "127.0.0.1", localBindPort: port,
            config: options)
    }
}

/// What holds for the managed proxies of a node where they say nothing themselves.
package struct ManagedProxyDefaults: Hashable, Sendable {
    package var command: [String]
    package var config: [String: DataValue]

    package init(command: [String] = [], config: [String: DataValue] = [:]) {
        self.command = command
        self.config = config
    }
}

extension ServiceDefinition {
    /// The definition with what the defaults say about its managed proxy, if it has one.
    package func over(_ defaults: ManagedProxyDefaults) -> ServiceDefinition {
        guard var managed = connect.managedProxy, var sidecar = connect.sidecarService else {
            return self
        }
        if managed.command.isEmpty { managed.command = defaults.command }
        let own = Set(sidecar.proxy.config.keys.map(FoldedKey.init))
        // A port of one of them is none of another.
        let port = FoldedKey("bind_port")
        for (key, value) in defaults.config
        where !own.contains(FoldedKey(key)) && FoldedKey(key) != port {
            sidecar.proxy.config[key] = value
        }
        if !managed.command.isEmpty { sidecar.proxy.config["external"] = .bool(true) }
        var result = self
        result.connect.managedProxy = managed
        result.connect.sidecarService = sidecar
        return result
    }
}
