package import MeshModel

/// One thing that an agent is asked for, again and again.
package enum Subject: Hashable, Sendable {
    /// The proxy's own registration, by its id.
    case registration(String)
    case roots
    case leaf(ServiceName)
    /// Intentions towards the service.
    case intentions(ServiceName)
    /// What becomes of a caller that no intention covers.
    case policy(ServiceName)
    case chain(ChainKey)
    case instances(InstancesKey)
    case query(QueryKey)
    /// What came of the checks of an instance.
    case checks(ServiceID)
    /// Intentions whose source the service is.
    case outgoing(ServiceName)
    /// The names of all services.
    case services
    /// What holds for all proxies of the mesh.
    case mesh

    /// A chain with what it is to be compiled for.
    package struct ChainKey: Hashable, Sendable {
        package var service: ServiceName
        /// nil: the agent's own.
        package var datacenter: DatacenterName?
        /// What an upstream says over what the entries do; nil: nothing.
        package var overrideProtocol: String?
        package var connectTimeout: MeshDuration?

        package init(
            _ service: ServiceName, datacenter: DatacenterName? = nil,
            overrideProtocol: String? = nil, connectTimeout: MeshDuration? = nil
        ) {
            self.service = service
            self.datacenter = datacenter
            self.overrideProtocol = overrideProtocol
            self.connectTimeout = connectTimeout
        }
    }

    package struct InstancesKey: Hashable, Sendable {
        package var service: ServiceName
        package var datacenter: DatacenterName
        package var filter: String
    }

    package struct QueryKey: Hashable, Sendable {
        package var name: String
        package var datacenter: DatacenterName?

        package init(name: String, datacenter: DatacenterName? = nil) {
            self.name = name
            self.datacenter = datacenter
        }
    }

    /// Whether its answers come at once whatever is asked, so that it is asked at intervals.
    package var isPolled: Bool {
        switch self {
        case .query, .policy, .checks: true
        case .registration, .roots, .leaf, .intentions, .chain, .instances, .outgoing, .services,
            .mesh:
            false
        }
    }

    /// For people.
    package var text: String {
        switch self {
        case .registration(let id): "the proxy \(id)"
        case .roots: "the mesh's roots"
        case .leaf(let service): "the certificate of \(service)"
        case .intentions(let service): "the intentions towards \(service)"
        case .policy(let service): "what holds without an intention towards \(service)"
        case .chain(let key): "the chain of \(key.service)"
        case .instances(let key):
            "the instances of \(key.service) in \(key.datacenter)"
                + (key.filter.isEmpty ? "" : " with \(key.filter)")
        case .query(let key): "the prepared query \(key.name)"
        case .checks(let id): "the checks of \(id)"
        case .outgoing(let service): "the intentions from \(service)"
        case .services: "the services of the catalog"
        case .mesh: "the entry mesh"
        }
    }
}
