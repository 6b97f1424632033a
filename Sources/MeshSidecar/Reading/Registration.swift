package import MeshModel

/// What an agent knows about the proxy that this process is.
package struct Registration: Sendable, Equatable {
    /// The proxy as it listens: its address is what is bound, not what others dial.
    package var definition: ServiceDefinition
    /// The service that the proxy stands in front of.
    package var service: ServiceName
    /// What the service speaks, where the agent has put that into the proxy's options.
    package var protocolName: ServiceProtocol?
    /// What is said about calls to services that have no listener of their own.
    package var options: [UpstreamDefinition] = []
    /// What is wrong with parts of it: these are left out.
    package var problems: [String] = []

    package init(
        definition: ServiceDefinition, service: ServiceName,
        protocolName: ServiceProtocol? = nil
    ) {
        self.definition = definition
        self.service = service
        self.protocolName = protocolName
    }

    package var upstreams: [UpstreamDefinition] { definition.proxy?.upstreams ?? [] }

    /// Whether the application calls services where they are.
    package var isTransparent: Bool {
        definition.proxy?.mode == ProxyMode.transparent.rawValue
    }

    /// The paths that are opened because somebody wrote them.
    var writtenPaths: [ExposedPath] {
        ExposedPath.paths(definition.proxy?.expose).filter { !$0.isFromCheck }
    }

    /// The instance whose checks the agent makes by way of the proxy, unless it says itself which
    /// paths these are.
    var exposesChecksOf: ServiceID? {
        let expose = definition.proxy?.expose
        guard ExposedPath.wantsChecks(expose),
            !ExposedPath.paths(expose).contains(where: \.isFromCheck)
        else { return nil }
        return definition.proxy?.destinationServiceID ?? ServiceID(service)
    }

    mutating func expose(_ paths: [ExposedPath]) {
        guard !paths.isEmpty else { return }
        let all = ExposedPath.adding(paths, to: definition.proxy?.expose)
        definition.proxy?.expose = all
    }

    /// Reads `/v1/agent/service/<id>`.
    package init(_ json: AgentJSON) throws {
        let id = try ServiceID(try json.need("ID"))
        let kind = json.text("Kind") ?? ""
        guard kind == ServiceKind.connectProxy.rawValue, let proxy = json["Proxy"] else {
            throw MeshError(
                .invalid,
                "\(id) is no proxy but a \(kind.isEmpty ? "service" : kind): give the id of a "
                    + "service of kind connect-proxy, or --sidecar-for \(id)")
        }
        let service = try ServiceName(try proxy.need("DestinationServiceName"))
        let config = proxy["Config"]
        // The built-in proxy listens where it is registered; Envoy's options say otherwise.
        let host = config?.text("bind_address") ?? json.text("Address") ?? "0.0.0.0"
        let port = try config?.port("bind_port") ?? json.port("Port") ?? 0
        self.init(
            definition: ServiceDefinition(
                name: try ServiceName(try json.need("Service")), id: id, kind: .connectProxy,
                address: host, port: port,
                tags: json.items("Tags").compactMap(\.value.string), meta: json.texts("Meta")),
            service: service,
            protocolName: config?.text("protocol").map { ServiceProtocol(consul: $0) })
        definition.proxy = try read(proxy)
    }

    private mutating func read(_ proxy: AgentJSON) throws -> ProxyDefinition {
        var definition = ProxyDefinition(
            destinationServiceName: service,
            destinationServiceID: try proxy.text("DestinationServiceID").map { try ServiceID($0) },
            localServiceAddress: proxy.text("LocalServiceAddress") ?? "127.0.0.1",
            localServicePort: try proxy.port("LocalServicePort"),
            localServiceSocketPath: proxy.text("LocalServiceSocketPath"))
        if case .object(let members)? = proxy["Config"]?.value { definition.config = members }
        if let mode = proxy.text("Mode") {
            definition.mode = mode
            if ProxyMode(rawValue: mode) == nil {
                problems.append("proxy mode \(mode) is not known: the proxy is a direct one")
            }
        }
        if let section = proxy["TransparentProxy"] {
            let port = try section.port("OutboundListenerPort") ?? 0
            definition.transparentProxy = TransparentProxy(
                outboundListenerPort: port == 0 ? nil : port,
                dialedDirectly: section.bool("DialedDirectly"))
        }
        definition.expose = proxy["Expose"]?.value
        for upstream in proxy.items("Upstreams") {
            do {
                let read = try Self.upstream(upstream)
                // A newer Consul has upstreams without a listener of their own: a transparent proxy
                // takes what they say for calls to that service.
                if read.localBindPort == 0, read.localBindSocketPath == nil,
                    definition.mode == ProxyMode.transparent.rawValue
                {
                    options.append(read)
                    continue
                }
                if let problem = read.problems().first {
                    throw MeshError(.invalid, problem.message)
                }
                definition.upstreams.append(read)
            } catch {
                problems.append("\(upstream.subject): \(error)")
            }
        }
        return definition
    }

    private static func upstream(_ json: AgentJSON) throws -> UpstreamDefinition {
        if let peer = json.text("DestinationPeer") {
            throw MeshError(.invalid, "peer \(peer) is not connected")
        }
        for key in ["DestinationNamespace", "DestinationPartition"] {
            guard let name = json.text(key), name != "default" else { continue }
            throw MeshError(.invalid, "\(key) \(name): only default is known")
        }
        let type = json.text("DestinationType") ?? "service"
        guard let type = UpstreamDefinition.DestinationType(rawValue: type) else {
            throw MeshError(.invalid, "DestinationType \(type) is not known")
        }
        var config: [String: DataValue] = [:]
        if case .object(let members)? = json["Config"]?.value { config = members }
        return UpstreamDefinition(
            destinationName: try ServiceName(try json.need("DestinationName")),
            destinationType: type,
            datacenter: try json.text("Datacenter").map { try DatacenterName($0) },
            localBindAddress: json.text("LocalBindAddress") ?? "127.0.0.1",
            localBindPort: try json.port("LocalBindPort") ?? 0,
            localBindSocketPath: json.text("LocalBindSocketPath"),
            localBindSocketMode: json.text("LocalBindSocketMode"),
            meshGatewayMode: json["MeshGateway"]?.text("Mode"), config: config)
    }
}

extension ServiceProtocol {
    /// What Consul writes; anything but the HTTP ones is bytes to a proxy.
    package init(consul text: String) {
        self = ServiceProtocol(rawValue: text.lowercased()) ?? .tcp
    }
}
