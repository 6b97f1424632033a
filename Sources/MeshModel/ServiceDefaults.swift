/// What a service speaks. Only the http-like ones can be routed, split and given permissions.
package enum ServiceProtocol: String, Sendable, Codable, CaseIterable {
    case tcp, http, http2, grpc

    /// Whether requests, not only bytes, can be told apart.
    package var isHTTPLike: Bool { self != .tcp }
}

/// The PROXY protocol header that connections to an application begin with.
package enum ProxyHeaderVersion: String, Sendable, Codable, CaseIterable {
    case v1, v2
}

/// Where traffic leaves for another datacenter.
package enum MeshGatewayMode: String, Sendable, Codable, CaseIterable {
    case inherit = ""
    case none, local, remote
}

/// How a service's proxies treat one upstream, or all of them when it has no name.
package struct UpstreamConfig: Hashable, Sendable, Codable {
    package var name: ServiceName?
    package var serviceProtocol: ServiceProtocol?
    package var connectTimeout: MeshDuration?
    package var limits: UpstreamLimits?
    package var passiveHealthCheck: PassiveHealthCheck?
    package var meshGateway: MeshGatewayMode

    package init(
        name: ServiceName? = nil, serviceProtocol: ServiceProtocol? = nil,
        connectTimeout: MeshDuration? = nil, limits: UpstreamLimits? = nil,
        passiveHealthCheck: PassiveHealthCheck? = nil, meshGateway: MeshGatewayMode = .inherit
    ) {
        self.name = name
        self.serviceProtocol = serviceProtocol
        self.connectTimeout = connectTimeout
        self.limits = limits
        self.passiveHealthCheck = passiveHealthCheck
        self.meshGateway = meshGateway
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case serviceProtocol = "protocol"
        case connectTimeout = "connect_timeout"
        case limits
        case passiveHealthCheck = "passive_health_check"
        case meshGateway = "mesh_gateway"
    }
}

/// Defaults of one service.
package struct ServiceDefaults: Hashable, Sendable, Codable {
    package var name: ServiceName
    /// nil means tcp: an entry without a protocol does not fall back to the proxy defaults.
    package var serviceProtocol: ServiceProtocol?
    package var meshGateway: MeshGatewayMode
    package var externalSNI: String
    /// The header that the service's instances expect; nil: none. Ours, not Consul's.
    package var proxyProtocol: ProxyHeaderVersion?
    package var dialedDirectly: Bool
    /// How the service's proxies stand, and the port of transparent ones.
    package var mode: String?
    package var outboundListenerPort: UInt16?
    package var maxInboundConnections: Int?
    /// Of connections that the service's proxies take and make; zero: no bound, whatever the
    /// defaults of all proxies say. Ours, not Consul's.
    package var maxConnectionLifetime: MeshDuration?
    package var localConnectTimeout: MeshDuration?
    package var localRequestTimeout: MeshDuration?
    package var upstreamDefaults: UpstreamConfig?
    package var upstreamOverrides: [UpstreamConfig]
    package var expose: DataValue?
    package var envoyExtensions: DataValue?
    package var meta: [String: String]

    package init(
        name: ServiceName, serviceProtocol: ServiceProtocol? = nil,
        meshGateway: MeshGatewayMode = .inherit, externalSNI: String = "",
        proxyProtocol: ProxyHeaderVersion? = nil,
        dialedDirectly: Bool = false, mode: String? = nil, outboundListenerPort: UInt16? = nil,
        maxInboundConnections: Int? = nil, maxConnectionLifetime: MeshDuration? = nil,
        localConnectTimeout: MeshDuration? = nil, localRequestTimeout: MeshDuration? = nil,
        upstreamDefaults: UpstreamConfig? = nil, upstreamOverrides: [UpstreamConfig] = [],
        expose: DataValue? = nil, envoyExtensions: DataValue? = nil, meta: [String: String] = [:]
    ) {
        self.name = name
        self.serviceProtocol = serviceProtocol
        self.meshGateway = meshGateway
        self.externalSNI = externalSNI
        self.proxyProtocol = proxyProtocol
        self.dialedDirectly = dialedDirectly
        self.mode = mode
        self.outboundListenerPort = outboundListenerPort
        self.maxInboundConnections = maxInboundConnections
        self.maxConnectionLifetime = maxConnectionLifetime
        self.localConnectTimeout = localConnectTimeout
        self.localRequestTimeout = localRequestTimeout
        self.upstreamDefaults = upstreamDefaults
        self.upstreamOverrides = upstreamOverrides
        self.expose = expose
        self.envoyExtensions = envoyExtensions
        self.meta = meta
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case serviceProtocol = "protocol"
        case meshGateway = "mesh_gateway"
        case externalSNI = "external_sni"
        case proxyProtocol = "proxy_protocol"
        case dialedDirectly = "dialed_directly"
        case mode
        case outboundListenerPort = "outbound_listener_port"
        case maxInboundConnections = "max_inbound_connections"
        case maxConnectionLifetime = "max_connection_lifetime"
        case localConnectTimeout = "local_connect_timeout"
        case localRequestTimeout = "local_request_timeout"
        case upstreamDefaults = "upstream_defaults"
        case upstreamOverrides = "upstream_overrides"
        case expose
        case envoyExtensions = "envoy_extensions"
        case meta
    }
}

/// Defaults of all proxies. There is one such entry and its name is `global`.
package struct ProxyDefaults: Hashable, Sendable, Codable {
    package static let name = "global"

    package var config: [String: DataValue]
    package var meshGateway: MeshGatewayMode
    package var dialedDirectly: Bool
    /// How proxies stand, and the port of transparent ones.
    package var mode: String?
    package var outboundListenerPort: UInt16?
    package var failoverPolicy: FailoverPolicy?
    package var expose: DataValue?
    package var accessLogs: DataValue?
    package var envoyExtensions: DataValue?
    package var meta: [String: String]

    package init(
        config: [String: DataValue] = [:], meshGateway: MeshGatewayMode = .inherit,
        dialedDirectly: Bool = false, mode: String? = nil, outboundListenerPort: UInt16? = nil,
        failoverPolicy: FailoverPolicy? = nil,
        expose: DataValue? = nil, accessLogs: DataValue? = nil,
        envoyExtensions: DataValue? = nil, meta: [String: String] = [:]
    ) {
        self.config = config
        self.meshGateway = meshGateway
        self.dialedDirectly = dialedDirectly
        self.mode = mode
        self.outboundListenerPort = outboundListenerPort
        self.failoverPolicy = failoverPolicy
        self.expose = expose
        self.accessLogs = accessLogs
        self.envoyExtensions = envoyExtensions
        self.meta = meta
    }

    /// The protocol of services that have no defaults of their own, from `config.protocol`.
    package var serviceProtocol: ServiceProtocol? {
        config.first { FoldedKey($0.key).text == "protocol" }?.value.string
            .flatMap { ServiceProtocol(rawValue: $0.lowercased()) }
    }

    package enum CodingKeys: String, CodingKey {
        case config
        case meshGateway = "mesh_gateway"
        case dialedDirectly = "dialed_directly"
        case mode
        case outboundListenerPort = "outbound_listener_port"
        case failoverPolicy = "failover_policy"
        case expose
        case accessLogs = "access_logs"
        case envoyExtensions = "envoy_extensions"
        case meta
    }
}

extension UpstreamConfig: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.within(["limits"], limits)
        checks.within(["passive_health_check"], passiveHealthCheck)
    }
}

extension ServiceDefaults: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let limit = maxInboundConnections {
            checks.require(limit >= 0, ["max_inbound_connections"], "write 0 or more")
        }
        ConnectionLifetime.check(maxConnectionLifetime, &checks)
        if !externalSNI.isEmpty {
            checks.require(
                IPText.isHost(externalSNI[...]), ["external_sni"], "write a host name")
        }
        checks.within(["expose"]) { ExposedPath.check(expose, &$0) }
        checks.within(["upstream_config", "defaults"], upstreamDefaults)
        checks.within(["upstream_config"]) { inner in
            inner.each("overrides", upstreamOverrides)
            for (index, override) in upstreamOverrides.enumerated() where override.name == nil {
                inner.fail(["overrides", .index(index)], "an override needs a name")
            }
        }
    }
}

extension ProxyDefaults: Validated {
    package func validate(_ checks: inout FieldChecks) {
        _ = ProxyOptions(config, &checks)
        checks.within(["expose"]) { ExposedPath.check(expose, &$0) }
        guard let (key, value) = config.first(where: { FoldedKey($0.key).text == "protocol" })
        else { return }
        checks.require(
            value.string.map { $0.isEmpty || serviceProtocol != nil } ?? false,
            ["config", .key(key)], "write tcp, http, http2 or grpc")
    }
}
