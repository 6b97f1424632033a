import MeshDiscovery
import MeshModel
import MeshTables

/// Sidecars: one listener that the mesh calls, one for each upstream that the application calls.
extension PartCompiler {
    mutating func addSidecar(_ source: SidecarSource) {
        let sidecar = source.definition
        guard let proxy = sidecar.proxy, let service = proxy.destinationServiceName else { return }
        let options = options(of: proxy, service)
        // Who registers a proxy by hand runs it, unless he says otherwise.
        if frame.told == nil, options.external ?? source.isHandmade { return }
        guard let leaf = source.leafVersion else {
            refuse("\(sidecar.id): there is no certificate of \(service) yet", source.origin)
            return
        }
        // Without a port it only calls others.
        if (options.bindPort ?? sidecar.port) != 0 { addInbound(source, proxy, options, leaf) }
        if let told = frame.told {
            for (upstream, way) in zip(proxy.upstreams, told.ways) {
                addUpstream(upstream, way, of: source, service, leaf)
            }
            addTransparent(source, proxy, service, leaf)
            return
        }
        for upstream in proxy.upstreams { addUpstream(upstream, of: source, service, leaf) }
        addTransparent(source, proxy, service, leaf)
    }

    /// What holds for a proxy: what it says itself, then its service's defaults, then those of all
    /// proxies.
    mutating func options(of proxy: ProxyDefinition?, _ service: ServiceName) -> ProxyOptions {
        var options = proxy?.options ?? ProxyOptions()
        if let own = defaults(of: service) { options = options.over(ProxyOptions(own)) }
        if let usual = chains.proxyDefaults {
            var all = ProxyOptions(usual.config)
            // These are about one proxy.
            (all.bindPort, all.localService, all.external) = (nil, nil, nil)
            options = options.over(all)
        }
        return options
    }

    /// Callers prove their identity by mutual TLS; the intentions of the service decide; what may
    /// come in goes to the application.
    private mutating func addInbound(
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ options: ProxyOptions, _ leaf: UInt64
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        guard let service = proxy.destinationServiceName else { return }
        let http = speaksHTTP(service)
        let host = sidecar.address.isEmpty ? settings.node.address : sidecar.address
        // A host name is what others dial; what is listened on is then every address.
        let bind = options.bindAddress ?? (IPAddress(host) == nil ? "0.0.0.0" : host)
        let port = options.bindPort ?? sidecar.port
        let wire = wireProtocol(of: service, http: http)
        guard let address = listen(on: bind, port: port, "\(sidecar.id)", origin),
            let target = application(of: source, proxy, options, wire)
        else { return }
        add(
            ListenerPlan(
                name: sidecar.id.text, address: address,
                kind: http
                    ? .l7([
                        RoutePlan(
                            action: .forward(SplitPlan.all(to: target)), retries: Self.retries,
                            retryOn: Self.retryOn, rule: "sidecar of \(service)",
                            origin: text(origin))
                    ]) : .l4(SplitPlan.all(to: target)), role: .inbound,
                identity: service, intentionsOf: service,
                timeouts: timeouts(
                    http: http, request: options.localRequestTimeout,
                    handshake: options.handshakeTimeout, lifetime: options.maxConnectionLifetime),
                congestion: settings.congestion,
                via: http ? settings.via(sidecar.id.text) : "", log: settings.log(),
                hops: http ? settings.tracesOnly : nil),
            tls: meshTLS(
                server: true, as: service, leafVersion: leaf,
                alpn: http ? ["h2", "http/1.1"] : []), origin)
        addExposed(source, proxy, options, on: bind)
    }

    /// Paths that are reached without TLS and identity.
    private mutating func addExposed(
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ options: ProxyOptions, on bind: String
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        guard let service = proxy.destinationServiceName else { return }
        let paths = exposed(by: proxy, service)
        for port in Set(paths.map(\.listenerPort)).sorted() {
            let name = "\(sidecar.id):exposed:\(port)"
            guard let address = listen(on: bind, port: port, name, origin) else { continue }
            let routes = paths.filter { $0.listenerPort == port }.compactMap { path in
                application(
                    of: source, proxy, options, path.isHTTP2 ? .http2 : .http1,
                    exposed: path
                ).map { target in
                    RoutePlan(
                        match: HTTPMatch(path: .exact(path.path)),
                        action: .forward(SplitPlan.all(to: target)),
                        rule: "exposed path \(path.path) of \(service)", origin: text(origin))
                }
            }
            add(
                ListenerPlan(
                    name: name, address: address, kind: .l7(routes),
                    timeouts: timeouts(http: true, lifetime: options.maxConnectionLifetime),
                    congestion: settings.congestion, via: settings.via(name),
                    log: settings.log(), hops: settings.tracesOnly), origin)
        }
    }

    /// The proxy's own paths; where it has none its service's, then those of all proxies.
    private mutating func exposed(
        by proxy: ProxyDefinition, _ service: ServiceName
    ) -> [ExposedPath] {
        let own = ExposedPath.paths(proxy.expose)
        if own.contains(where: { !$0.isFromCheck }) { return own }
        let usual = ExposedPath.paths(defaults(of: service)?.expose)
        return own + (usual.isEmpty ? ExposedPath.paths(chains.proxyDefaults?.expose) : usual)
    }

    func timeouts(
        http: Bool, request: MeshDuration? = nil, handshake: MeshDuration? = nil,
        lifetime: MeshDuration?
    ) -> ListenerPlan.Timeouts {
        ListenerPlan.Timeouts(
            head: 10_000, idle: http ? 60_000 : 0,
            request: http ? request.map(milliseconds) ?? 0 : 0,
            handshake: handshake.map(milliseconds) ?? 10_000,
            lifetime: lifetime.map(milliseconds) ?? 0)
    }

    private func text(_ origin: Origin?) -> String { origin.map { "\($0)" } ?? "" }

    /// The target that is the application behind a sidecar, or what of it `exposed` says.
    private mutating func application(
        of source: SidecarSource, _ proxy: ProxyDefinition, _ options: ProxyOptions,
        _ wire: TargetPlan.WireProtocol, exposed: ExposedPath? = nil
    ) -> String? {
        let sidecar = source.definition
        guard let service = proxy.destinationServiceName,
            let address = applicationAddress(source, proxy, options, exposed?.localPathPort)
        else { return nil }
        let id =
            exposed.map { "local.\(sidecar.id):\($0.listenerPort)\($0.path)" }
            ?? "local.\(sidecar.id)"
        let instance = proxy.destinationServiceID ?? ServiceID(service)
        let plan = EndpointPlan(
            address: address, instance: "\(instance) application",
            node: settings.node.name.text)
        var target = TargetPlan(
            id: id, service: service, endpoints: [plan], wireProtocol: wire,
            congestion: settings.congestion,
            proxyHeader: exposed == nil ? defaults(of: service)?.proxyProtocol : nil)
        if let timeout = options.localConnectTimeout {
            target.connectTimeout = milliseconds(timeout)
        }
        if let most = options.maxInboundConnections, most > 0, exposed == nil {
            var bound = GuardPlan()
            bound.maxConnections = UInt32(clamping: most)
            target.guarded = bound
        }
        part.add(TargetShape(plan: target, isSettled: true))
        return id
    }

    /// Where the application listens, or nil with a problem.
    private mutating func applicationAddress(
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ options: ProxyOptions,
        _ other: UInt16?
    ) -> AddressPlan? {
        let id = source.definition.id
        if other == nil, let path = proxy.localServiceSocketPath {
            return .unix(path: path, mode: 0)
        }
        let own = proxy.localServicePort.flatMap { $0 == 0 ? nil : $0 }
        let configured = own == nil ? options.localService : nil
        guard let port = other ?? own ?? configured?.port else {
            refuse("\(id): the application's port is not known", source.origin)
            return nil
        }
        let host = configured?.host ?? proxy.localServiceAddress
        let known = configured == nil ? source.applicationAddress : nil
        guard let ip = IPAddress(host == "localhost" ? "127.0.0.1" : known ?? host) else {
            refuse("\(id): the address of \(host) is not known", source.origin)
            return nil
        }
        return .ip(ip, port: port)
    }

    /// Where the application calls another service: a local address, served with its identity.
    private mutating func addUpstream(
        _ upstream: UpstreamDefinition, of source: SidecarSource, _ service: ServiceName,
        _ leaf: UInt64
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        let destination = upstream.destinationName
        let name = Self.name(of: upstream, of: sidecar)
        let far = upstream.datacenter.flatMap { $0 == settings.node.datacenter ? nil : $0 }
        let isQuery = upstream.destinationType == .preparedQuery
        let query = isQuery && far == nil ? source.queries[destination] : nil
        if isQuery, let far {
            refuse(
                "\(name): prepared query \(destination) is asked in datacenter \(far), which is "
                    + "not connected", origin)
        } else if isQuery, query == nil {
            refuse("\(name): there is no prepared query \(destination) yet", origin)
        }
        let spoken = (query?.service.service).flatMap { try? ServiceName($0) } ?? destination
        var reach = reach(upstream, of: source, service, leaf, spoken: spoken)
        reach.datacenter = far
        let rule = Self.rule(upstream, service)
        guard isQuery else {
            addUpstream(upstream, of: source, service, reach)
            return
        }
        let splits = SplitPlan.all(
            to: query.map { self.target(of: $0, spoken, reach, name, origin) }
                ?? nowhere(destination, reach))
        add(
            upstream, of: source, service,
            reach.http
                ? .l7([
                    RoutePlan(
                        action: .forward(splits), retries: Self.retries, retryOn: Self.retryOn,
                        rule: rule, origin: text(origin))
                ]) : .l4(splits))
    }

    /// Whether requests to an upstream are understood, and what its instances are spoken to in
    /// where that is not what their service says.
    private mutating func language(
        _ asked: ServiceProtocol?, of service: ServiceName, _ name: String, _ origin: Origin?
    ) -> (http: Bool, spoken: ServiceProtocol?) {
        let own = chains.serviceProtocol(of: service, &part.asked)
        guard let asked, asked != own else { return (own != .tcp, nil) }
        if own == .tcp, asked != .http {
            refuse(
                "\(name): \(service) speaks tcp, the upstream \(asked.rawValue), which its proxies "
                    + "offer only when it says so itself: write its protocol into service-defaults "
                    + "\(service); until then bytes are passed on", origin)
            return (false, nil)
        }
        return (asked != .tcp, asked == .tcp ? nil : asked)
    }

    /// How an upstream calls the service that it speaks to.
    mutating func reach(
        _ upstream: UpstreamDefinition, of source: SidecarSource, _ service: ServiceName,
        _ leaf: UInt64, spoken: ServiceName
    ) -> Reach {
        let options = options(of: upstream, service)
        let name = Self.name(of: upstream, of: source.definition)
        let (http, wire) = language(options.serviceProtocol, of: spoken, name, source.origin)
        return Reach(
            caller: .sidecar(service, leafVersion: leaf), http: http, spoken: wire,
            connectTimeout: options.connectTimeout, options: upstream.options,
            place: upstream.localBind)
    }

    static func name(of upstream: UpstreamDefinition, of sidecar: ServiceDefinition) -> String {
        "\(sidecar.id):\(upstream.destinationName.folded):\(upstream.localBindPort)"
    }

    private static func rule(_ upstream: UpstreamDefinition, _ service: ServiceName) -> String {
        "upstream \(upstream.destinationName) of \(service)"
    }

    /// The listener that leads to the service of an upstream.
    mutating func addUpstream(
        _ upstream: UpstreamDefinition, of source: SidecarSource, _ service: ServiceName,
        _ reach: Reach
    ) {
        let destination = upstream.destinationName
        add(
            upstream, of: source, service,
            reach.http
                ? .l7(
                    routes(
                        to: destination, reach, rule: Self.rule(upstream, service),
                        origin: text(source.origin)))
                : .l4(splits(to: destination, reach)))
    }

    private mutating func add(
        _ upstream: UpstreamDefinition, of source: SidecarSource, _ service: ServiceName,
        _ kind: ListenerPlan.Kind
    ) {
        let (sidecar, origin) = (source.definition, source.origin)
        let name = Self.name(of: upstream, of: sidecar)
        guard let address = localEnd(of: upstream, name, origin) else { return }
        var http = false
        if case .l7 = kind { http = true }
        add(
            ListenerPlan(
                name: name, address: address, kind: kind, role: .outbound, identity: service,
                timeouts: timeouts(http: http, lifetime: lifetime(of: source, service)),
                congestion: settings.congestion,
                via: http ? settings.via(name) : "", log: settings.log(),
                hops: http ? settings.tracesOnly : nil), origin)
    }

    /// How long the connections of a sidecar may last.
    mutating func lifetime(of source: SidecarSource, _ service: ServiceName) -> MeshDuration? {
        options(of: source.definition.proxy, service).maxConnectionLifetime
    }

    /// What holds for an upstream: what it says itself, then what its service's defaults say of it,
    /// then what those say of all. Limits and ejection are guards: see `guarded`.
    private mutating func options(
        of upstream: UpstreamDefinition, _ service: ServiceName
    ) -> UpstreamOptions {
        var options = upstream.options
        guard let defaults = defaults(of: service) else { return options }
        let own = defaults.upstreamOverrides.first { $0.name == upstream.destinationName }
        options.connectTimeout =
            options.connectTimeout ?? own?.connectTimeout
            ?? defaults.upstreamDefaults?.connectTimeout
        options.serviceProtocol =
            options.serviceProtocol ?? own?.serviceProtocol
            ?? defaults.upstreamDefaults?.serviceProtocol
        return options
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
