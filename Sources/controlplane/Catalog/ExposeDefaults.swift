import MeshModel

/// Which sidecars expose what checks of their services ask for, as config entries say: the one for
/// all proxies, and those of services. One that wants it is enough, as in Consul.
struct ExposeDefaults: Sendable, Equatable {
    private var all = false
    private var services: Set<ServiceName> = []

    init() {}

    init(_ entries: some Sequence<ConfigEntry>) {
        for entry in entries {
            switch entry {
            case .proxyDefaults(let defaults):
                if ExposedPath.wantsChecks(defaults.expose) { all = true }
            case .serviceDefaults(let defaults):
                if ExposedPath.wantsChecks(defaults.expose) { services.insert(defaults.name) }
            default: break
            }
        }
    }

    /// Whether the sidecar that a definition asks for does.
    func covers(_ definition: ServiceDefinition) -> Bool {
        guard let wanted = definition.connect.sidecarService else { return false }
        return all || services.contains(definition.name)
            || ExposedPath.wantsChecks(wanted.proxy.expose)
    }
}
