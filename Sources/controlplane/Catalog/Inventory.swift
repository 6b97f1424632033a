import MeshHealth
import MeshModel
import MeshStore

/// The services of this node. A value, made of definitions, and brought up to date by those that
/// have changed.
struct Inventory: Sendable, Equatable {
    /// By id.
    private(set) var services: [LocalService] = []
    /// Every proxy of the node: expanded sidecars and those registered by hand.
    private(set) var proxies: [ServiceDefinition] = []
    /// The ports that definitions claim.
    private(set) var claims = Tally<UInt16>()
    private var names = Tally<String>()
    private var byID: [ServiceID: LocalService] = [:]
    private var byName: [ServiceName: [LocalService]] = [:]
    private var proxyByID: [ServiceID: ServiceDefinition] = [:]
    private var proxyByName: [ServiceName: ServiceDefinition] = [:]
    private var proxyOrigins: [ServiceID: Origin] = [:]
    private(set) var problems: [Problem] = []

    init() {}

    /// Takes records by id, and the ports of sidecars that name none.
    init(_ records: [ServiceRecord], ports: SidecarPorts) {
        services = records.map { LocalService($0, ports: ports) }
        byID.reserveCapacity(services.count)
        byName.reserveCapacity(services.count / 4)
        for service in services {
            byID[service.definition.id] = service
            service.addClaims(to: &claims)
            names.add(service.hostNames)
            if service.isInstance { byName[service.definition.name, default: []].append(service) }
            if service.concernsProxies { add(service) }
        }
    }

    static func == (left: Inventory, right: Inventory) -> Bool {
        left.services == right.services && left.problems == right.problems
    }

    private mutating func add(_ service: LocalService) {
        if let problem = service.problem { problems.append(problem) }
        let own = service.definition.kind == .connectProxy ? service.definition : nil
        for proxy in [service.sidecar, own].compactMap({ $0 }) {
            proxies.append(proxy)
            proxyOrigins[proxy.id] = proxyOrigins[proxy.id] ?? service.origin
            if let id = proxy.proxy?.destinationServiceID {
                proxyByID[id] = proxyByID[id] ?? proxy
            } else if let name = proxy.proxy?.destinationServiceName {
                proxyByName[name] = proxyByName[name] ?? proxy
            }
        }
    }

    // MARK: - changes

    /// Takes another definition of a service, or its end; says which services have other instances
    /// now. nil, and nothing changed, where sidecars are concerned: then all of it is made anew.
    mutating func take(_ record: ServiceRecord?, of id: ServiceID) -> Set<ServiceName>? {
        let old = byID[id]
        guard old?.concernsProxies != true,
            !(record.map { LocalService.concernsProxies($0.definition) } ?? false)
        else { return nil }
        let new = record.map { LocalService($0, ports: SidecarPorts()) }
        guard old != new else { return [] }
        byID[id] = new
        Self.replace(old, new, in: &services)
        for name in Set([old, new].compactMap { $0?.definition.name }) {
            Self.replace(
                old?.definition.name == name ? old : nil, new?.definition.name == name ? new : nil,
                in: &byName[name, default: []])
            if byName[name]?.isEmpty == true { byName[name] = nil }
        }
        claims.remove(old?.claims ?? [])
        claims.add(new?.claims ?? [])
        names.remove(old?.hostNames ?? [])
        names.add(new?.hostNames ?? [])
        return Set([old, new].compactMap { $0?.definition.name })
    }

    private static func replace(
        _ old: LocalService?, _ new: LocalService?, in list: inout [LocalService]
    ) {
        guard let id = (old ?? new)?.definition.id else { return }
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].definition.id < id { low = middle + 1 } else { high = middle }
        }
        switch (old, new) {
        case (nil, let new?): list.insert(new, at: low)
        case (.some, let new?): list[low] = new
        case (.some, nil): list.remove(at: low)
        case (nil, nil): break
        }
    }

    // MARK: - questions

    /// The services whose sidecars need a port from the range.
    static func withoutPort(_ records: [ServiceRecord]) -> [ServiceID] {
        records.lazy.filter(\.wantsSidecar)
            .filter { $0.definition.connect.sidecarService?.port == nil }.map(\.id)
    }

    /// Instances that callers look for: everything but proxies.
    var instances: [LocalService] { services.filter(\.isInstance) }

    /// The instances of one service.
    func instances(of name: ServiceName) -> [LocalService] { byName[name] ?? [] }

    /// One service.
    subscript(_ id: ServiceID) -> LocalService? { byID[id] }

    /// The proxy in front of an instance.
    func proxy(of instance: ServiceDefinition) -> ServiceDefinition? {
        proxyByID[instance.id] ?? proxyByName[instance.name]
    }

    /// Who owns the definition that a service or a sidecar follows from.
    func origin(of id: ServiceID) -> Origin? { byID[id]?.origin ?? proxyOrigins[id] }

    /// The service that an instance is one of.
    func name(of id: ServiceID) -> ServiceName? { byID[id]?.definition.name }

    /// The hosts that are dialled and are no addresses.
    var hostNames: Set<String> { Set(names.values) }

    /// Every check of the node.
    var checks: [CheckSpec] {
        var all: [CheckSpec] = []
        all.reserveCapacity(services.count)
        for service in services { service.addChecks(to: &all) }
        return all
    }
}

extension Origin {
    /// The place in a file, if a file owns the object.
    var location: SourceLocation? {
        if case .file(let location) = self { return location }
        return nil
    }
}
