import CMeshABI

/// What a snapshot makes the workers do, for people and programs: `meshctl routes`.
package struct SnapshotDump: Hashable, Sendable {
    package struct Route: Hashable, Sendable {
        /// The hosts for which the route is asked; `*` for those that no route names.
        package var hosts: [String]
        package var match: String
        package var action: String
        package var rule: String
        package var origin: String
    }

    package struct Listener: Hashable, Sendable {
        package var name: String
        package var address: String
        /// `l4` or `l7`.
        package var kind: String
        /// `none`, `tls` or `mtls`.
        package var tls: String
        /// `plain`, `mesh-inbound` or `mesh-outbound`.
        package var role: String
        package var identity: String?
        package var routes: [Route]
        /// Destinations of streams; of TLS that goes on as it is, those of other names.
        package var splits: String?
        package var settings: ListenerSettings
    }

    package struct Endpoint: Hashable, Sendable {
        package var instance: String
        package var node: String
        package var address: String
        package var tls: Bool
        package var healthy: Bool
        package var weight: Int
    }

    package struct Target: Hashable, Sendable {
        package var name: String
        package var service: String
        package var endpoints: [Endpoint]
        package var failover: [String]
        /// The PROXY header that connections begin with: `v1` or `v2`.
        package var proxyProtocol: String?
    }

    package var generation: UInt64
    package var listeners: [Listener]
    package var targets: [Target]

    /// Reads all of a snapshot; `overlay` gives the word of a slot, 0 is healthy.
    package init(_ reader: SnapshotReader, overlay: (UInt32) -> UInt64 = { _ in 0 }) {
        generation = reader.generation
        listeners = reader.listeners.indices.map { Self.listener($0, reader) }
            .sorted { $0.name < $1.name }
        targets = reader.targets.map { Self.target($0, reader, overlay) }
            .sorted { $0.name < $1.name }
    }

    private static func listener(_ place: Int, _ reader: SnapshotReader) -> Listener {
        let record = reader.listeners[place]
        let isL7 = record.kind == UInt8(ABI_LISTENER_L7.rawValue)
        var tls = "none"
        if record.tls != ABI_NONE {
            let verify = reader.tls[Int(record.tls)].verify
            tls = verify == UInt8(ABI_TLS_VERIFY_NONE.rawValue) ? "tls" : "mtls"
        }
        let flags = UInt32(record.flags)
        let role =
            flags & ABI_LISTENER_MESH_INBOUND.rawValue != 0
            ? "mesh-inbound"
            : flags & ABI_LISTENER_MESH_OUTBOUND.rawValue != 0 ? "mesh-outbound" : "plain"
        let identity =
            record.identity == ABI_NONE
            ? nil : reader.text(reader.identities[Int(record.identity)].service)
        return Listener(
            name: reader.text(record.name), address: reader.address(record.address),
            kind: isL7 ? "l7" : "l4", tls: tls, role: role, identity: identity,
            routes: record.isRedirected
                ? originals(place, reader)
                : record.route_table == ABI_NONE
                    ? [] : routes(reader.routeTables[Int(record.route_table)], reader),
            splits: record.splits.count == 0 ? nil : reader.describe(record.splits),
            settings: reader.settings(of: record))
    }

    /// The addresses of redirected connections, each with the listener that stands for it.
    private static func originals(_ place: Int, _ reader: SnapshotReader) -> [Route] {
        let name = reader.text(reader.listeners[place].name)
        func route(_ match: String, _ inner: UInt32) -> Route {
            let to = inner == ABI_NONE ? "closed" : reader.text(reader.listeners[Int(inner)].name)
            return Route(hosts: ["*"], match: match, action: "to \(to)", rule: name, origin: "")
        }
        return reader.originals.filter { $0.listener == UInt32(place) }.map { original in
            let address = reader.address(original)
            return route(
                original.port == 0 ? "to \(address)" : "to \(address) port \(original.port)",
                original.inner)
        } + [route("to any other address", reader.listeners[place].other)]
    }

    /// The routes of a table in the order in which they were written, each with its hosts.
    private static func routes(_ table: abi_route_table, _ reader: SnapshotReader) -> [Route] {
        var hosts: [UInt32: [String]] = [:]
        for slot in table.hosts.at..<table.hosts.at + table.hosts.count {
            let host = reader.hosts[Int(slot)]
            guard host.name.len > 0 else { continue }
            for place in host.routes.at..<host.routes.at + host.routes.count {
                hosts[reader.routeList[Int(place)], default: []].append(reader.text(host.name))
            }
        }
        for place in table.routes.at..<table.routes.at + table.routes.count {
            hosts[reader.routeList[Int(place)]] = ["*"]
        }
        return hosts.keys.sorted().map { index in
            let record = reader.routes[Int(index)]
            return Route(
                hosts: (hosts[index] ?? []).sorted(), match: reader.describeMatch(record),
                action: reader.describe(record), rule: reader.text(record.rule),
                origin: reader.text(record.origin))
        }
    }

    private static func target(
        _ record: abi_target, _ reader: SnapshotReader, _ overlay: (UInt32) -> UInt64
    ) -> Target {
        let range = record.endpoints.at..<record.endpoints.at + record.endpoints.count
        let failover = record.failover.at..<record.failover.at + record.failover.count
        return Target(
            name: reader.text(record.name), service: reader.text(record.service),
            endpoints: range.map { endpoint(reader.endpoints[Int($0)], reader, overlay) },
            failover: failover.map {
                reader.text(reader.targets[Int(reader.targetList[Int($0)])].name)
            }, proxyProtocol: reader.proxyVersions(record.proxy_out).first)
    }

    private static func endpoint(
        _ record: abi_endpoint, _ reader: SnapshotReader, _ overlay: (UInt32) -> UInt64
    ) -> Endpoint {
        let word = overlay(record.overlay_slot)
        let down = UInt64(ABI_OVERLAY_DOWN.rawValue | ABI_OVERLAY_DRAIN.rawValue)
        let weight = Int(word >> UInt64(ABI_OVERLAY_WEIGHT_SHIFT) & 0xffff)
        return Endpoint(
            instance: reader.text(record.instance), node: reader.text(record.node),
            address: reader.address(record.address), tls: record.tls != ABI_NONE,
            healthy: word & down == 0, weight: weight == 0 ? Int(record.weight) : weight)
    }
}
