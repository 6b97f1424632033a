import MeshDiscovery
import MeshModel
import MeshStore

/// Refuses writes after which a discovery chain would be none, or permissions would be about what
/// no proxy can see. Consul's texts, with its status 500.
enum EntryGuard {
    /// Looks at the state as it would be after a write that touches `entry`.
    static func check(
        _ state: StoreState, after entry: ConfigEntry, in datacenter: DatacenterName
    ) throws {
        let records = state.plainEntries
        let entries = ChainEntries(records.map(\.entry))
        for name in names(records.map(\.entry), and: entry) {
            do {
                _ = try ChainCompiler.compile(name, in: datacenter, entries: entries)
            } catch let error as MeshError {
                throw APIError(500, error.message)
            }
        }
        for intention in state.intentions {
            guard case .permissions = intention.effect,
                case .exact(let name) = intention.destination
            else { continue }
            let spoken = entries.serviceProtocol(of: name)
            guard !spoken.isHTTPLike else { continue }
            throw APIError(
                500,
                "service \"\(name)\" has protocol \"\(spoken.rawValue)\", which is incompatible "
                    + "with L7 intentions permissions")
        }
    }

    /// The services whose chains are more than a name: those of entries, and the one written.
    private static func names(
        _ entries: [ConfigEntry], and written: ConfigEntry
    ) -> [ServiceName] {
        var names: Set<ServiceName> = []
        for entry in entries + [written] {
            switch entry {
            case .serviceRouter(let router): names.insert(router.name)
            case .serviceSplitter(let splitter): names.insert(splitter.name)
            case .serviceResolver(let resolver): names.insert(resolver.name)
            case .serviceDefaults(let defaults): names.insert(defaults.name)
            case .proxyDefaults, .serviceIntentions, .ingressGateway, .terminatingGateway, .other:
                break
            }
        }
        return names.sorted()
    }
}
