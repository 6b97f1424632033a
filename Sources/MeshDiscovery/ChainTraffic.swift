package import MeshModel

/// A chain as the data plane runs it: routes in order, each with where its traffic goes.
package struct ChainTraffic: Hashable, Sendable {
    /// A share of a route's traffic.
    package struct Share: Hashable, Sendable {
        /// Hundredths of a per cent.
        package var weight: Int
        package var resolver: DiscoveryChain.Resolver
        package var target: DiscoveryChain.Target
        package var failover: [DiscoveryChain.Target]
        /// What its leg of a splitter changes besides.
        package var requestHeaders: HeaderModifiers?
        package var responseHeaders: HeaderModifiers?
    }

    package struct Route: Hashable, Sendable {
        package var match: HTTPMatch
        package var destination: ServiceRouter.Destination?
        package var shares: [Share]
        /// The entry that the route was written in; nil when nobody wrote one.
        package var entry: ConfigEntry.Key?
        /// Its place in the entry, from 1; 0 for what takes the rest.
        package var number: Int
        /// Where it was written, if that is known.
        package var location: SourceLocation?
    }

    package var serviceProtocol: ServiceProtocol
    /// Never empty. The last one takes every request.
    package var routes: [Route]
    /// What was written and cannot be done by this version's data plane.
    package var problems: [Problem]

    /// What becomes of the traffic to a service, as it is in a datacenter, for a caller in `home`;
    /// `asked` takes every service whose entries that follows from, also when an error is thrown.
    /// Throws what ``ChainCompiler`` does.
    package static func compile(
        _ service: ServiceName, in datacenter: DatacenterName, home: DatacenterName? = nil,
        entries: ChainEntries, asked: inout Set<ServiceName>
    ) throws -> ChainTraffic {
        let home = home ?? datacenter
        if home == datacenter, entries.isPlain(service) {
            asked.insert(service)
            return ChainTraffic(plain: service, in: datacenter, entries: entries)
        }
        return ChainTraffic(
            try ChainCompiler.compile(service, in: datacenter, entries: entries, asked: &asked),
            home: home)
    }

    /// That of a service about whose way nothing was written, as most are: the same as by way of
    /// its chain, without making one.
    init(plain service: ServiceName, in datacenter: DatacenterName, entries: ChainEntries) {
        let target = DiscoveryChain.Target(
            id: DiscoveryChain.Target.id(of: service, nil, in: datacenter), service: service,
            subsetName: nil, subset: ServiceResolver.Subset(), datacenter: datacenter,
            connectTimeout: ChainCompiler.connectTimeout,
            meshGateway: entries.gateway(to: service),
            externalSNI: entries.defaults(service)?.externalSNI ?? "")
        let resolver = DiscoveryChain.Resolver(
            target: target.id, isDefault: true, connectTimeout: ChainCompiler.connectTimeout,
            requestTimeout: nil, loadBalancer: nil, failover: [], failoverPolicy: nil)
        serviceProtocol = entries.serviceProtocol(of: service)
        routes = [
            Route(
                match: HTTPMatch(), destination: nil,
                shares: [
                    Share(weight: 10_000, resolver: resolver, target: target, failover: [])
                ], entry: nil, number: 0)
        ]
        problems = ChainSupport.problems(ofPlain: target)
    }

    /// `reachesDatacenters`: whoever runs the chain knows instances in other ones than `home`, the
    /// chain's own unless it is given.
    package init(
        _ chain: DiscoveryChain, reachesDatacenters: Bool = false, home: DatacenterName? = nil
    ) {
        serviceProtocol = chain.serviceProtocol
        routes = []
        problems = []
        if case .router(let written) = chain.nodes[chain.start] {
            let key = ConfigEntry.Key(
                kind: ConfigEntry.Kind.serviceRouter.rawValue, name: chain.service.text)
            for (index, route) in written.enumerated() {
                let isRest = index == written.count - 1
                routes.append(
                    Route(
                        match: isRest ? HTTPMatch() : route.definition.match ?? HTTPMatch(),
                        destination: isRest ? nil : route.definition.destination,
                        shares: Self.shares(of: route.next, chain), entry: key,
                        number: isRest ? 0 : index + 1,
                        location: isRest ? nil : route.definition.location))
            }
        } else {
            let isSplit = chain.nodes[chain.start].map { node in
                if case .splitter = node { return true }
                return false
            }
            let kind: ConfigEntry.Kind = isSplit == true ? .serviceSplitter : .serviceResolver
            routes = [
                Route(
                    match: HTTPMatch(), destination: nil,
                    shares: Self.shares(of: chain.start, chain),
                    entry: chain.isDefault
                        ? nil : ConfigEntry.Key(kind: kind.rawValue, name: chain.service.text),
                    number: 0)
            ]
        }
        problems = ChainSupport.problems(
            of: chain, reached: reachesDatacenters ? nil : home ?? chain.datacenter)
    }

    private static func shares(of key: String, _ chain: DiscoveryChain) -> [Share] {
        switch chain.nodes[key] {
        case .splitter(let legs, _):
            return legs.flatMap { leg in
                shares(of: leg.next, chain).map { share in
                    var share = share
                    share.weight = leg.weight
                    share.requestHeaders = leg.definition.requestHeaders
                    share.responseHeaders = leg.definition.responseHeaders
                    return share
                }
            }
        case .resolver(let resolver):
            guard let target = chain.targets[resolver.target] else {
                fatalError("a compiled chain has the targets of its resolvers: \(resolver.target)")
            }
            return [
                Share(
                    weight: 10_000, resolver: resolver, target: target,
                    failover: resolver.failover.compactMap { chain.targets[$0] })
            ]
        case .router, nil:
            fatalError("a compiled chain leads from routes to splitters or resolvers: \(key)")
        }
    }
}
