import MeshDiscovery
import MeshModel
import MeshTables

/// How a caller reaches the instances of a service.
struct Reach: Hashable, Sendable {
    enum Caller: Hashable, Sendable {
        /// A plain listener: at the application's port, whoever asks.
        case plain
        /// A plain listener with an identity: at the application's port, as far as intentions
        /// allow.
        case listener(ServiceName)
        /// The sidecar of a service: at the sidecar of the instance, over mutual TLS.
        case sidecar(ServiceName)
    }

    var caller: Caller
    var http: Bool
    var connectTimeout: MeshDuration?

    /// What distinguishes the targets of this reach from those of others, for people and for keys.
    var suffix: String {
        var text =
            switch caller {
            case .plain: ""
            case .listener(let name): "@listener-\(name.folded)"
            case .sidecar(let name): "@\(name.folded)"
            }
        if !http { text += "/tcp" }
        if let connectTimeout { text += "/\(connectTimeout)" }
        return text
    }
}

/// The targets of the plan so far, each made once.
struct TargetCatalog {
    private(set) var targets: [TargetPlan] = []
    private var places: [String: Int] = [:]

    func contains(_ id: String) -> Bool { places[id] != nil }

    mutating func add(_ target: TargetPlan) {
        guard places[target.id] == nil else { return }
        places[target.id] = targets.count
        targets.append(target)
    }

    /// Says where a target's traffic goes when no instance is healthy. A target that was met as the
    /// failover of another one first learns it later.
    mutating func setFailover(_ failover: [String], of id: String) {
        guard let place = places[id], !failover.isEmpty else { return }
        targets[place].failover = failover
    }
}

extension NodeCompiler {
    /// The id of the target of a share, made with those it fails over to.
    mutating func target(_ share: ChainTraffic.Share, _ reach: Reach) -> String {
        let id = add(share.target, reach, share.resolver.loadBalancer)
        let failover = share.failover.map { add($0, reach, nil) }
        catalog.setFailover(failover, of: id)
        return id
    }

    /// A target without endpoints, for a service whose chain cannot be had: it answers 503.
    mutating func nowhere(_ service: ServiceName, _ reach: Reach) -> String {
        let id = "nowhere.\(service.folded)\(reach.suffix)"
        catalog.add(
            TargetPlan(id: id, service: service, wireProtocol: reach.http ? .http1 : .tcp))
        return id
    }

    private mutating func add(
        _ target: DiscoveryChain.Target, _ reach: Reach, _ balancer: LoadBalancer?
    ) -> String {
        let id = "\(target.id.lowercased())\(reach.suffix)"
        guard !catalog.contains(id) else { return id }
        let timeout = reach.connectTimeout ?? target.connectTimeout
        var plan = TargetPlan(
            id: id, service: target.service, endpoints: endpoints(of: target, reach),
            balance: Self.balance(balancer), wireProtocol: reach.http ? .http1 : .tcp,
            connectTimeout: milliseconds(timeout), congestion: state.settings.congestion,
            proxyHeader: chainEntries.proxyHeader(of: target.service))
        if reach.caller != .plain {
            plan.checksIntentions = true
            plan.sni = target.sni(in: state.mesh.trustDomain)
            plan.expectedID = spiffeID(of: target.service)
        }
        catalog.add(plan)
        return id
    }

    private static func balance(_ balancer: LoadBalancer?) -> TargetPlan.Balance {
        switch balancer?.policy {
        case .random: .random
        case .leastRequest: .leastRequest
        case .standard, .roundRobin, .ringHash, .maglev, nil: .roundRobin
        }
    }

    /// The instances that a target means. What this version cannot tell apart it leaves out, rather
    /// than sending traffic where it does not belong.
    private mutating func endpoints(
        of target: DiscoveryChain.Target, _ reach: Reach
    ) -> [EndpointPlan] {
        guard target.datacenter == state.settings.node.datacenter, target.subset.filter.isEmpty,
            target.externalSNI.isEmpty
        else { return [] }
        if target.subset.onlyPassing {
            let subset = target.subsetName?.text ?? ""
            refuse("subset \(subset) of \(target.service): only_passing is not supported", nil)
            return []
        }
        return state.inventory.instances(of: target.service).compactMap { endpoint($0, reach) }
    }

    /// The endpoint of an instance for this reach, or nil with a problem.
    mutating func endpoint(_ instance: LocalService, _ reach: Reach) -> EndpointPlan? {
        let definition = instance.definition
        if case .sidecar(let caller) = reach.caller {
            let proxy = state.inventory.proxy(of: definition)
            if let dialled = proxy ?? (definition.connect.native ? definition : nil) {
                return endpoint(
                    instance, at: dialled,
                    tls: meshTLS(server: false, as: caller, http: reach.http))
            }
        }
        return endpoint(instance, at: definition, tls: nil)
    }

    private mutating func endpoint(
        _ instance: LocalService, at dialled: ServiceDefinition, tls: TLSRef?
    ) -> EndpointPlan? {
        guard let address = address(of: dialled, instance.origin) else { return nil }
        let plan = EndpointPlan(
            address: address, instance: instance.definition.id.text,
            node: state.settings.node.name.text, weight: instance.definition.weights.passing,
            tls: tls)
        health[plan.key] = instance.definition.id
        return plan
    }

    /// Where a service is dialled.
    mutating func address(of definition: ServiceDefinition, _ origin: Origin) -> AddressPlan? {
        if let path = definition.socketPath { return .unix(path: path, mode: 0) }
        let host =
            definition.address.isEmpty ? state.settings.node.address : definition.address
        guard definition.port != 0 else { return nil }
        return dialled(host, port: definition.port, "service \(definition.id)", origin)
    }

    /// A host to dial, its name looked up.
    mutating func dialled(
        _ host: String, port: UInt16, _ name: String, _ origin: Origin?
    ) -> AddressPlan? {
        let text = state.addresses[host] ?? host
        if let address = try? AddressPlan(ip: text, port: port) { return address }
        refuse("\(name): the address of \(host) is not known", origin)
        return nil
    }

    /// Who a service proves to be.
    func spiffeID(of service: ServiceName) -> String {
        SpiffeID(
            trustDomain: state.mesh.trustDomain, datacenter: state.settings.node.datacenter,
            service: service
        ).uri
    }
}
