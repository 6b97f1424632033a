import MeshDiscovery
package import MeshModel

extension MeshView {
    /// What a transparent proxy reaches without a listener for each service.
    package struct Reached: Sendable, Hashable {
        package struct Service: Sendable, Hashable {
            /// What is said about calls to it.
            package var upstream: UpstreamDefinition
            package var places: [CalledPlace]
            package var way: Way

            package init(upstream: UpstreamDefinition, places: [CalledPlace], way: Way) {
                self.upstream = upstream
                self.places = places
                self.way = way
            }
        }

        package var services: [Service]
        /// Whether nothing else is reached.
        package var isClosed: Bool

        package init(services: [Service], isClosed: Bool) {
            self.services = services
            self.isClosed = isClosed
        }
    }

    /// Every way to a service that is known.
    package var knownWays: [Way] {
        ways.compactMap { $0 } + (reached?.services.map(\.way) ?? [])
    }
}

/// Services that a transparent proxy calls where they are.
extension MirrorState {
    /// How many services an agent is asked about: each takes two of the 200 connections that an
    /// agent allows one client (`limits.http_max_conns_per_client`).
    package static let mostServices = 64

    struct Called {
        var upstreams: [UpstreamDefinition] = []
        var omitted = 0
    }

    /// Without a rule that covers a call. A rule for all callers hides it from the question about
    /// one that nobody knows.
    private var outgoingDefault: IntentionAction {
        let isHidden = intentions?.intentions.contains { $0.source == .any } ?? true
        return (isHidden ? nil : probe) ?? announced ?? .deny
    }

    /// The services that are asked about: upstreams of the registration, services that intentions
    /// name, and what the catalog has besides.
    var called: Called {
        guard let registration, registration.isTransparent else { return Called() }
        let written = (registration.upstreams + registration.options).filter {
            $0.destinationType == .service && ($0.datacenter == nil || $0.datacenter == home)
        }
        let rules = outgoing ?? Surroundings()
        let fallback = outgoing == nil ? .deny : outgoingDefault
        let names = (rules.named + (names ?? [])).filter { rules.allows($0, fallback: fallback) }
        var called = Called()
        var seen: Set<String> = []
        for upstream in written + names.map({ UpstreamDefinition(destinationName: $0) })
        where seen.insert(upstream.destinationName.folded).inserted {
            if called.upstreams.count < Self.mostServices {
                called.upstreams.append(upstream)
            } else {
                called.omitted += 1
            }
        }
        return called
    }

    /// What is asked for because the proxy is transparent. A chain counts only where something is
    /// called that leads into it.
    var wantedAround: Set<Subject> {
        guard let registration, registration.isTransparent else { return [] }
        var wanted: Set<Subject> = [.outgoing(registration.service), .services, .mesh]
        guard let home else { return wanted }
        for upstream in called.upstreams {
            let key = Self.own(upstream.destinationName, home)
            wanted.insert(.instances(key))
            guard places[key]?.contains(where: \.isCalled) == true else { continue }
            wanted.formUnion(subjects(of: upstream))
        }
        return wanted
    }

    static func own(_ service: ServiceName, _ home: DatacenterName) -> Subject.InstancesKey {
        Subject.InstancesKey(service: service, datacenter: home, filter: "")
    }

    /// nil: the proxy is not transparent.
    var reached: MeshView.Reached? {
        guard let registration, registration.isTransparent, let home else { return nil }
        let services = called.upstreams.compactMap { upstream -> MeshView.Reached.Service? in
            guard let places = places[Self.own(upstream.destinationName, home)],
                places.contains(where: \.isCalled), let way = way(upstream, home)
            else { return nil }
            return .init(upstream: upstream, places: places, way: way)
        }.sorted { $0.upstream.destinationName < $1.upstream.destinationName }
        // Where it is not known whether something else may be reached, nothing else is.
        return MeshView.Reached(services: services, isClosed: isClosed ?? true)
    }

    /// What a transparent proxy cannot do, for people.
    var problemsAround: [String] {
        guard let registration, registration.isTransparent else { return [] }
        let omitted = called.omitted
        guard omitted > 0 else { return [] }
        return [
            "\(omitted) services are not reached: an agent is asked about \(Self.mostServices), as "
                + "it allows one client 200 connections; upstreams and services that intentions "
                + "from \(registration.service) name come first"
        ]
    }
}

extension CalledPlace {
    /// Whether there is an address that stands for the service.
    var isCalled: Bool { !virtual.isEmpty || address != nil }
}
