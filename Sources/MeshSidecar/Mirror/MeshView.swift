package import MeshDiscovery
package import MeshIdentity
package import MeshModel

/// All that a sidecar needs to know of its mesh, as an agent has told it.
package struct MeshView: Sendable, Equatable {
    /// What becomes of the traffic to one upstream.
    package struct Way: Sendable, Hashable {
        package var chain: DiscoveryChain
        /// By the id of the target. One that is not there is not known yet: it has none.
        package var endpoints: [String: [MeshEndpoint]]
        package var speaksHTTP: Bool

        package init(
            chain: DiscoveryChain, endpoints: [String: [MeshEndpoint]], speaksHTTP: Bool
        ) {
            self.chain = chain
            self.endpoints = endpoints
            self.speaksHTTP = speaksHTTP
        }
    }

    package var registration: Registration
    package var roots: MeshRoots
    package var leaf: LeafCertificate
    package var serviceProtocol: ServiceProtocol
    package var intentions: [Intention]
    package var intentionsDefault: IntentionAction
    /// In the order of the registration's upstreams; nil: what it leads to is not known.
    package var ways: [Way?]
    /// What a transparent proxy reaches besides; nil: it is none.
    package var reached: Reached?

    package init(
        registration: Registration, roots: MeshRoots, leaf: LeafCertificate,
        serviceProtocol: ServiceProtocol, intentions: [Intention],
        intentionsDefault: IntentionAction, ways: [Way?], reached: Reached? = nil
    ) {
        self.registration = registration
        self.roots = roots
        self.leaf = leaf
        self.serviceProtocol = serviceProtocol
        self.intentions = intentions
        self.intentionsDefault = intentionsDefault
        self.ways = ways
        self.reached = reached
    }

    package var service: ServiceName { registration.service }
    package var datacenter: DatacenterName { leaf.id.datacenter }
}
