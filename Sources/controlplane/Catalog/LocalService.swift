import MeshHealth
import MeshModel
import MeshStore

/// One service of this node with what was made of its definition. Shared, never changed.
final class LocalService: Sendable {
    let definition: ServiceDefinition
    let origin: Origin
    /// The sidecar that the definition asks for, expanded; for a proxy registered by hand, nil.
    let sidecar: ServiceDefinition?
    /// Why there is no sidecar where one is asked for.
    let problem: Problem?

    /// Expands the sidecar; `ports` are those of sidecars that name none.
    init(_ record: ServiceRecord, ports: SidecarPorts) {
        definition = record.definition
        origin = record.origin
        guard let wanted = definition.connect.sidecarService else {
            (sidecar, problem) = (nil, nil)
            return
        }
        let port = wanted.port ?? ports.ports[definition.id]
        guard let port else {
            sidecar = nil
            problem = Problem(
                .error,
                "no port is left for the sidecar of \(definition.id): give it a port, or make "
                    + "mesh.sidecar_min_port … mesh.sidecar_max_port wider", at: origin.location)
            return
        }
        do {
            sidecar = try definition.sidecar(port: port)
            problem = nil
        } catch {
            sidecar = nil
            problem = Problem(
                .error, "the sidecar of \(definition.id): \(error)", at: origin.location)
        }
    }

    /// Whether it is a proxy, or has one by its own definition.
    var concernsProxies: Bool { Self.concernsProxies(definition) }

    static func concernsProxies(_ definition: ServiceDefinition) -> Bool {
        definition.kind == .connectProxy || definition.connect.sidecarService != nil
    }

    /// Whether callers look for it: everything but proxies.
    var isInstance: Bool { definition.kind != .connectProxy }

    /// The ports that the definition claims on this node.
    var claims: [UInt16] { Self.claims(definition) }

    /// Adds them to those of others.
    func addClaims(to all: inout Tally<UInt16>) {
        if concernsProxies { all.add(claims) } else { all.add(definition.port) }
    }

    static func claims(_ definition: ServiceDefinition) -> [UInt16] {
        guard concernsProxies(definition) else { return [definition.port] }
        let wanted = definition.connect.sidecarService
        let upstreams = wanted?.proxy.upstreams ?? definition.proxy?.upstreams ?? []
        return [definition.port] + [wanted?.port].compactMap { $0 }
            + upstreams.map(\.localBindPort)
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
        Self.specs(definition.checks, of: definition.id, for: definition.id)
            + Self.specs(
                sidecar?.checks ?? [], of: sidecar?.id ?? definition.id.sidecar,
                for: definition.id)
    }

    /// Adds the checks to others.
    func addChecks(to all: inout [CheckSpec]) {
        if !definition.checks.isEmpty || sidecar != nil { all.append(contentsOf: checks) }
    }

    private static func specs(
        _ checks: [CheckDefinition], of named: ServiceID, for service: ServiceID
    ) -> [CheckSpec] {
        checks.enumerated().map { index, check in
            CheckSpec(
                id: check.identifier(service: named, index: index, count: checks.count),
                service: service, definition: check)
        }
    }
}

extension LocalService: Equatable {
    static func == (left: LocalService, right: LocalService) -> Bool {
        left === right
            || (left.definition == right.definition && left.origin == right.origin
                && left.sidecar == right.sidecar && left.problem == right.problem)
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

    mutating func remove(_ values: [Value]) {
        for value in values {
            guard let count = counts[value] else { fatalError("removed what was never added") }
            counts[value] = count == 1 ? nil : count - 1
        }
    }
}
