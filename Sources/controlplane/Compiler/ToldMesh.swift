import MeshDiscovery
import MeshModel
import MeshSidecar
import MeshTables

/// What an agent of Consul has told about the mesh around a sidecar.
struct ToldMesh: Sendable, Equatable {
    /// Of the sidecar's upstreams, in their order; nil: where one leads to is not known.
    var ways: [MeshView.Way?]
    /// What a transparent proxy reaches besides; nil: it is none.
    var reached: MeshView.Reached?
    /// Addresses of host names that endpoints have.
    var addresses: [String: String]
}

extension TransparentMesh {
    /// The services that an agent has told a transparent proxy of.
    init(_ reached: MeshView.Reached) {
        isClosed = reached.isClosed
        callers = 1
        services = reached.services.map { service in
            var virtual: [IPAddress] = []
            for ip in service.places.flatMap(\.virtual).compactMap({ IPAddress($0) })
            where !virtual.contains(ip) { virtual.append(ip) }
            return Service(
                name: service.upstream.destinationName, virtual: virtual,
                instances: service.places.compactMap { place in
                    guard let address = place.address, let ip = IPAddress(address.host),
                        let id = try? ServiceID(place.instance)
                    else { return nil }
                    return Instance(
                        id: id, address: ip, port: address.port, isDirect: place.isDirect)
                })
        }
    }
}

/// Upstreams of a sidecar whose mesh is known to an agent: chains come compiled, instances with
/// their health.
extension PartCompiler {
    mutating func addUpstream(
        _ upstream: UpstreamDefinition, _ way: MeshView.Way?, of source: SidecarSource,
        _ service: ServiceName, _ leaf: UInt64
    ) {
        guard let way else {
            let name = Self.name(of: upstream, of: source.definition)
            refuse("\(name): where it leads to is not known yet", source.origin)
            return
        }
        addUpstream(upstream, of: source, service, reach(upstream, way, service, leaf))
    }

    private func reach(
        _ upstream: UpstreamDefinition, _ way: MeshView.Way, _ service: ServiceName, _ leaf: UInt64
    ) -> Reach {
        var reach = Reach(
            caller: .sidecar(service, leafVersion: leaf), http: way.speaksHTTP,
            connectTimeout: upstream.options.connectTimeout, options: upstream.options,
            place: upstream.localBind)
        reach.way = way
        return reach
    }

    /// How a transparent proxy reaches a service that an agent has told it of; nil: it has not.
    func toldReach(_ name: ServiceName, _ service: ServiceName, _ leaf: UInt64) -> Reach? {
        frame.told?.reached?.services.first { $0.upstream.destinationName == name }
            .map { reach($0.upstream, $0.way, service, leaf) }
    }

    /// The same for one instance alone.
    func toldReach(_ reach: Reach, _ instance: TransparentMesh.Instance, of name: ServiceName)
        -> Reach
    {
        guard let way = reach.way,
            let service = frame.told?.reached?.services.first(where: {
                $0.upstream.destinationName == name
            })
        else { return reach }
        let endpoints = service.places.filter {
            $0.instance == instance.id.text && $0.address?.port == instance.port
                && $0.address.flatMap({ IPAddress($0.host) }) == instance.address
        }.compactMap(\.endpoint)
        var reach = reach
        let target = DiscoveryChain.Target(name, in: settings.node.datacenter)
        reach.way = MeshView.Way(
            chain: way.chain, endpoints: [target.id: endpoints], speaksHTTP: way.speaksHTTP)
        return reach
    }

    /// The chain as the data plane runs it. The agent knows the instances of other datacenters.
    mutating func traffic(of way: MeshView.Way) -> ChainTraffic {
        let traffic = ChainTraffic(way.chain, reachesDatacenters: true)
        part.problems += traffic.problems
        for target in way.chain.targets.values
        where target.datacenter != settings.node.datacenter
            && (target.meshGateway == .local || target.meshGateway == .remote)
        {
            part.problems.append(
                Problem(
                    .warning,
                    "the chain of \(way.chain.service): mesh gateways are not used, instances of "
                        + "\(target.service) in \(target.datacenter) are dialled themselves"))
        }
        return traffic
    }

    /// Where a target is dialled. Hosts whose address is not known yet are left out, and told.
    mutating func endpoints(
        of target: DiscoveryChain.Target, _ way: MeshView.Way
    ) -> [EndpointPlan] {
        (way.endpoints[target.id] ?? []).compactMap { endpoint in
            let address: AddressPlan
            if let path = endpoint.socketPath {
                address = .unix(path: path, mode: 0)
            } else if let ip = IPAddress(endpoint.host)
                ?? frame.told?.addresses[endpoint.host].flatMap({ IPAddress($0) })
            {
                address = .ip(ip, port: endpoint.port)
            } else {
                refuse("\(endpoint.instance): the address of \(endpoint.host) is not known", nil)
                return nil
            }
            return EndpointPlan(
                address: address, instance: endpoint.instance, node: endpoint.node,
                weight: endpoint.weight)
        }
    }

    /// What the endpoints of a service are spoken to in, the way that leads there told.
    mutating func wireProtocol(
        of service: ServiceName, _ reach: Reach
    ) -> TargetPlan.WireProtocol {
        guard let way = reach.way else {
            return wireProtocol(of: service, http: reach.http, spoken: reach.spoken)
        }
        switch way.chain.serviceProtocol {
        case .http where reach.http: return .http1
        case .http2 where reach.http, .grpc where reach.http: return .http2
        case .tcp, .http, .http2, .grpc: return .tcp
        }
    }
}
