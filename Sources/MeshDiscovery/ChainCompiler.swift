package import MeshModel

/// Compiles the chain of a service from config entries, with Consul's rules. Pure.
///
/// What this version cannot compile (targets in peers) and what contradicts itself (circles,
/// services of different protocols, subsets that do not exist) throws a ``MeshError`` whose text
/// names the service or entry.
package struct ChainCompiler {
    private let entries: ChainEntries
    /// The services whose entries were looked for.
    private(set) var asked: Set<ServiceName> = []
    private let service: ServiceName
    private let datacenter: DatacenterName

    private var nodes: [String: DiscoveryChain.Node] = [:]
    private var targets: [String: DiscoveryChain.Target] = [:]
    private var serviceProtocol: ServiceProtocol?
    private var isAdvanced = false

    /// The time to reach an instance when no resolver says another.
    package static let connectTimeout = MeshDuration.seconds(5)

    /// The chain of `service` as seen from `datacenter`.
    package static func compile(
        _ service: ServiceName, in datacenter: DatacenterName, entries: ChainEntries
    ) throws -> DiscoveryChain {
        var asked: Set<ServiceName> = []
        return try compile(service, in: datacenter, entries: entries, asked: &asked)
    }

    /// The chain of `service`; `asked` takes every service whose entries it follows from, also when
    /// there is none. Besides these it follows from the defaults of all proxies.
    static func compile(
        _ service: ServiceName, in datacenter: DatacenterName, entries: ChainEntries,
        asked: inout Set<ServiceName>
    ) throws -> DiscoveryChain {
        var compiler = ChainCompiler(service, datacenter, entries)
        defer { asked.formUnion(compiler.asked) }
        return try compiler.run()
    }

    private init(_ service: ServiceName, _ datacenter: DatacenterName, _ entries: ChainEntries) {
        self.service = service
        self.datacenter = datacenter
        self.entries = entries
    }

    private mutating func run() throws -> DiscoveryChain {
        asked.insert(service)
        let start = try entries.router(service).map { try route($0) } ?? splitOrResolve(service)
        try ChainGraph.refuseCircles(nodes, from: start)
        nodes = try ChainGraph.flattened(nodes)
        let kept = ChainGraph.reachable(nodes, from: start)
        nodes = nodes.filter { kept.contains($0.key) }
        let spoken = serviceProtocol ?? .tcp
        guard !isAdvanced || spoken.isHTTPLike else {
            throw MeshError(
                .invalid,
                "discovery chain \"\(service)\" uses a protocol \"\(spoken.rawValue)\" that does "
                    + "not permit advanced routing or splitting behavior")
        }
        let named = Set(
            nodes.values.flatMap { node in
                guard case .resolver(let resolver) = node else { return [String]() }
                return [resolver.target] + resolver.failover
            })
        return DiscoveryChain(
            service: service, datacenter: datacenter, serviceProtocol: spoken, start: start,
            nodes: nodes, targets: targets.filter { named.contains($0.key) },
            meta: entries.defaults(service)?.meta ?? [:])
    }

    // MARK: - routers and splitters

    private mutating func route(_ router: ServiceRouter) throws -> String {
        isAdvanced = true
        try record(service)
        var routes: [DiscoveryChain.Route] = []
        for definition in router.routes {
            let service = definition.destination?.service ?? self.service
            let subset = definition.destination?.serviceSubset
            // A subset is meant: no splitter may send it elsewhere.
            let next =
                try subset.map { try resolve(Wanted(service, $0, datacenter)) }
                ?? splitOrResolve(service)
            routes.append(DiscoveryChain.Route(definition: definition, next: next))
        }
        let rest = ServiceRouter.Route(
            match: HTTPMatch(path: .prefix("/")),
            destination: ServiceRouter.Destination(service: service))
        routes.append(
            DiscoveryChain.Route(definition: rest, next: try splitOrResolve(service)))
        let key = "router:\(service).default"
        nodes[key] = .router(routes)
        return key
    }

    private mutating func splitOrResolve(_ service: ServiceName) throws -> String {
        asked.insert(service)
        if let splitter = entries.splitter(service) { return try split(splitter) }
        return try resolve(Wanted(service, nil, datacenter))
    }

    private mutating func split(_ splitter: ServiceSplitter) throws -> String {
        let key = "splitter:\(splitter.name).default"
        if nodes[key] != nil { return key }
        isAdvanced = true
        // Known before its legs are followed: a circle ends here and is reported later.
        nodes[key] = .splitter([], nil)
        var legs: [DiscoveryChain.Leg] = []
        var hashed: LoadBalancer?
        for definition in splitter.splits {
            let service = definition.service ?? splitter.name
            asked.insert(service)
            let next: String
            if service != splitter.name, definition.serviceSubset == nil,
                let other = entries.splitter(service)
            {
                next = try split(other)
            } else {
                next = try resolve(Wanted(service, definition.serviceSubset, datacenter))
                if hashed == nil, case .resolver(let resolver) = nodes[next],
                    resolver.loadBalancer?.policy.isHashBased == true
                {
                    hashed = resolver.loadBalancer
                }
            }
            legs.append(
                DiscoveryChain.Leg(
                    weight: definition.hundredths, definition: definition, next: next))
        }
        nodes[key] = .splitter(legs, hashed)
        return key
    }

    // MARK: - resolvers

    /// A target that is looked for: a redirect or a default subset may lead on.
    private struct Wanted: Hashable {
        var service: ServiceName
        var subset: SubsetName?
        var datacenter: DatacenterName

        init(_ service: ServiceName, _ subset: SubsetName?, _ datacenter: DatacenterName) {
            self.service = service
            self.subset = subset
            self.datacenter = datacenter
        }

        var id: String { DiscoveryChain.Target.id(of: service, subset, in: datacenter) }

        /// Another service leaves the subset behind; what is named replaces what was.
        func rewritten(_ change: ServiceResolver.Redirect, by owner: ServiceName) throws -> Wanted {
            if let peer = change.peer, !peer.isEmpty {
                throw MeshError(
                    .invalid,
                    "service-resolver \"\(owner)\" leads to the peer \"\(peer)\": this version "
                        + "reaches no peers")
            }
            var next = self
            if let service = change.service, service != self.service {
                next.service = service
                next.subset = nil
            }
            if let subset = change.serviceSubset { next.subset = subset }
            if let datacenter = change.datacenter { next.datacenter = datacenter }
            return next
        }
    }

    private mutating func record(_ service: ServiceName) throws {
        asked.insert(service)
        let own = entries.serviceProtocol(of: service)
        guard let known = serviceProtocol else {
            serviceProtocol = own
            return
        }
        guard known == own else {
            throw MeshError(
                .invalid,
                "discovery chain \"\(self.service)\" uses inconsistent protocols; service "
                    + "\"\(service)\" has \"\(own.rawValue)\" which is not \"\(known.rawValue)\"")
        }
    }

    /// The node of a target, after redirects and default subsets.
    private mutating func resolve(_ wanted: Wanted) throws -> String {
        try "resolver:" + resolvedTarget(wanted, isFailover: false)
    }

    /// The id of the target that `wanted` leads to. Failover of a failover target is not followed.
    private mutating func resolvedTarget(_ first: Wanted, isFailover: Bool) throws -> String {
        var wanted = first
        var seen: [String] = []
        while true {
            if nodes["resolver:\(wanted.id)"] != nil { return wanted.id }
            try record(wanted.service)
            let entry = entries.resolver(wanted.service)
            guard !seen.contains(wanted.id) else {
                throw MeshError(
                    .invalid,
                    "detected circular resolver redirect: ["
                        + (seen + [wanted.id]).joined(separator: " -> ") + "]")
            }
            seen.append(wanted.id)
            if let redirect = entry?.redirect {
                let next = try wanted.rewritten(redirect, by: wanted.service)
                if next != wanted {
                    wanted = next
                    continue
                }
            }
            if wanted.subset == nil, let subset = entry?.defaultSubset {
                wanted.subset = subset
                continue
            }
            try retain(wanted, entry)
            if !isFailover { try addResolver(wanted, entry) }
            return wanted.id
        }
    }

    private mutating func retain(_ wanted: Wanted, _ entry: ServiceResolver?) throws {
        var subset = ServiceResolver.Subset()
        if let name = wanted.subset {
            guard let found = entry?.subsets[name.text] else {
                throw MeshError(
                    .invalid,
                    "service \"\(wanted.service)\" does not have a subset named \"\(name)\"")
            }
            subset = found
        }
        let defaults = entries.defaults(wanted.service)
        let sni = defaults?.externalSNI ?? ""
        if !sni.isEmpty, let entry {
            for (broken, what) in [
                (entry.redirect != nil, "redirects"), (!entry.subsets.isEmpty, "subsets"),
                (!entry.failover.isEmpty, "failover"),
            ] where broken {
                throw MeshError(
                    .invalid,
                    "service \"\(wanted.service)\" has an external SNI set; cannot define \(what) "
                        + "for external services")
            }
        }
        targets[wanted.id] = DiscoveryChain.Target(
            id: wanted.id, service: wanted.service, subsetName: wanted.subset, subset: subset,
            datacenter: wanted.datacenter, connectTimeout: Self.connectTimeout(entry),
            meshGateway: entries.gateway(to: wanted.service), externalSNI: sni)
    }

    static func connectTimeout(_ entry: ServiceResolver?) -> MeshDuration {
        guard let timeout = entry?.connectTimeout, timeout > .zero else { return connectTimeout }
        return timeout
    }

    private mutating func addResolver(_ wanted: Wanted, _ entry: ServiceResolver?) throws {
        let key = "resolver:\(wanted.id)"
        var resolver = DiscoveryChain.Resolver(
            target: wanted.id, isDefault: entry?.isDefault ?? true,
            connectTimeout: Self.connectTimeout(entry), requestTimeout: entry?.requestTimeout,
            loadBalancer: entry?.loadBalancer, failover: [], failoverPolicy: nil,
            prioritizeByLocality: entry?.prioritizeByLocality)
        nodes[key] = .resolver(resolver)
        let named = wanted.subset.flatMap { entry?.failover[$0.text] }
        guard let section = named ?? entry?.failover["*"] else { return }
        for candidate in Self.candidates(section) {
            let next = try wanted.rewritten(candidate, by: wanted.service)
            guard next != wanted else { continue }
            resolver.failover.append(try resolvedTarget(next, isFailover: true))
        }
        if !resolver.failover.isEmpty {
            resolver.failoverPolicy = section.policy ?? entries.proxyDefaults?.failoverPolicy
        }
        nodes[key] = .resolver(resolver)
    }

    private static func candidates(
        _ section: ServiceResolver.Failover
    ) -> [ServiceResolver.Redirect] {
        if section.datacenters.isEmpty, !section.targets.isEmpty { return section.targets }
        let one = ServiceResolver.Redirect(
            service: section.service, serviceSubset: section.serviceSubset)
        guard !section.datacenters.isEmpty else { return [one] }
        return section.datacenters.map { datacenter in
            var candidate = one
            candidate.datacenter = datacenter
            return candidate
        }
    }
}
