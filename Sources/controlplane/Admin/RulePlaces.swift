import MeshModel
import MeshStore
import MeshTables

/// Where the rules of an explanation stand that the tables do not tell of: in what is written about
/// listeners, services and those who call them.
struct RulePlaces {
    struct Place: Equatable {
        var rule: String
        var origin: String
    }

    private let listeners: [String: Origin]
    private let inventory: Inventory
    private let entry: (ConfigEntry.Key) -> ConfigEntryRecord?

    init(
        listeners: [String: Origin], inventory: Inventory,
        entry: @escaping (ConfigEntry.Key) -> ConfigEntryRecord?
    ) {
        self.listeners = listeners
        self.inventory = inventory
        self.entry = entry
    }

    /// The phase with its rule and the place of it, where it has none and they are known.
    func completed(_ phase: Explanation.Phase) -> Explanation.Phase {
        guard let subject = phase.subject, phase.origin?.isEmpty ?? true,
            let place = place(of: subject)
        else { return phase }
        var phase = phase
        (phase.rule, phase.origin) = (phase.rule ?? place.rule, place.origin)
        return phase
    }

    /// nil: nobody wrote anything, and what holds is what holds for all.
    func place(of subject: Explanation.Phase.Subject) -> Place? {
        switch subject {
        case .listener(let name):
            return listener(name)
        case .calls(let service, let caller):
            return ceilings(of: service, by: caller)
        case .choice(let service):
            return place(.serviceResolver, service) { entry in
                guard case .serviceResolver(let resolver) = entry else { return false }
                return resolver.loadBalancer != nil || resolver.prioritizeByLocality != nil
                    || !resolver.failover.isEmpty || !resolver.subsets.isEmpty
            }
        case .language(let service):
            return place(.serviceDefaults, service) { _ in true }
        case .instance(let id):
            return instance(id)
        }
    }

    /// The caller's defaults come before the service's resolver, as in the compiler.
    private func ceilings(of service: String, by caller: String?) -> Place? {
        let own = caller.flatMap { name in
            place(.serviceDefaults, name) { entry in
                guard case .serviceDefaults(let defaults) = entry else { return false }
                let named = defaults.upstreamOverrides.filter { $0.name?.folded == service }
                return (named + [defaults.upstreamDefaults].compactMap { $0 }).contains {
                    $0.limits != nil || $0.passiveHealthCheck != nil
                }
            }
        }
        return own
            ?? place(.serviceResolver, service) { entry in
                guard case .serviceResolver(let resolver) = entry else { return false }
                return resolver.limits != nil || resolver.passiveHealthCheck != nil
            }
    }

    private func instance(_ id: String) -> Place? {
        (try? ServiceID(id)).flatMap(inventory.origin).map {
            Place(rule: "service \(id)", origin: "\($0)")
        }
    }

    /// Those of sidecars, `ID` and `ID:UPSTREAM:PORT`, are written with their services.
    private func listener(_ name: String) -> Place? {
        let owner = try? ServiceID(String(name.prefix { $0 != ":" }))
        return (listeners[name] ?? owner.flatMap(inventory.origin)).map {
            Place(rule: "listener \(name)", origin: "\($0)")
        }
    }

    private func place(
        _ kind: ConfigEntry.Kind, _ name: String, _ says: (ConfigEntry) -> Bool
    ) -> Place? {
        let key = ConfigEntry.Key(kind: kind.rawValue, name: name)
        guard let record = entry(key), says(record.entry) else { return nil }
        return Place(rule: "\(kind.rawValue) \(name)", origin: "\(record.origin)")
    }
}
