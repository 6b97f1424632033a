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
    private var known: Set<String> = []

    mutating func contains(_ id: String) -> Bool { known.contains(id) }

    mutating func add(_ target: TargetPlan) {
        guard known.insert(target.id).inserted else { return }
        targets.append(target)
    }
}

extension NodeCompiler {
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

    /// The server name that mesh TLS asks for, as Consul's proxies write it.
    func sni(of service: ServiceName, subset: String? = nil) -> String {
        let prefix = subset.map { "\($0)." } ?? ""
        let datacenter = state.settings.node.datacenter.text
        let domain = state.mesh.trustDomain.text
        return "\(prefix)\(service.folded).default.\(datacenter).internal.\(domain)"
    }
}
