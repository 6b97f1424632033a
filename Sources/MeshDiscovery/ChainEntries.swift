package import MeshModel

/// The config entries that chains are compiled from, found by name.
package struct ChainEntries: Sendable {
    private var routers: [ServiceName: ServiceRouter] = [:]
    private var splitters: [ServiceName: ServiceSplitter] = [:]
    private var resolvers: [ServiceName: ServiceResolver] = [:]
    private var defaults: [ServiceName: ServiceDefaults] = [:]
    package private(set) var proxyDefaults: ProxyDefaults?
    /// What those say that services speak.
    private var usualProtocol: ServiceProtocol?

    package init(_ entries: some Sequence<ConfigEntry>) {
        for entry in entries {
            switch entry {
            case .serviceRouter(let router): routers[router.name] = router
            case .serviceSplitter(let splitter): splitters[splitter.name] = splitter
            case .serviceResolver(let resolver): resolvers[resolver.name] = resolver
            case .serviceDefaults(let own): defaults[own.name] = own
            case .proxyDefaults(let all): proxyDefaults = all
            case .serviceIntentions, .ingressGateway, .terminatingGateway, .other: break
            }
        }
        usualProtocol = proxyDefaults?.serviceProtocol
    }

    func router(_ service: ServiceName) -> ServiceRouter? { routers[service] }
    func splitter(_ service: ServiceName) -> ServiceSplitter? { splitters[service] }
    package func resolver(_ service: ServiceName) -> ServiceResolver? { resolvers[service] }
    package func defaults(_ service: ServiceName) -> ServiceDefaults? { defaults[service] }

    /// Whether nothing was written about the way to a service. Its defaults and those of all
    /// proxies may still say what is at its end.
    func isPlain(_ service: ServiceName) -> Bool {
        routers[service] == nil && splitters[service] == nil && resolvers[service] == nil
    }

    /// Through which gateways a service is reached: none where it is outside the mesh.
    func gateway(to service: ServiceName) -> MeshGatewayMode {
        let own = defaults[service]
        guard (own?.externalSNI ?? "").isEmpty else { return .inherit }
        let mode = own?.meshGateway ?? .inherit
        return mode == .inherit ? proxyDefaults?.meshGateway ?? .inherit : mode
    }

    /// What a service speaks: by its own defaults, where nothing means tcp; only without them by
    /// those of all proxies.
    package func serviceProtocol(of service: ServiceName) -> ServiceProtocol {
        if let own = defaults[service] { return own.serviceProtocol ?? .tcp }
        return usualProtocol ?? .tcp
    }
}
