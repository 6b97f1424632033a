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
    /// The ingress and terminating gateways of the node.
    private(set) var gateways: [ServiceDefinition] = []
    /// The ports that definitions claim.
    private(set) var claims = Tally<UInt16>()
    private var names = Tally<String>()
    private var byName: [ServiceName: [LocalService]] = [:]
    private var proxyByID: [ServiceID: ServiceDefinition] = [:]
    private var proxyByName: [ServiceName: ServiceDefinition] = [:]
    private var proxyOrigins: [ServiceID: Origin] = [:]
    private(set) var problems: [Problem] = []
    /// Nodes that others speak for, by name in lower case.
    private var nodes: [String: NodeInfo] = [:]

    /// Whether there are services of other nodes.
    var reachesFar: Bool { !nodes.isEmpty }

    init() {}

    /// A service with its id: many are sorted, and definitions are a way off.
    private struct Named: Sendable {
        let id: String
        let service: LocalService
    }

    /// What a piece of the records amounts to.
    private struct Piece: Sendable {
        /// By id.
        var services: [Named] = []
        var claims = Tally<UInt16>()
        var names = Tally<String>()

        init(_ records: ArraySlice<ServiceRecord>, _ ports: SidecarPorts) {
            services.reserveCapacity(records.count)
            for record in records {
                let service = LocalService(record, ports: ports)
                services.append(Named(id: service.id.text, service: service))
                if !service.isRemote { service.addClaims(to: &claims) }
                names.add(service.hostNames)
            }
            services.sort { $0.id < $1.id }
        }

        /// The services from one id on, up to another one; nil: from the first, to the last.
        func services(from low: String?, to high: String?) -> ArraySlice<Named> {
            services[(low.map(place) ?? 0)..<(high.map(place) ?? services.count)]
        }

        private func place(of id: String) -> Int {
            var (low, high) = (0, services.count)
            while low < high {
                let middle = (low + high) / 2
                if services[middle].id < id { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// The services of all pieces between two ids.
    private struct Stretch: Sendable {
        /// By id.
        var services: [LocalService]
        var byName: [ServiceName: [LocalService]] = [:]
        /// Those with proxies, by id.
        var proxied: [LocalService]

        init(_ pieces: [Piece], from low: String?, to high: String?) {
            var named: [Named] = []
            let slices = pieces.map { $0.services(from: low, to: high) }
            named.reserveCapacity(slices.reduce(0) { $0 + $1.count })
            for slice in slices { named += slice }
            named.sort { $0.id < $1.id }  // of sorted runs
            services = named.map(\.service)
            proxied = services.filter(\.concernsProxies)
            groupByName()
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
    }

    /// Takes all records, and the ports of sidecars that name none.
    /// `nodes` are those that others speak for.
    init(
        _ records: [ServiceRecord], ports: SidecarPorts, nodes: [NodeInfo] = [],
        lanes: Lanes = .machine
    ) {
        self =
            Self.made(of: records, ports: ports, nodes: nodes, lanes: lanes, beside: {}).0
    }

    /// The inventory of all records, and what is done at the same time.
    static func made<Other: Sendable>(
        of records: [ServiceRecord], ports: SidecarPorts, nodes: [NodeInfo], lanes: Lanes,
        beside other: () -> Other
    ) -> (Inventory, Other) {
        let (other, pieces) = lanes.map(records.count, grain: 1024, beside: other) {
            Piece(records[$0], ports)
        }
        var inventory = Inventory()
        inventory.nodes = Dictionary(
            nodes.map { ($0.name.text.lowercased(), $0) }, uniquingKeysWith: { $1 })
        inventory.take(pieces, lanes)
        return (inventory, other)
    }

    private mutating func take(_ pieces: [Piece], _ lanes: Lanes) {
        if pieces.isEmpty { return }
        let bounds = Self.bounds(of: pieces, lanes)
        let stretches = lanes.map(bounds.count + 1, grain: 1) { range in
            range.map { number in
                Stretch(
                    pieces, from: number > 0 ? bounds[number - 1] : nil,
                    to: number < bounds.count ? bounds[number] : nil)
            }
        }
        services.reserveCapacity(pieces.reduce(0) { $0 + $1.services.count })
        byName.reserveCapacity(stretches.joined().reduce(0) { $0 + $1.byName.count })
        for stretch in stretches.joined() {
            services += stretch.services
            byName.merge(stretch.byName, uniquingKeysWith: +)
        }
        for piece in pieces {
            claims.add(piece.claims)
            names.add(piece.names)
        }
        for service in stretches.joined().flatMap(\.proxied) { add(service) }
    }

    /// Ids that cut all services into about equal parts.
    private static func bounds(of pieces: [Piece], _ lanes: Lanes) -> [String] {
        let parts = pieces.count == 1 ? 1 : lanes.count * 2
        var samples: [String] = []
        for piece in pieces {
            samples += (1..<parts).map { piece.services[piece.services.count * $0 / parts].id }
        }
        samples.sort()
        return (1..<parts).map { samples[samples.count * $0 / parts] }
    }

    static func == (left: Inventory, right: Inventory) -> Bool {
        left.services == right.services && left.problems == right.problems
    }

    private mutating func add(_ service: LocalService) {
        if let problem = service.problem { problems.append(problem) }
        if service.isGateway, !service.isRemote { gateways.append(service.definition) }
        let own = service.definition.kind == .connectProxy ? service.definition : nil
        for proxy in [service.sidecar, own].compactMap({ $0 }) {
            if !service.isRemote { proxies.append(proxy) }
            proxyOrigins[proxy.id] = proxyOrigins[proxy.id] ?? service.origin
            if let id = proxy.proxy?.destinationServiceID {
                proxyByID[id] = proxyByID[id] ?? proxy
            } else if !service.isRemote, let name = proxy.proxy?.destinationServiceName {
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
            !(record.map { LocalService.concernsProxies($0.definition) } ?? false)
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

    /// The services whose sidecars need a port from the range; those with managed proxies have
    /// their own.
    static func withoutPort(
        _ records: [ServiceRecord], managed: Bool = false
    ) -> [ServiceID] {
        var all: [ServiceID] = []
        for record in records
        where record.content.wantsSidecar
            && record.content.definition.connect.sidecarService?.port == nil
            && (record.content.definition.connect.managedProxy != nil) == managed
        {
            all.append(record.id)
        }
        return all
    }

    /// What checks ask for and sidecars expose, by the names under which they have ports.
    static func exposedChecks(
        _ records: [ServiceRecord], _ exposing: ExposeDefaults = ExposeDefaults()
    ) -> [ServiceID] {
        var all: [ServiceID] = []
        for record in records where record.content.wantsSidecar {
            all += LocalService.exposedChecks(record.content.definition, exposing).map(\.id)
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

    /// Where an instance runs, if not here.
    func node(of instance: LocalService) -> NodeInfo? {
        if nodes.isEmpty || !instance.isRemote { return nil }
        return nodes[String(RemoteServices.node(of: instance.id))]
    }

    /// The proxy in front of an instance.
    func proxy(of instance: ServiceDefinition) -> ServiceDefinition? {
        proxy(of: instance.id, instance.name)
    }

    /// The proxy in front of the instance with this id, of the service with this name.
    func proxy(of id: ServiceID, _ name: ServiceName) -> ServiceDefinition? {
        if let proxy = proxyByID[id] { return proxy }
        // What stands for a service by its name does so on this node.
        let isRemote = !nodes.isEmpty && self[id]?.isRemote == true
        return isRemote ? nil : proxyByName[name]
    }

    /// Who owns the definition that a service or a sidecar follows from.
    func origin(of id: ServiceID) -> Origin? { self[id]?.origin ?? proxyOrigins[id] }

    /// The service that an instance is one of.
    func name(of id: ServiceID) -> ServiceName? { self[id]?.definition.name }

    /// The hosts that are dialled and are no addresses.
    var hostNames: Set<String> { Set(names.values) }

    /// Every check of the node, in pieces.
    var checks: [[CheckSpec]] { checks(Lanes.machine) }

    private func checks(_ lanes: Lanes) -> [[CheckSpec]] {
        lanes.map(services.count, grain: 2048) { range in
            var piece: [CheckSpec] = []
            piece.reserveCapacity(range.count)
            for service in services[range] { service.addChecks(to: &piece) }
            return piece
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
