import MeshHealth
import MeshLanes
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
    private var byName: [ServiceName: [LocalService]] = [:]
    private var proxyByID: [ServiceID: ServiceDefinition] = [:]
    private var proxyByName: [ServiceName: ServiceDefinition] = [:]
    private var proxyOrigins: [ServiceID: Origin] = [:]
    private(set) var problems: [Problem] = []

    init() {}

    /// What a piece of the records amounts to.
    private struct Piece: Sendable {
        /// By id.
        var services: [(id: String, service: LocalService)] = []
        var claims = Tally<UInt16>()
        var names = Tally<String>()
        /// Those with proxies, by id.
        var proxied: [LocalService] = []

        init(_ records: ArraySlice<ServiceRecord>, _ ports: SidecarPorts) {
            services.reserveCapacity(records.count)
            for record in records {
                let service = LocalService(record, ports: ports)
                services.append((service.id.text, service))
                service.addClaims(to: &claims)
                names.add(service.hostNames)
            }
            services.sort { $0.id < $1.id }
            proxied = services.lazy.map(\.service).filter(\.concernsProxies)
        }

        /// Two pieces in one.
        static func merged(_ left: Piece, _ right: Piece) -> Piece {
            var all = left
            all.services = []
            all.services.reserveCapacity(left.services.count + right.services.count)
            var (at, end) = (0, right.services.count)
            for entry in left.services {
                while at < end, right.services[at].id < entry.id {
                    all.services.append(right.services[at])
                    at += 1
                }
                all.services.append(entry)
            }
            all.services.append(contentsOf: right.services[at...])
            all.claims.add(right.claims)
            all.names.add(right.names)
            all.proxied = (left.proxied + right.proxied).sorted { $0.id < $1.id }
            return all
        }
    }

    /// Takes all records, and the ports of sidecars that name none.
    init(_ records: [ServiceRecord], ports: SidecarPorts, lanes: Lanes = .machine) {
        var pieces = lanes.map(records.count, grain: 1024) { Piece(records[$0], ports) }
        while pieces.count > 1 {
            let before = pieces
            pieces = lanes.map((before.count + 1) / 2, grain: 1) { range in
                range.map { pair in
                    pair * 2 + 1 < before.count
                        ? Piece.merged(before[pair * 2], before[pair * 2 + 1]) : before[pair * 2]
                }
            }.flatMap { $0 }
        }
        guard let all = pieces.first else { return }
        services = all.services.map(\.service)
        (claims, names) = (all.claims, all.names)
        groupByName()
        for service in all.proxied { add(service) }
    }

    /// Instances of one service mostly stand side by side.
    private mutating func groupByName() {
        byName.reserveCapacity(services.count / 4)
        var from = services.startIndex
        while from < services.endIndex {
            let name = services[from].definition.name
            var end = from + 1
            while end < services.endIndex, services[end].definition.name == name { end += 1 }
            let instances = services[from..<end].filter(\.isInstance)
            if !instances.isEmpty { byName[name, default: []] += instances }
            from = end
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
        let old = self[id]
        guard old?.concernsProxies != true,
            !(record.map { $0.content.isProxy || $0.content.wantsSidecar } ?? false)
        else { return nil }
        let new = record.map { LocalService($0, ports: SidecarPorts()) }
        guard old != new else { return [] }
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
        guard let id = (old ?? new)?.id else { return }
        let low = place(of: id, in: list)
        switch (old, new) {
        case (nil, let new?): list.insert(new, at: low)
        case (.some, let new?): list[low] = new
        case (.some, nil): list.remove(at: low)
        case (nil, nil): break
        }
    }

    /// Where a service with this id stands in a list by id, or would.
    private static func place(of id: ServiceID, in list: [LocalService]) -> Int {
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: - questions

    /// The services whose sidecars need a port from the range.
    static func withoutPort(_ records: [ServiceRecord]) -> [ServiceID] {
        var all: [ServiceID] = []
        for record in records
        where record.content.wantsSidecar
            && record.content.definition.connect.sidecarService?.port == nil
        {
            all.append(record.id)
        }
        return all
    }

    /// Instances that callers look for: everything but proxies.
    var instances: [LocalService] { services.filter(\.isInstance) }

    /// The instances of one service.
    func instances(of name: ServiceName) -> [LocalService] { byName[name] ?? [] }

    /// One service.
    subscript(_ id: ServiceID) -> LocalService? {
        let place = Self.place(of: id, in: services)
        return place < services.count && services[place].id == id ? services[place] : nil
    }

    /// The proxy in front of an instance.
    func proxy(of instance: ServiceDefinition) -> ServiceDefinition? {
        proxy(of: instance.id, instance.name)
    }

    /// The proxy in front of the instance with this id, of the service with this name.
    func proxy(of id: ServiceID, _ name: ServiceName) -> ServiceDefinition? {
        proxyByID[id] ?? proxyByName[name]
    }

    /// Who owns the definition that a service or a sidecar follows from.
    func origin(of id: ServiceID) -> Origin? { self[id]?.origin ?? proxyOrigins[id] }

    /// The service that an instance is one of.
    func name(of id: ServiceID) -> ServiceName? { self[id]?.definition.name }

    /// The hosts that are dialled and are no addresses.
    var hostNames: Set<String> { Set(names.values) }

    /// Every check of the node.
    var checks: [CheckSpec] { checks(Lanes.machine) }

    private func checks(_ lanes: Lanes) -> [CheckSpec] {
        let pieces = lanes.map(services.count, grain: 2048) { range in
            var piece: [CheckSpec] = []
            piece.reserveCapacity(range.count)
            for service in services[range] { service.addChecks(to: &piece) }
            return piece
        }
        return pieces.count == 1 ? pieces[0] : pieces.flatMap { $0 }
    }
}

extension Origin {
    /// The place in a file, if a file owns the object.
    var location: SourceLocation? {
        if case .file(let location) = self { return location }
        return nil
    }
}
