package import MeshModel

/// What becomes of traffic to a service: the compiled form of routers, splitters and resolvers.
///
/// A graph of nodes from `start` to targets, as Consul's `/v1/discovery-chain` shows it. Nested
/// splitters are already flattened; everything unreachable is gone.
package struct DiscoveryChain: Hashable, Sendable {
    package var service: ServiceName
    package var datacenter: DatacenterName
    /// What all services of the chain speak.
    package var serviceProtocol: ServiceProtocol
    /// The key of the node where traffic enters.
    package var start: String
    package var nodes: [String: Node]
    package var targets: [String: Target]
    /// Meta of the service's own defaults.
    package var meta: [String: String]

    package enum Node: Hashable, Sendable {
        case router([Route])
        case splitter([Leg], LoadBalancer?)
        case resolver(Resolver)
    }

    package init(
        service: ServiceName, datacenter: DatacenterName, serviceProtocol: ServiceProtocol,
        start: String, nodes: [String: Node], targets: [String: Target],
        meta: [String: String] = [:]
    ) {
        self.service = service
        self.datacenter = datacenter
        self.serviceProtocol = serviceProtocol
        self.start = start
        self.nodes = nodes
        self.targets = targets
        self.meta = meta
    }

    /// A route of a router. The last one, without a definition of anybody's, takes what is left.
    package struct Route: Hashable, Sendable {
        package var definition: ServiceRouter.Route
        package var next: String

        package init(definition: ServiceRouter.Route, next: String) {
            self.definition = definition
            self.next = next
        }
    }

    /// A part of the traffic of a splitter.
    package struct Leg: Hashable, Sendable {
        /// Hundredths of a per cent.
        package var weight: Int
        package var definition: ServiceSplitter.Split
        package var next: String

        package init(weight: Int, definition: ServiceSplitter.Split, next: String) {
            self.weight = weight
            self.definition = definition
            self.next = next
        }
    }

    package struct Resolver: Hashable, Sendable {
        package var target: String
        /// Whether nothing was written about how the target's name resolves.
        package var isDefault: Bool
        package var connectTimeout: MeshDuration
        package var requestTimeout: MeshDuration?
        package var loadBalancer: LoadBalancer?
        /// Targets tried in order when the target has no healthy instance.
        package var failover: [String]
        package var failoverPolicy: FailoverPolicy?
        package var prioritizeByLocality: LocalityPriority?

        package init(
            target: String, isDefault: Bool, connectTimeout: MeshDuration,
            requestTimeout: MeshDuration? = nil, loadBalancer: LoadBalancer? = nil,
            failover: [String] = [], failoverPolicy: FailoverPolicy? = nil,
            prioritizeByLocality: LocalityPriority? = nil
        ) {
            self.target = target
            self.isDefault = isDefault
            self.connectTimeout = connectTimeout
            self.requestTimeout = requestTimeout
            self.loadBalancer = loadBalancer
            self.failover = failover
            self.failoverPolicy = failoverPolicy
            self.prioritizeByLocality = prioritizeByLocality
        }
    }

    /// Instances of one service, all or a subset, in one datacenter.
    package struct Target: Hashable, Sendable {
        package var id: String
        package var service: ServiceName
        package var subsetName: SubsetName?
        package var subset: ServiceResolver.Subset
        package var datacenter: DatacenterName
        package var connectTimeout: MeshDuration
        package var meshGateway: MeshGatewayMode
        /// The server name of a service outside the mesh; empty for services of the mesh.
        package var externalSNI: String

        /// A service itself, or a subset of it, whatever its chain says.
        package init(
            _ service: ServiceName, _ subsetName: SubsetName? = nil,
            _ subset: ServiceResolver.Subset = ServiceResolver.Subset(),
            in datacenter: DatacenterName
        ) {
            self.init(
                id: Self.id(of: service, subsetName, in: datacenter), service: service,
                subsetName: subsetName, subset: subset, datacenter: datacenter,
                connectTimeout: ChainCompiler.connectTimeout)
        }

        package init(
            id: String, service: ServiceName, subsetName: SubsetName? = nil,
            subset: ServiceResolver.Subset = ServiceResolver.Subset(), datacenter: DatacenterName,
            connectTimeout: MeshDuration, meshGateway: MeshGatewayMode = .inherit,
            externalSNI: String = ""
        ) {
            self.id = id
            self.service = service
            self.subsetName = subsetName
            self.subset = subset
            self.datacenter = datacenter
            self.connectTimeout = connectTimeout
            self.meshGateway = meshGateway
            self.externalSNI = externalSNI
        }

        /// `[<subset>.]<service>.default.<datacenter>`.
        static func id(
            of service: ServiceName, _ subset: SubsetName?, in datacenter: DatacenterName
        ) -> String {
            let name = "\(service.text).default.\(datacenter.text)"
            return subset.map { "\($0).\(name)" } ?? name
        }

        /// The server name that mesh TLS asks for.
        package func sni(in trustDomain: TrustDomain) -> String {
            externalSNI.isEmpty ? name(in: trustDomain) : externalSNI
        }

        /// `[<subset>.]<service>.default.<datacenter>.internal.<trust domain>`.
        package func name(in trustDomain: TrustDomain) -> String {
            "\(Self.id(of: service, subsetName, in: datacenter)).internal.\(trustDomain.text)"
        }
    }

    /// Whether the chain is what a service has about which nothing was written.
    package var isDefault: Bool {
        guard case .resolver(let resolver) = nodes[start], let target = targets[resolver.target]
        else { return false }
        return resolver.isDefault && target.service == service
    }
}
