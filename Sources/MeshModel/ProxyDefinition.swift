/// One service that a proxy makes reachable on a local address.
package struct UpstreamDefinition: Hashable, Sendable, Codable {
    package enum DestinationType: String, Sendable, Codable {
        case service
        case preparedQuery = "prepared_query"
    }

    package var destinationName: ServiceName
    package var destinationType: DestinationType
    /// The datacenter to look in; the node's own when absent.
    package var datacenter: DatacenterName?
    package var localBindAddress: String
    /// The local port; 0 only with `localBindSocketPath`.
    package var localBindPort: UInt16
    package var localBindSocketPath: String?
    /// Octal mode of the socket as written, for example `0600`.
    package var localBindSocketMode: String?
    package var meshGatewayMode: String?
    package var config: [String: DataValue]

    package init(
        destinationName: ServiceName, destinationType: DestinationType = .service,
        datacenter: DatacenterName? = nil, localBindAddress: String = "127.0.0.1",
        localBindPort: UInt16 = 0, localBindSocketPath: String? = nil,
        localBindSocketMode: String? = nil, meshGatewayMode: String? = nil,
        config: [String: DataValue] = [:]
    ) {
        self.destinationName = destinationName
        self.destinationType = destinationType
        self.datacenter = datacenter
        self.localBindAddress = localBindAddress
        self.localBindPort = localBindPort
        self.localBindSocketPath = localBindSocketPath
        self.localBindSocketMode = localBindSocketMode
        self.meshGatewayMode = meshGatewayMode
        self.config = config
    }

    /// What its `config` says.
    package var options: UpstreamOptions { UpstreamOptions(config) }

    /// The local end as text: `127.0.0.1:9191`, or a socket's path.
    package var localBind: String {
        localBindSocketPath
            ?? HostPort(host: localBindAddress, port: localBindPort).description
    }

    package enum CodingKeys: String, CodingKey {
        case destinationName = "destination_name"
        case destinationType = "destination_type"
        case datacenter
        case localBindAddress = "local_bind_address"
        case localBindPort = "local_bind_port"
        case localBindSocketPath = "local_bind_socket_path"
        case localBindSocketMode = "local_bind_socket_mode"
        case meshGatewayMode = "mesh_gateway_mode"
        case config
    }
}

extension UpstreamDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let path = localBindSocketPath {
            checks.require(
                localBindPort == 0, ["local_bind_port"],
                "leave it out when local_bind_socket_path is given")
            checks.require(
                path.hasPrefix("/"), ["local_bind_socket_path"], "write an absolute path")
        } else {
            checks.require(
                localBindPort != 0, [],
                "upstream local bind port cannot be zero: write local_bind_port: 9191")
        }
        checks.require(
            IPText.isAddress(localBindAddress[...]), ["local_bind_address"],
            "\(NameRule.quoted(localBindAddress)) is not an IP address: write 127.0.0.1")
        _ = UpstreamOptions(config, &checks)
    }
}

/// How a proxy stands between one service and the mesh.
package struct ProxyDefinition: Hashable, Sendable, Codable {
    /// The service this proxy is for; nil in a `sidecar_service`, which says it by its place.
    package var destinationServiceName: ServiceName?
    package var destinationServiceID: ServiceID?
    package var localServiceAddress: String
    /// The application's port; the parent's port in a `sidecar_service` when absent.
    package var localServicePort: UInt16?
    package var localServiceSocketPath: String?
    package var mode: String?
    package var transparentProxy: TransparentProxy?
    package var config: [String: DataValue]
    package var upstreams: [UpstreamDefinition]
    package var meshGatewayMode: String?
    package var expose: DataValue?

    package init(
        destinationServiceName: ServiceName? = nil, destinationServiceID: ServiceID? = nil,
        localServiceAddress: String = "127.0.0.1", localServicePort: UInt16? = nil,
        localServiceSocketPath: String? = nil, mode: String? = nil,
        transparentProxy: TransparentProxy? = nil,
        config: [String: DataValue] = [:], upstreams: [UpstreamDefinition] = [],
        meshGatewayMode: String? = nil, expose: DataValue? = nil
    ) {
        self.destinationServiceName = destinationServiceName
        self.destinationServiceID = destinationServiceID
        self.localServiceAddress = localServiceAddress
        self.localServicePort = localServicePort
        self.localServiceSocketPath = localServiceSocketPath
        self.mode = mode
        self.transparentProxy = transparentProxy
        self.config = config
        self.upstreams = upstreams
        self.meshGatewayMode = meshGatewayMode
        self.expose = expose
    }

    /// What its own `config` says.
    package var options: ProxyOptions { ProxyOptions(config) }

    package enum CodingKeys: String, CodingKey {
        case destinationServiceName = "destination_service_name"
        case destinationServiceID = "destination_service_id"
        case localServiceAddress = "local_service_address"
        case localServicePort = "local_service_port"
        case localServiceSocketPath = "local_service_socket_path"
        case mode, config, upstreams
        case transparentProxy = "transparent_proxy"
        case meshGatewayMode = "mesh_gateway_mode"
        case expose
    }
}

extension ProxyDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            IPText.isHost(localServiceAddress[...]), ["local_service_address"],
            "\(NameRule.quoted(localServiceAddress)) is neither an address nor a host name")
        if let mode {
            checks.require(
                ProxyMode(rawValue: mode) != nil, ["mode"],
                "\(NameRule.quoted(mode)) is not a mode: write direct or transparent")
        }
        _ = ProxyOptions(config, &checks)
        checks.within(["expose"]) { ExposedPath.check(expose, &$0) }
        checks.each("upstreams", upstreams)
        var seen: [String: Int] = [:]
        for (index, upstream) in upstreams.enumerated() where upstream.localBind != "127.0.0.1:0" {
            if let first = seen[upstream.localBind] {
                checks.fail(
                    ["upstreams", .index(index)],
                    "upstreams cannot contain duplicates by local bind address and port; "
                        + "\"\(upstream.localBind)\" is taken by upstreams[\(first)]")
            } else {
                seen[upstream.localBind] = index
            }
        }
    }
}
