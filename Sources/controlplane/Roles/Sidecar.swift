import MeshDiscovery
import MeshModel
import MeshTables

/// Sidecars: one listener that the mesh calls, one for each upstream that the application calls.
extension PartCompiler {
    mutating func addSidecar(_ source: SidecarSource) {
        let sidecar = source.definition
        guard let proxy = sidecar.proxy, let service = proxy.destinationServiceName else { return }
        guard let leaf = source.leafVersion else {
            refuse("\(sidecar.id): there is no certificate of \(service) yet", source.origin)
            return
        }
        addInbound(source, proxy, service, leaf)
        for upstream in proxy.upstreams { addUpstream(upstream, of: source, service, leaf) }
    }

    /// Callers prove their identity by mutual TLS; the intentions of the service decide; what may
    /// come in goes to the application.
    private mutating func addInbound(
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ service: ServiceName, _ leaf: UInt64
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        let http = speaksHTTP(service)
        let host = sidecar.address.isEmpty ? settings.node.address : sidecar.address
        // A host name is what others dial; what is listened on is then every address.
        let bind = IPAddress(host) == nil ? "0.0.0.0" : host
        guard let address = listen(on: bind, port: sidecar.port, "\(sidecar.id)", origin),
            let target = application(of: source, proxy, service, http)
        else { return }
        let rule = "sidecar of \(service)"
        add(
            ListenerPlan(
                name: sidecar.id.text, address: address,
                kind: http
                    ? .l7([
                        RoutePlan(
                            action: .forward(SplitPlan.all(to: target)), retries: Self.retries,
                            retryOn: Self.retryOn, rule: rule, origin: text(origin))
                    ]) : .l4(SplitPlan.all(to: target)), role: .inbound,
                identity: service, intentionsOf: service,
                timeouts: timeouts(
                    http: http, request: defaults(of: service)?.localRequestTimeout),
                congestion: settings.congestion,
                via: http ? settings.via(sidecar.id.text) : "", log: settings.log(),
                hops: http ? settings.tracesOnly : nil),
            tls: meshTLS(
                server: true, as: service, leafVersion: leaf,
                alpn: http ? ["h2", "http/1.1"] : []), origin)
    }

    private func timeouts(
        http: Bool, request: MeshDuration? = nil
    ) -> ListenerPlan.Timeouts {
        ListenerPlan.Timeouts(
            head: 10_000, idle: http ? 60_000 : 0,
            request: http ? request.map(milliseconds) ?? 0 : 0, handshake: 5_000)
    }

    private func text(_ origin: Origin?) -> String { origin.map { "\($0)" } ?? "" }

    /// The target that is the application behind a sidecar.
    private mutating func application(
        of source: SidecarSource, _ proxy: ProxyDefinition, _ service: ServiceName, _ http: Bool
    ) -> String? {
        let (sidecar, origin) = (source.definition, source.origin)
        let address: AddressPlan
        if let path = proxy.localServiceSocketPath {
            address = .unix(path: path, mode: 0)
        } else if let port = proxy.localServicePort, port != 0 {
            let host = proxy.localServiceAddress
            guard let ip = IPAddress(source.applicationAddress ?? host) else {
                refuse("\(sidecar.id): the address of \(host) is not known", origin)
                return nil
            }
            address = .ip(ip, port: port)
        } else {
            refuse("\(sidecar.id): the application's port is not known", origin)
            return nil
        }
        let id = "local.\(sidecar.id)"
        let instance = proxy.destinationServiceID ?? ServiceID(service)
        let plan = EndpointPlan(
            address: address, instance: "\(instance) application",
            node: settings.node.name.text)
        var target = TargetPlan(
            id: id, service: service, endpoints: [plan],
            wireProtocol: wireProtocol(of: service, http: http),
            congestion: settings.congestion,
            proxyHeader: defaults(of: service)?.proxyProtocol)
        if let timeout = defaults(of: service)?.localConnectTimeout, timeout > .zero {
            target.connectTimeout = milliseconds(timeout)
        }
        part.add(TargetShape(plan: target, isSettled: true))
        return id
    }

    /// Where the application calls another service: a local address, served with its identity.
    private mutating func addUpstream(
        _ upstream: UpstreamDefinition, of source: SidecarSource, _ service: ServiceName,
        _ leaf: UInt64
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        let destination = upstream.destinationName
        let name = "\(sidecar.id):\(destination.folded):\(upstream.localBindPort)"
        guard upstream.destinationType == .service else {
            refuse("\(name): prepared queries are not supported", origin)
            return
        }
        if let other = upstream.datacenter, other != settings.node.datacenter {
            refuse("\(name): datacenter \(other) is not connected", origin)
            return
        }
        guard let address = localEnd(of: upstream, name, origin) else { return }
        let http = speaksHTTP(destination)
        let reach = Reach(
            caller: .sidecar(service, leafVersion: leaf), http: http,
            connectTimeout: upstream.connectTimeout ?? connectTimeout(of: service, to: destination))
        let kind: ListenerPlan.Kind =
            http
            ? .l7(
                routes(
                    to: destination, reach, rule: "upstream \(destination) of \(service)",
                    origin: text(origin)))
            : .l4(splits(to: destination, reach))
        add(
            ListenerPlan(
                name: name, address: address, kind: kind, role: .outbound, identity: service,
                timeouts: timeouts(http: http), congestion: settings.congestion,
                via: http ? settings.via(name) : "", log: settings.log(),
                hops: http ? settings.tracesOnly : nil), origin)
    }

    /// What the caller's defaults say about reaching a service.
    private mutating func connectTimeout(
        of service: ServiceName, to destination: ServiceName
    ) -> MeshDuration? {
        guard let defaults = defaults(of: service) else { return nil }
        let own = defaults.upstreamOverrides.first { $0.name == destination }
        return own?.connectTimeout ?? defaults.upstreamDefaults?.connectTimeout
    }

    private mutating func localEnd(
        of upstream: UpstreamDefinition, _ name: String, _ origin: Origin?
    ) -> AddressPlan? {
        guard let path = upstream.localBindSocketPath else {
            return listen(
                on: upstream.localBindAddress, port: upstream.localBindPort, name, origin)
        }
        let mode = upstream.localBindSocketMode.flatMap { UInt32($0, radix: 8) }
        return .unix(path: path, mode: mode ?? 0o600)
    }
}
