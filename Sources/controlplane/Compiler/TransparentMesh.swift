import MeshModel
import MeshStore
import MeshTables

/// What transparent proxies of a node reach without an upstream: the services of the mesh, at the
/// addresses where applications call them.
struct TransparentMesh: Equatable, Sendable {
    struct Instance: Equatable, Sendable {
        var id: ServiceID
        var address: IPAddress
        var port: UInt16
        /// Whether its own proxy wants to be called at this address alone.
        var isDirect: Bool
    }

    struct Service: Equatable, Sendable {
        var name: ServiceName
        /// Where it is called as a whole, on every port.
        var virtual: [IPAddress]
        var instances: [Instance]
    }

    /// By name.
    var services: [Service]
    /// Whether nothing else is reached.
    var isClosed: Bool
    /// How many proxies of the node are, or may be, transparent.
    var callers: Int

    /// Which proxies of a node are asked for as transparent ones.
    struct Wish: Equatable, Sendable {
        /// Proxies that say nothing by themselves may be: an entry says it for them.
        var byDefault: Bool
        var callers: Int

        init(_ entries: some Sequence<ConfigEntry>, _ proxies: [ServiceDefinition]) {
            let wanted = ProxyMode.transparent.rawValue
            byDefault = entries.contains { entry in
                switch entry {
                case .serviceDefaults(let defaults): defaults.mode == wanted
                case .proxyDefaults(let defaults): defaults.mode == wanted
                default: false
                }
            }
            callers = 0
            for place in proxies.indices where covers(proxies[place].proxy) { callers += 1 }
        }

        /// Whether a proxy may be transparent.
        func covers(_ proxy: ProxyDefinition?) -> Bool {
            guard let proxy else { return false }
            let mode = proxy.mode ?? ""
            return mode == ProxyMode.transparent.rawValue || (byDefault && mode.isEmpty)
        }
    }

    /// The most listeners that these services can need for one proxy.
    var greatestNeed: Int { services.reduce(0) { $0 + 1 + $1.instances.count } }

    init(_ state: DesiredState, _ wish: Wish) {
        callers = wish.callers
        isClosed = state.entries.lazy.compactMap(\.entry.meshDestinationsOnly).first ?? false
        let outside = Set(
            GatewayLinks.gateways(state.entries.lazy.map(\.entry), state.inventory).keys)
        var byName: [ServiceName: Service] = [:]
        for (text, address) in state.virtualAddresses {
            guard let name = try? ServiceName(text) else { continue }
            byName[name] = Service(
                name: name, virtual: [IPAddress(v4: address.bits)], instances: [])
        }
        for instance in state.inventory.instances where instance.definition.kind == .typical {
            let definition = instance.definition
            let proxy = state.inventory.proxy(of: definition)
            guard proxy != nil || definition.connect.native || outside.contains(definition.name)
            else { continue }
            var service =
                byName[definition.name]
                ?? Service(name: definition.name, virtual: [], instances: [])
            for places in [definition.taggedAddresses, proxy?.taggedAddresses] {
                for name in [TaggedAddress.virtual, TaggedAddress.consulVirtual] {
                    guard let place = places?[name], let ip = IPAddress(place.address),
                        !service.virtual.contains(ip)
                    else { continue }
                    service.virtual.append(ip)
                }
            }
            let host =
                definition.address.isEmpty
                ? (state.inventory.node(of: instance) ?? state.settings.node).address
                : definition.address
            if definition.port != 0,
                let ip = IPAddress(host) ?? state.addresses[host].flatMap({ IPAddress($0) })
            {
                service.instances.append(
                    Instance(
                        id: definition.id, address: ip, port: definition.port,
                        isDirect: proxy?.proxy?.transparentProxy?.dialedDirectly ?? false))
            }
            byName[definition.name] = service
        }
        services = byName.values.sorted { $0.name < $1.name }
    }
}
