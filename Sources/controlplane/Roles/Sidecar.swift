import MeshDiscovery
import MeshModel
import MeshTables

/// Sidecars: one listener that the mesh calls, one for each upstream that the application calls.
extension NodeCompiler {
    mutating func addSidecar(_ sidecar: ServiceDefinition) {
        guard let proxy = sidecar.proxy, let service = proxy.destinationServiceName else { return }
        let origin = state.inventory.origin(of: sidecar.id)
        guard state.mesh.leaves[service] != nil else {
            refuse("\(sidecar.id): there is no certificate of \(service) yet", origin)
            return
        }
        addInbound(sidecar, proxy, service, origin)
        for upstream in proxy.upstreams { addUpstream(upstream, of: sidecar, service, origin) }
    }

    /// Callers prove their identity by mutual TLS; the intentions of the service decide; what may
    /// come in goes to the application.
    private mutating func addInbound(
        _ sidecar: ServiceDefinition, _ proxy: ProxyDefinition, _ service: ServiceName,
        _ origin: Origin?
    ) {
        let http = speaksHTTP(service)
        let host = sidecar.address.isEmpty ? state.settings.node.address : sidecar.address
        // A host name is what others dial; what is listened on is then every address.
        let bind = (try? AddressPlan(ip: host, port: sidecar.port)) == nil ? "0.0.0.0" : host
        guard let address = listen(on: bind, port: sidecar.port, "\(sidecar.id)", origin),
            let target = application(of: sidecar, proxy, service, http, origin),
            let tls = meshTLS(server: true, as: service, http: http)
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
                    ]) : .l4(SplitPlan.all(to: target)), role: .inbound, tls: tls,
                identity: service, intentionsOf: service,
                timeouts: timeouts(
                    http: http, request: chainEntries.defaults(service)?.localRequestTimeout),
                congestion: state.settings.congestion,
                via: http ? state.settings.via(sidecar.id.text) : "", log: state.settings.log()),
            origin)
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
        of sidecar: ServiceDefinition, _ proxy: ProxyDefinition, _ service: ServiceName,
        _ http: Bool, _ origin: Origin?
    ) -> String? {
        let address: AddressPlan?
        if let path = proxy.localServiceSocketPath {
            address = .unix(path: path, mode: 0)
        } else if let port = proxy.localServicePort, port != 0 {
            address = dialled(proxy.localServiceAddress, port: port, "\(sidecar.id)", origin)
        } else {
            refuse("\(sidecar.id): the application's port is not known", origin)
            return nil
        }
        guard let address else { return nil }
        let id = "local.\(sidecar.id)"
        let instance = proxy.destinationServiceID ?? ServiceID(service)
        let plan = EndpointPlan(
            address: address, instance: "\(instance) application",
            node: state.settings.node.name.text)
        var target = TargetPlan(
            id: id, service: service, endpoints: [plan], wireProtocol: http ? .http1 : .tcp,
            congestion: state.settings.congestion,
            proxyHeader: chainEntries.proxyHeader(of: service))
        if let timeout = chainEntries.defaults(service)?.localConnectTimeout, timeout > .zero {
            target.connectTimeout = milliseconds(timeout)
        }
        catalog.add(target)
        return id
    }

    /// Where the application calls another service: a local address, served with its identity.
    private mutating func addUpstream(
        _ upstream: UpstreamDefinition, of sidecar: ServiceDefinition, _ service: ServiceName,
        _ origin: Origin?
    ) {
        let destination = upstream.destinationName
        let name = "\(sidecar.id):\(destination.folded):\(upstream.localBindPort)"
        guard upstream.destinationType == .service else {
            refuse("\(name): prepared queries are not supported", origin)
            return
        }
        if let other = upstream.datacenter, other != state.settings.node.datacenter {
            refuse("\(name): datacenter \(other) is not connected", origin)
            return
        }
        guard let address = localEnd(of: upstream, name, origin) else { return }
        let http = speaksHTTP(destination)
        let reach = Reach(
            caller: .sidecar(service), http: http,
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
                timeouts: timeouts(http: http), congestion: state.settings.congestion,
                via: http ? state.settings.via(name) : "", log: state.settings.log()), origin)
    }

    /// What the caller's defaults say about reaching a service.
    private func connectTimeout(
        of service: ServiceName, to destination: ServiceName
    ) -> MeshDuration? {
        guard let defaults = chainEntries.defaults(service) else { return nil }
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
