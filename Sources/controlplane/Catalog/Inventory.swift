import MeshHealth
import MeshModel
import MeshStore

/// One service of this node with what was made of its definition.
struct LocalService: Sendable, Equatable {
    var definition: ServiceDefinition
    var origin: Origin
    /// The sidecar that the definition asks for, expanded; for a proxy registered by hand, nil.
    var sidecar: ServiceDefinition?
}

/// The services of this node. A value, made of definitions.
struct Inventory: Sendable, Equatable {
    private(set) var services: [LocalService] = []
    private(set) var problems: [Problem] = []

    init() {}

    /// Expands sidecars; `ports` are those of sidecars that name none.
    init(_ records: [ServiceRecord], ports: SidecarPorts) {
        for record in records {
            var service = LocalService(
                definition: record.definition, origin: record.origin, sidecar: nil)
            if record.definition.connect.sidecarService != nil {
                service.sidecar = expand(record, ports)
            }
            services.append(service)
        }
        index()
    }

    private mutating func expand(_ record: ServiceRecord, _ ports: SidecarPorts)
        -> ServiceDefinition?
    {
        let definition = record.definition
        let own = definition.connect.sidecarService?.port
        guard own != nil || ports.ports[definition.id] != nil else {
            problems.append(
                Problem(
                    .error,
                    "no port is left for the sidecar of \(definition.id): give it a port, or make "
                        + "mesh.sidecar_min_port … mesh.sidecar_max_port wider",
                    at: record.origin.location))
            return nil
        }
        do {
            return try definition.sidecar(port: ports.ports[definition.id] ?? 0)
        } catch {
            problems.append(
                Problem(
                    .error, "the sidecar of \(definition.id): \(error)", at: record.origin.location)
            )
            return nil
        }
    }

    /// The services whose sidecars need a port from the range.
    static func withoutPort(_ records: [ServiceRecord]) -> [ServiceID] {
        records.filter {
            $0.definition.connect.sidecarService.map { $0.port == nil } ?? false
        }.map(\.definition.id)
    }

    /// Every proxy of the node: expanded sidecars and those registered by hand.
    private(set) var proxies: [ServiceDefinition] = []
    private var byName: [ServiceName: [Int]] = [:]
    private var proxyByID: [ServiceID: ServiceDefinition] = [:]
    private var proxyByName: [ServiceName: ServiceDefinition] = [:]
    private var origins: [ServiceID: Origin] = [:]
    private var names: [ServiceID: ServiceName] = [:]

    private mutating func index() {
        for (index, service) in services.enumerated() {
            let definition = service.definition
            origins[definition.id] = service.origin
            names[definition.id] = definition.name
            if definition.kind != .connectProxy {
                byName[definition.name, default: []].append(index)
            }
            for proxy in [service.sidecar, definition.kind == .connectProxy ? definition : nil] {
                if let proxy { add(proxy, service.origin) }
            }
        }
    }

    private mutating func add(_ proxy: ServiceDefinition, _ origin: Origin) {
        proxies.append(proxy)
        origins[proxy.id] = origins[proxy.id] ?? origin
        if let id = proxy.proxy?.destinationServiceID {
            proxyByID[id] = proxyByID[id] ?? proxy
        } else if let name = proxy.proxy?.destinationServiceName {
            proxyByName[name] = proxyByName[name] ?? proxy
        }
    }

    /// Instances that callers look for: everything but proxies.
    var instances: [LocalService] { services.filter { $0.definition.kind != .connectProxy } }

    /// The instances of one service.
    func instances(of name: ServiceName) -> [LocalService] {
        (byName[name] ?? []).map { services[$0] }
    }

    /// The proxy in front of an instance.
    func proxy(of instance: ServiceDefinition) -> ServiceDefinition? {
        proxyByID[instance.id] ?? proxyByName[instance.name]
    }

    /// Who owns the definition that a service or a sidecar follows from.
    func origin(of id: ServiceID) -> Origin? { origins[id] }

    /// The service that an instance is one of.
    func name(of id: ServiceID) -> ServiceName? { names[id] }

    /// Every check of the node.
    var checks: [CheckSpec] {
        services.flatMap { service -> [CheckSpec] in
            let own = service.definition
            let side = service.sidecar?.checks ?? []
            // A sidecar is a listener of the data plane; its checks count for the service behind
            // it.
            return Self.specs(own.checks, of: own.id, for: own.id)
                + Self.specs(side, of: service.sidecar?.id ?? own.id.sidecar, for: own.id)
        }
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

extension Origin {
    /// The place in a file, if a file owns the object.
    var location: SourceLocation? {
        if case .file(let location) = self { return location }
        return nil
    }
}
