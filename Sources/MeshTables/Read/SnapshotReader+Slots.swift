import CMeshABI

/// Where workers count, by name; and by what key they know endpoints.
extension SnapshotReader {
    /// One listener or target with its slot in the statistics.
    package struct NamedSlot: Sendable {
        package var name: String
        /// The service's name in lower case; empty for listeners.
        package var service: String
        package var slot: Int
    }

    package var listenerSlots: [NamedSlot] {
        listeners.map {
            NamedSlot(name: text($0.name), service: "", slot: Int($0.stats_slot))
        }.sorted { $0.name < $1.name }
    }

    package var targetSlots: [NamedSlot] {
        targets.map {
            NamedSlot(
                name: text($0.name), service: text($0.service), slot: Int($0.stats_slot))
        }.sorted { $0.name < $1.name }
    }

    /// The ``EndpointPlan/key`` of every endpoint.
    package var endpointKeys: [UInt64] { endpoints.map(\.key) }

    /// A route with its slot in the statistics; nil: it is not counted.
    package struct CountedRoute: Sendable {
        package var listener: String
        package var rule: String
        package var origin: String
        package var slot: Int?
    }

    /// Every route once, by listener in the order in which they were written.
    package var countedRoutes: [CountedRoute] {
        listeners.filter { $0.route_table != ABI_NONE }.flatMap { listener -> [CountedRoute] in
            let table = routeTables[Int(listener.route_table)]
            var indexes: Set<UInt32> = []
            func add(_ list: abi_ref) {
                for place in list.at..<list.at + list.count {
                    indexes.insert(routeList[Int(place)])
                }
            }
            add(table.routes)
            for slot in table.hosts.at..<table.hosts.at + table.hosts.count {
                add(hosts[Int(slot)].routes)
            }
            let name = text(listener.name)
            return indexes.sorted().map { index in
                let route = routes[Int(index)]
                let isCounted = route.stats_slot != UInt16(ABI_ROUTE_UNCOUNTED)
                return CountedRoute(
                    listener: name, rule: text(route.rule), origin: text(route.origin),
                    slot: isCounted ? Int(route.stats_slot) : nil)
            }
        }
    }

    /// An endpoint with its slot in the statistics.
    package struct CountedEndpoint: Sendable {
        package var service: String
        package var instance: String
        package var address: String
        package var slot: Int
    }

    /// Endpoints that are counted, each once whatever targets have it, by slot.
    package var countedEndpoints: [CountedEndpoint] {
        var found: [UInt32: CountedEndpoint] = [:]
        for target in targets {
            for place in target.endpoints.at..<target.endpoints.at + target.endpoints.count {
                let endpoint = endpoints[Int(place)]
                let slot = endpoint.overlay_slot
                guard slot < LIMIT_ENDPOINT_SLOTS, found[slot] == nil else { continue }
                found[slot] = CountedEndpoint(
                    service: text(target.service), instance: text(endpoint.instance),
                    address: address(endpoint.address), slot: Int(slot))
            }
        }
        return found.values.sorted { $0.slot < $1.slot }
    }
}
