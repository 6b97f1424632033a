import MeshDiscovery
import MeshFilter
import MeshModel
import MeshSidecar
import MeshStore
import MeshTables

/// How a caller reaches the instances of a service.
struct Reach: Hashable, Sendable {
    enum Caller: Hashable, Sendable {
        /// A plain listener: at the application's port, whoever asks.
        case plain
        /// A plain listener with an identity: at the application's port, as far as intentions
        /// allow.
        case listener(ServiceName)
        /// The sidecar of a service: at the sidecar of the instance, over mutual TLS with the
        /// certificate that was made then.
        case sidecar(ServiceName, leafVersion: UInt64)
        /// The gateway with this name, for callers whom the service's intentions allow: at the
        /// application's port.
        case gateway(ServiceName)
    }

    let caller: Caller
    let http: Bool
    /// What instances are spoken to in where that is not what their service says.
    let spoken: ServiceProtocol?
    let connectTimeout: MeshDuration?
    /// What the upstream that calls says itself, in place of what its service's defaults say.
    let limits: UpstreamLimits?
    let passiveHealthCheck: PassiveHealthCheck?
    /// What distinguishes the targets of this reach from those of others, for people and for keys.
    let suffix: String
    /// What an agent has told about the way to the service; nil: this node's own entries say it.
    var way: MeshView.Way?
    /// Where the chain of the service is evaluated; nil: here.
    var datacenter: DatacenterName?

    /// `place` distinguishes an upstream with options of its own from others to the same service.
    init(
        caller: Caller, http: Bool, spoken: ServiceProtocol? = nil, connectTimeout: MeshDuration?,
        options: UpstreamOptions = UpstreamOptions(), place: String = ""
    ) {
        self.caller = caller
        self.http = http
        self.spoken = spoken
        self.connectTimeout = connectTimeout
        limits = options.limits
        passiveHealthCheck = options.passiveHealthCheck
        var text =
            switch caller {
            case .plain: ""
            case .listener(let name): "@listener-\(name.folded)"
            case .sidecar(let name, _): "@\(name.folded)"
            case .gateway(let name): "@gateway-\(name.folded)"
            }
        if !http { text += "/tcp" }
        if let spoken { text += "/\(spoken.rawValue)" }
        if let connectTimeout { text += "/\(connectTimeout)" }
        if limits != nil || passiveHealthCheck != nil { text += "/\(place)" }
        suffix = text
    }
}

extension PartCompiler {
    /// The id of the target of a share, made with those it fails over to.
    mutating func target(_ share: ChainTraffic.Share, _ reach: Reach) -> String {
        let failover = share.failover.map { self.id(of: $0, reach) }
        let id = self.id(of: share.target, reach)
        if !part.hasSettled(id) {
            let choice = Balancing(share.resolver)
            var plan = self.plan(of: share.target, id, reach)
            plan.balance = choice.balance
            plan.balancing = choice.plan
            plan.failover = failover
            part.add(shape(of: share.target, plan, reach, isSettled: true))
        }
        for (target, id) in zip(share.failover, failover) where !part.contains(id) {
            part.add(shape(of: target, plan(of: target, id, reach), reach, isSettled: false))
        }
        return id
    }

    private func id(of target: DiscoveryChain.Target, _ reach: Reach) -> String {
        target.id.lowercased() + reach.suffix
    }

    /// The target that is one instance of a service.
    mutating func single(
        _ instance: ServiceID, of service: ServiceName, _ reach: Reach
    ) -> String {
        let target = DiscoveryChain.Target(service, in: settings.node.datacenter)
        let id = "\(instance.text).only.\(self.id(of: target, reach))"
        guard !part.contains(id) else { return id }
        let plan = self.plan(of: target, id, reach)
        part.add(
            TargetShape(
                plan: plan, instancesOf: reach.way == nil ? service : nil,
                only: reach.way == nil ? instance : nil, tls: dialling(plan, reach),
                isDirect: frame.gateways[service] != nil, isSettled: true))
        return id
    }

    /// A target without endpoints, for a service whose chain cannot be had: it answers 503.
    mutating func nowhere(_ service: ServiceName, _ reach: Reach) -> String {
        let id = "nowhere.\(service.folded)\(reach.suffix)"
        part.add(
            TargetShape(
                plan: TargetPlan(
                    id: id, service: service,
                    wireProtocol: wireProtocol(of: service, reach))))
        return id
    }

    private mutating func plan(
        of target: DiscoveryChain.Target, _ id: String, _ reach: Reach
    ) -> TargetPlan {
        let timeout = reach.connectTimeout ?? target.connectTimeout
        var plan = TargetPlan(
            id: id, service: target.service,
            wireProtocol: wireProtocol(of: target.service, reach),
            connectTimeout: milliseconds(timeout), guarded: guarded(target.service, reach),
            congestion: settings.congestion,
            proxyHeader: defaults(of: target.service)?.proxyProtocol)
        if reach.caller != .plain {
            plan.checksIntentions = true
            plan.sni = target.sni(in: frame.trustDomain)
            plan.expectedID = spiffeID(of: target.service, in: target.datacenter)
        }
        if let way = reach.way {
            // Of a mesh whose intentions are elsewhere, only the target's own side can decide.
            plan.checksIntentions = false
            plan.endpoints = endpoints(of: target, way)
        }
        return plan
    }

    private mutating func shape(
        of target: DiscoveryChain.Target, _ plan: TargetPlan, _ reach: Reach, isSettled: Bool
    ) -> TargetShape {
        let tls = dialling(plan, reach)
        let service = reach.way == nil ? instances(of: target) : nil
        if tls != nil, service != nil, let gateway = frame.gateways[target.service] {
            // Which instances it takes is the gateway's business.
            return TargetShape(
                plan: plan, instancesOf: gateway, tls: tls, isDirect: true, isSettled: isSettled)
        }
        return TargetShape(
            plan: plan, instancesOf: service, subset: target.subset, tls: tls,
            isSettled: isSettled)
    }

    /// How proxies of instances are dialled; nil: nobody dials them.
    func dialling(_ plan: TargetPlan, _ reach: Reach) -> TLSPlan? {
        guard case .sidecar(let caller, let version) = reach.caller else { return nil }
        return meshTLS(server: false, as: caller, leafVersion: version, alpn: alpn(of: plan))
    }

    /// The target by which a gateway reaches a service outside the mesh; `tls`: how it is spoken
    /// to, with the server name that is asked for.
    mutating func external(
        _ target: DiscoveryChain.Target, by gateway: ServiceName, tls: TLSPlan?, sni: String
    ) -> String {
        let http = speaksHTTP(target.service)
        let reach = Reach(caller: .gateway(gateway), http: http, connectTimeout: nil)
        let id = self.id(of: target, reach)
        guard !part.contains(id) else { return id }
        let own = resolver(of: target.service)
        let choice = Balancing(own?.loadBalancer, own?.prioritizeByLocality)
        let plan = TargetPlan(
            id: id, service: target.service, checksIntentions: true, sni: sni,
            balance: choice.balance, balancing: choice.plan,
            wireProtocol: wireProtocol(of: target.service, http: http),
            connectTimeout: milliseconds(own?.connectTimeout ?? target.connectTimeout),
            guarded: guarded(target.service, reach), congestion: settings.congestion,
            proxyHeader: defaults(of: target.service)?.proxyProtocol)
        part.add(
            TargetShape(
                plan: plan, instancesOf: instances(of: target), subset: target.subset, tls: tls,
                isDirect: true, isSettled: true))
        return id
    }

    private func alpn(of target: TargetPlan) -> [String] {
        switch target.wireProtocol {
        case .tcp: []
        case .http1: ["http/1.1"]
        case .http2: ["h2"]
        }
    }

    /// The service whose instances a target means. What this version cannot tell apart it leaves
    /// out, rather than sending traffic where it does not belong.
    private mutating func instances(of target: DiscoveryChain.Target) -> ServiceName? {
        guard target.datacenter == settings.node.datacenter, target.externalSNI.isEmpty
        else { return nil }
        do {
            _ = try Filter(subset: target.subset)
        } catch {
            let place = chains.location(ofResolver: target.service, &part.asked)
            let subset = target.subsetName?.text ?? ""
            part.problems.append(
                Problem(
                    .error, "service-resolver \(target.service), subset \(subset): \(error)",
                    at: place))
            return nil
        }
        return target.service
    }

    /// Who a service proves to be.
    func spiffeID(of service: ServiceName, in datacenter: DatacenterName? = nil) -> String {
        SpiffeID(
            trustDomain: frame.trustDomain, datacenter: datacenter ?? settings.node.datacenter,
            service: service
        ).uri
    }
}

/// Finds out where the instances of services are dialled. Pure.
struct EndpointCompiler: Sendable {
    let node: NodeInfo
    let inventory: Inventory
    /// Addresses of host names.
    let addresses: [String: String]

    /// The endpoints of a target, and what they were made of.
    struct Result: Sendable {
        var plans: [EndpointPlan] = []
        /// The instance of each.
        var instances: [LocalService] = []
        /// Hosts whose addresses were looked for.
        var hosts: [String] = []
        var problems: [Problem] = []
    }

    /// `tls` is for proxies of instances; nil: instances are dialled themselves, as they are with
    /// `isDirect`, by TLS if there is one.
    /// `byDistance`: the near ones first.
    /// `only`: no other instance.
    func endpoints(
        of service: ServiceName, tls: TLSRef?, _ subset: ServiceResolver.Subset,
        only: ServiceID? = nil, isDirect: Bool = false, byDistance: Bool = false
    ) -> Result {
        var result = Result()
        // Who made the shape has looked at the filter, and asks for no instances if it is none.
        guard let filter = try? Filter(subset: subset) else { return result }
        let instances = inventory.instances(of: service)
        result.plans.reserveCapacity(instances.count)
        result.instances.reserveCapacity(instances.count)
        for instance in instances
        where (only.map { $0 == instance.id } ?? true)
            && (subset.filter.isEmpty
                || filter.chooses(
                    FilteredInstance(
                        instance.definition, on: inventory.node(of: instance) ?? node)))
        {
            add(
                instance, tls, isDirect: isDirect, takesWarnings: !subset.onlyPassing, &result)
        }
        if byDistance { sort(&result) }
        return result
    }

    /// By distance, and as before among those that are equally far.
    private func sort(_ result: inout Result) {
        for place in result.plans.indices {
            let other = result.instances[place].definition.locality ?? node.locality
            if let own = node.locality, let other {
                result.plans[place].distance = own.distance(to: other)
            }
        }
        let order = result.plans.indices.sorted {
            (result.plans[$0].distance, $0) < (result.plans[$1].distance, $1)
        }
        result.plans = order.map { result.plans[$0] }
        result.instances = order.map { result.instances[$0] }
    }

    private func add(
        _ instance: LocalService, _ tls: TLSRef?, isDirect: Bool, takesWarnings: Bool,
        _ result: inout Result
    ) {
        let proxy =
            tls == nil || isDirect
            ? nil : inventory.proxy(of: instance.id, instance.definition.name)
        let place: Place =
            if let proxy {
                Place(
                    id: proxy.id, host: proxy.address, port: proxy.port,
                    socketPath: proxy.socketPath)
            } else {
                // Member by member: a definition is large, and there are many.
                Place(
                    id: instance.id, host: instance.definition.address,
                    port: instance.definition.port, socketPath: instance.definition.socketPath)
            }
        guard let address = address(of: place, instance.origin, &result) else { return }
        let usesTLS = isDirect || proxy != nil || instance.definition.connect.native
        result.plans.append(
            EndpointPlan(
                address: address, instance: instance.id.text,
                node: inventory.node(of: instance)?.name.text ?? node.name.text,
                weight: instance.definition.weights.passing, tls: usesTLS ? tls : nil,
                takesWarnings: takesWarnings))
        result.instances.append(instance)
    }

    /// Where a registration says that it is dialled.
    private struct Place {
        let id: ServiceID
        let host: String
        let port: UInt16
        let socketPath: String?
    }

    /// Where a service is dialled, or nil with a problem.
    private func address(
        of place: Place, _ origin: Origin, _ result: inout Result
    ) -> AddressPlan? {
        if let path = place.socketPath { return .unix(path: path, mode: 0) }
        guard place.port != 0 else { return nil }
        let host = place.host.isEmpty ? node.address : place.host
        if let ip = IPAddress(host) { return .ip(ip, port: place.port) }
        result.hosts.append(host)
        if let ip = addresses[host].flatMap({ IPAddress($0) }) {
            return .ip(ip, port: place.port)
        }
        result.problems.append(
            Problem(
                .error, "service \(place.id): the address of \(host) is not known",
                at: origin.location))
        return nil
    }
}
