package import MeshModel

/// A resolved destination: one subset of one service in one datacenter, with its endpoints.
package struct TargetPlan: Hashable, Sendable, Codable {
    package enum Balance: Hashable, Sendable, Codable {
        case roundRobin
        /// The less loaded of two random choices.
        case leastRequest
        case random
        /// By a hash of the request: with ``BalancingPlan``.
        case ringHash
        case maglev
        /// The one of two random choices that takes the least time: with ``BalancingPlan``.
        case latency
    }

    package enum WireProtocol: Hashable, Sendable, Codable {
        case tcp
        case http1
        /// By ALPN with TLS, by prior knowledge without.
        case http2
    }

    /// Unique and stable across generations: "web.default.dc1", "v2.web.default.dc1".
    package var id: String
    package var service: ServiceName
    package var endpoints: [EndpointPlan]
    /// Ids of other targets, tried in order when no endpoint is healthy.
    package var failover: [String]
    /// Whether the service's intentions are asked before an endpoint without TLS is dialled from a
    /// mesh-outbound listener or a gateway. Set it for mesh services whose instances are dialled
    /// directly.
    package var checksIntentions: Bool
    /// Server name to ask TLS endpoints for.
    package var sni: String
    /// SPIFFE id that TLS endpoints must present.
    package var expectedID: String
    package var balance: Balance
    /// nil: what ``balance`` says is all.
    package var balancing: BalancingPlan?
    package var wireProtocol: WireProtocol
    /// Milliseconds.
    package var connectTimeout: UInt32
    /// nil: nothing is bounded or watched.
    package var guarded: GuardPlan?
    /// TCP congestion control of upstream connections; empty = the system's.
    package var congestion: String
    /// The PROXY header that connections to endpoints without mesh TLS begin with.
    package var proxyHeader: ProxyHeaderVersion?

    package init(
        id: String, service: ServiceName, endpoints: [EndpointPlan] = [], failover: [String] = [],
        checksIntentions: Bool = false, sni: String = "", expectedID: String = "",
        balance: Balance = .roundRobin, balancing: BalancingPlan? = nil,
        wireProtocol: WireProtocol = .tcp,
        connectTimeout: UInt32 = 5_000, guarded: GuardPlan? = nil, congestion: String = "",
        proxyHeader: ProxyHeaderVersion? = nil
    ) {
        self.id = id
        self.service = service
        self.endpoints = endpoints
        self.failover = failover
        self.checksIntentions = checksIntentions
        self.sni = sni
        self.expectedID = expectedID
        self.balance = balance
        self.balancing = balancing
        self.wireProtocol = wireProtocol
        self.connectTimeout = connectTimeout
        self.guarded = guarded
        self.congestion = congestion
        self.proxyHeader = proxyHeader
    }
}

/// One address of a target.
package struct EndpointPlan: Hashable, Sendable, Codable {
    package var address: AddressPlan
    /// The instance's id; with node and address it is what health is kept for.
    package var instance: String
    package var node: String
    /// 1 to 65535.
    package var weight: Int
    /// Client TLS; nil: plaintext.
    package var tls: TLSRef?
    /// Whether it takes traffic while a check warns. Where it does not, its health is a word of its
    /// own: the same instance may be an endpoint that does.
    package var takesWarnings: Bool
    /// How far it is. Endpoints of a target with ``BalancingPlan/healthyShare`` are sorted by it.
    package var distance: Locality.Distance

    package init(
        address: AddressPlan, instance: String, node: String, weight: Int = 1, tls: TLSRef? = nil,
        takesWarnings: Bool = true, distance: Locality.Distance = .sameZone
    ) {
        self.address = address
        self.instance = instance
        self.node = node
        self.weight = weight
        self.tls = tls
        self.takesWarnings = takesWarnings
        self.distance = distance
    }

    /// What the endpoint is known by across generations, in the overlay and in pools.
    package var key: UInt64 {
        var hash = StableHash()
        hash.combine(instance)
        hash.combine(node)
        hash.combine(address)
        if !takesWarnings { hash.combine("only passing") }
        return hash.finish()
    }
}
