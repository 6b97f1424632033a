package import MeshModel

/// The config entries that chains are compiled from, found by name.
package struct ChainEntries: Sendable {
    private var routers: [ServiceName: ServiceRouter] = [:]
    private var splitters: [ServiceName: ServiceSplitter] = [:]
    private var resolvers: [ServiceName: ServiceResolver] = [:]
    private var defaults: [ServiceName: ServiceDefaults] = [:]
    private(set) var proxyDefaults: ProxyDefaults?

    package init(_ entries: some Sequence<ConfigEntry>) {
        for entry in entries {
            switch entry {
            case .serviceRouter(let router): routers[router.name] = router
            case .serviceSplitter(let splitter): splitters[splitter.name] = splitter
            case .serviceResolver(let resolver): resolvers[resolver.name] = resolver
            case .serviceDefaults(let own): defaults[own.name] = own
            case .proxyDefaults(let all): proxyDefaults = all
            case .serviceIntentions, .other: break
            }
        }
    }

    func router(_ service: ServiceName) -> ServiceRouter? { routers[service] }
    func splitter(_ service: ServiceName) -> ServiceSplitter? { splitters[service] }
    func resolver(_ service: ServiceName) -> ServiceResolver? { resolvers[service] }
    package func defaults(_ service: ServiceName) -> ServiceDefaults? { defaults[service] }

    /// The PROXY header that the instances of a service expect.
    package func proxyHeader(of service: ServiceName) -> ProxyHeaderVersion? {
        defaults[service]?.proxyProtocol
    }

    /// What a service speaks: by its own defaults, where nothing means tcp; only without them by
    /// those of all proxies.
    package func serviceProtocol(of service: ServiceName) -> ServiceProtocol {
        if let own = defaults[service] { return own.serviceProtocol ?? .tcp }
        return proxyDefaults?.serviceProtocol ?? .tcp
    }
}
