import MeshHealth
import MeshModel
import MeshStore

/// One service of this node with what was made of its definition. Shared, never changed.
///
/// Definitions are large and most services have no sidecar: it shares what was registered with
/// the store, and has a place for a sidecar where one is asked for.
final class LocalService: Sendable {
    private struct Expansion: Equatable, Sendable {
        var sidecar: ServiceDefinition?
        var problem: Problem?
        /// The ports at which checks are exposed, by their ids.
        var exposed: [String: UInt16] = [:]
    }

    private final class Sidecar: Sendable {
        let expansion: Expansion

        init(_ expansion: Expansion) { self.expansion = expansion }
    }

    private let content: ServiceRecord.Content
    private let wanted: Sidecar?

    /// Expands the sidecar; `ports` are those of sidecars that name none.
    init(_ record: ServiceRecord, ports: SidecarPorts) {
        content = record.content
        wanted = content.wantsSidecar ? Sidecar(Self.expand(record, ports)) : nil
    }

    private static func expand(_ record: ServiceRecord, _ ports: SidecarPorts) -> Expansion {
        let (definition, origin) = (record.definition, record.origin)
        let port = definition.connect.sidecarService?.port ?? ports.ports[definition.id]
        guard let port else {
            let advice =
                definition.connect.managedProxy == nil
                ? "no port is left for the sidecar of \(definition.id): give it a port, or make "
                    + "mesh.sidecar_min_port … mesh.sidecar_max_port wider"
                : "no port is left for the managed proxy of \(definition.id): write bind_port in "
                    + "its config, or make ports.proxy_min_port … ports.proxy_max_port wider"
            return Expansion(problem: Problem(.error, advice, at: origin.location))
        }
        do {
            let sidecar = try definition.sidecar(port: port)
            return expose(definition, by: sidecar, ports, origin)
        } catch {
            return Expansion(
                problem: Problem(
                    .error, "the sidecar of \(definition.id): \(error)", at: origin.location))
        }
    }

    /// What checks ask for is exposed where that is wanted, each at a port of its own.
    private static func expose(
        _ definition: ServiceDefinition, by sidecar: ServiceDefinition?, _ ports: SidecarPorts,
        _ origin: Origin
    ) -> Expansion {
        let wanted = exposedChecks(definition, ports.exposing)
        guard var sidecar, !wanted.isEmpty else { return Expansion(sidecar: sidecar) }
        var paths: [ExposedPath] = []
        var expansion = Expansion()
        for (check, id, path) in wanted {
            guard let port = ports.ports[id] else {
                expansion.problem = Problem(
                    .error,
                    "no port is left for \(path.path) of \(definition.id), which a check asks for: "
                        + "make ports.expose_min_port … ports.expose_max_port wider",
                    at: origin.location)
                continue
            }
            var path = path
            path.listenerPort = port
            paths.append(path)
            expansion.exposed[check] = port
        }
        let exposed = ExposedPath.adding(paths, to: sidecar.proxy?.expose)
        sidecar.proxy?.expose = exposed
        expansion.sidecar = sidecar
        return expansion
    }

    /// What checks of a service ask for, by the names under which they have ports.
    static func exposedChecks(
        _ definition: ServiceDefinition, _ exposing: ExposeDefaults
    ) -> [(check: String, id: ServiceID, path: ExposedPath)] {
        guard exposing.covers(definition) else { return [] }
        return definition.checks.enumerated().compactMap { index, check in
            let name = check.identifier(
                service: definition.id, index: index, count: definition.checks.count)
            guard let path = ExposedPath(of: check), let id = try? ServiceID("exposed:\(name)")
            else { return nil }
            return (name, id, path)
        }
    }

    /// Lent, not copied.
    var definition: ServiceDefinition {
        _read { yield content.definition }
    }
    var id: ServiceID { content.definition.id }
    var origin: Origin { content.origin }
    /// The sidecar that the definition asks for, expanded; for a proxy registered by hand, nil.
    var sidecar: ServiceDefinition? { wanted?.expansion.sidecar }
    /// Why there is no sidecar where one is asked for.
    var problem: Problem? { wanted?.expansion.problem }

    /// The ports at which the sidecar exposes checks, by the ids of these.
    var exposedPorts: [String: UInt16] { wanted?.expansion.exposed ?? [:] }

    /// Whether it is a proxy, or has one by its own definition.
    var concernsProxies: Bool { content.isProxy || content.wantsSidecar || isGateway }

    /// Whether it is a gateway that this node serves.
    var isGateway: Bool { content.isGateway }

    static func concernsProxies(_ definition: ServiceDefinition) -> Bool {
        definition.kind != .typical || definition.connect.sidecarService != nil
    }

    /// Whether it runs on a node that others speak for.
    var isRemote: Bool { content.origin == RemoteServices.origin }

    /// Whether callers look for it: everything but proxies.
    var isInstance: Bool { !content.isProxy }

    /// The ports that the definition claims on this node.
    var claims: [UInt16] { Self.claims(definition) }

    /// Adds them to those of others.
    func addClaims(to all: inout Tally<UInt16>) {
        if concernsProxies { all.add(claims) } else { all.add(definition.port) }
    }

    static func claims(_ definition: ServiceDefinition) -> [UInt16] {
        guard concernsProxies(definition) else { return [definition.port] }
        let wanted = definition.connect.sidecarService
        let proxy = wanted?.proxy ?? definition.proxy
        return [definition.port] + [wanted?.port, proxy?.options.bindPort].compactMap { $0 }
            + (proxy?.upstreams ?? []).map(\.localBindPort)
            + ExposedPath.paths(proxy?.expose).map(\.listenerPort)
    }

    /// The hosts that are dialled and are no addresses.
    var hostNames: [String] {
        // Nearly all have an address and nothing else.
        if !concernsProxies, IPText.isV4(definition.address[...]) { return [] }
        return [
            definition.address, sidecar?.address, sidecar?.proxy?.localServiceAddress,
            definition.proxy?.localServiceAddress,
        ].compactMap { $0 }.filter {
            !$0.isEmpty && $0 != "localhost" && !IPText.isAddress($0[...])
        }
    }

    var checks: [CheckSpec] {
        // A sidecar is a listener of the data plane; its checks count for the service behind it.
        var all: [CheckSpec] = []
        addChecks(to: &all)
        return all
    }

    /// What takes the instance out, if an operator did: a check that nobody makes.
    private var maintenance: [CheckSpec] {
        guard let reason = definition.maintenance else { return [] }
        let check = CheckDefinition(
            name: "Service Maintenance Mode", notes: reason, status: .critical)
        return [
            CheckSpec(
                id: definition.maintenanceCheckID, service: definition.id, definition: check)
        ]
    }

    /// Adds the checks to others.
    func addChecks(to all: inout [CheckSpec]) {
        if definition.maintenance != nil { all.append(contentsOf: maintenance) }
        Self.add(definition.checks, of: id, for: id, to: &all)
        if let sidecar { Self.add(sidecar.checks, of: sidecar.id, for: id, to: &all) }
    }

    private static func add(
        _ checks: [CheckDefinition], of named: ServiceID, for service: ServiceID,
        to all: inout [CheckSpec]
    ) {
        for index in checks.indices {
            all.append(
                CheckSpec(
                    id: checks[index].identifier(
                        service: named, index: index, count: checks.count),
                    service: service, definitions: checks, place: index))
        }
    }
}

extension LocalService: Equatable {
    static func == (left: LocalService, right: LocalService) -> Bool {
        left === right
            || (left.content == right.content
                && left.wanted?.expansion == right.wanted?.expansion)
    }
}

/// How often each of many values is claimed.
struct Tally<Value: Hashable & Sendable>: Sendable, Equatable {
    private var counts: [Value: Int] = [:]

    var values: Dictionary<Value, Int>.Keys { counts.keys }

    func contains(_ value: Value) -> Bool { counts[value] != nil }

    mutating func add(_ value: Value) { counts[value, default: 0] += 1 }

    mutating func add(_ values: [Value]) {
        for value in values { add(value) }
    }

    mutating func add(_ other: Tally) {
        counts.merge(other.counts, uniquingKeysWith: +)
    }

    mutating func remove(_ values: [Value]) {
        for value in values {
            guard let count = counts[value] else { fatalError("removed what was never added") }
            counts[value] = count == 1 ? nil : count - 1
        }
    }
}
