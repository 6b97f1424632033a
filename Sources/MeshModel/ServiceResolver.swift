/// Says which instances a service's name means.
package struct ServiceResolver: Hashable, Sendable, Codable {
    package struct Subset: Hashable, Sendable, Codable {
        /// An expression over instances; empty takes all.
        package var filter: String
        package var onlyPassing: Bool

        package init(filter: String = "", onlyPassing: Bool = false) {
            self.filter = filter
            self.onlyPassing = onlyPassing
        }

        package enum CodingKeys: String, CodingKey {
            case filter
            case onlyPassing = "only_passing"
        }
    }

    package struct Redirect: Hashable, Sendable, Codable {
        package var service: ServiceName?
        package var serviceSubset: SubsetName?
        package var datacenter: DatacenterName?
        package var peer: String?

        package init(
            service: ServiceName? = nil, serviceSubset: SubsetName? = nil,
            datacenter: DatacenterName? = nil, peer: String? = nil
        ) {
            self.service = service
            self.serviceSubset = serviceSubset
            self.datacenter = datacenter
            self.peer = peer
        }

        package enum CodingKeys: String, CodingKey {
            case service
            case serviceSubset = "service_subset"
            case datacenter, peer
        }
    }

    package struct Failover: Hashable, Sendable, Codable {
        package var service: ServiceName?
        package var serviceSubset: SubsetName?
        package var datacenters: [DatacenterName]
        package var targets: [Redirect]
        package var policy: FailoverPolicy?

        package init(
            service: ServiceName? = nil, serviceSubset: SubsetName? = nil,
            datacenters: [DatacenterName] = [], targets: [Redirect] = [],
            policy: FailoverPolicy? = nil
        ) {
            self.service = service
            self.serviceSubset = serviceSubset
            self.datacenters = datacenters
            self.targets = targets
            self.policy = policy
        }

        package enum CodingKeys: String, CodingKey {
            case service
            case serviceSubset = "service_subset"
            case datacenters, targets, policy
        }
    }

    package var name: ServiceName
    package var defaultSubset: SubsetName?
    package var subsets: [String: Subset]
    package var redirect: Redirect?
    /// By subset; `*` is for all that have none of their own.
    package var failover: [String: Failover]
    package var connectTimeout: MeshDuration?
    package var requestTimeout: MeshDuration?
    package var loadBalancer: LoadBalancer?
    /// Of whoever calls the service, unless the caller's own defaults say otherwise. These two are
    /// ours, not Consul's.
    package var limits: UpstreamLimits?
    package var passiveHealthCheck: PassiveHealthCheck?
    package var meta: [String: String]

    package init(
        name: ServiceName, defaultSubset: SubsetName? = nil, subsets: [String: Subset] = [:],
        redirect: Redirect? = nil, failover: [String: Failover] = [:],
        connectTimeout: MeshDuration? = nil, requestTimeout: MeshDuration? = nil,
        loadBalancer: LoadBalancer? = nil, limits: UpstreamLimits? = nil,
        passiveHealthCheck: PassiveHealthCheck? = nil, meta: [String: String] = [:]
    ) {
        self.name = name
        self.defaultSubset = defaultSubset
        self.subsets = subsets
        self.redirect = redirect
        self.failover = failover
        self.connectTimeout = connectTimeout
        self.requestTimeout = requestTimeout
        self.loadBalancer = loadBalancer
        self.limits = limits
        self.passiveHealthCheck = passiveHealthCheck
        self.meta = meta
    }

    /// Whether the entry changes nothing about how the name resolves.
    package var isDefault: Bool {
        defaultSubset == nil && subsets.isEmpty && redirect == nil && failover.isEmpty
            && connectTimeout == nil && requestTimeout == nil && loadBalancer == nil
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case defaultSubset = "default_subset"
        case subsets, redirect, failover
        case connectTimeout = "connect_timeout"
        case requestTimeout = "request_timeout"
        case loadBalancer = "load_balancer"
        case limits
        case passiveHealthCheck = "passive_health_check"
        case meta
    }
}

/// The order in which failover targets are tried.
package struct FailoverPolicy: Hashable, Sendable, Codable {
    package var mode: String
    package var regions: [String]

    package init(mode: String = "", regions: [String] = []) {
        self.mode = mode
        self.regions = regions
    }
}

/// How one instance is chosen among the healthy ones.
package struct LoadBalancer: Hashable, Sendable, Codable {
    package enum Policy: String, Sendable, Codable, CaseIterable {
        /// The data plane's default: round robin.
        case standard = ""
        case random
        case roundRobin = "round_robin"
        case leastRequest = "least_request"
        case ringHash = "ring_hash"
        case maglev

        /// Whether the choice follows a hash of the request.
        package var isHashBased: Bool { self == .ringHash || self == .maglev }
    }

    package enum HashField: String, Sendable, Codable, CaseIterable {
        case header, cookie
        case queryParameter = "query_parameter"
    }

    package struct Cookie: Hashable, Sendable, Codable {
        package var session: Bool
        package var ttl: MeshDuration
        package var path: String

        package init(session: Bool = false, ttl: MeshDuration = .zero, path: String = "") {
            self.session = session
            self.ttl = ttl
            self.path = path
        }
    }

    package struct HashPolicy: Hashable, Sendable, Codable {
        package var field: HashField?
        package var fieldValue: String
        package var cookie: Cookie?
        package var sourceIP: Bool
        /// Whether later policies are left out once this one gave a hash.
        package var terminal: Bool

        package init(
            field: HashField? = nil, fieldValue: String = "", cookie: Cookie? = nil,
            sourceIP: Bool = false, terminal: Bool = false
        ) {
            self.field = field
            self.fieldValue = fieldValue
            self.cookie = cookie
            self.sourceIP = sourceIP
            self.terminal = terminal
        }

        package enum CodingKeys: String, CodingKey {
            case field
            case fieldValue = "field_value"
            case cookie = "cookie_config"
            case sourceIP = "source_ip"
            case terminal
        }
    }

    package var policy: Policy
    package var minimumRingSize: Int?
    package var maximumRingSize: Int?
    package var choiceCount: Int?
    package var hashPolicies: [HashPolicy]

    package init(
        policy: Policy = .standard, minimumRingSize: Int? = nil, maximumRingSize: Int? = nil,
        choiceCount: Int? = nil, hashPolicies: [HashPolicy] = []
    ) {
        self.policy = policy
        self.minimumRingSize = minimumRingSize
        self.maximumRingSize = maximumRingSize
        self.choiceCount = choiceCount
        self.hashPolicies = hashPolicies
    }

    package enum CodingKeys: String, CodingKey {
        case policy
        case minimumRingSize = "minimum_ring_size"
        case maximumRingSize = "maximum_ring_size"
        case choiceCount = "choice_count"
        case hashPolicies = "hash_policies"
    }
}

extension LoadBalancer: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if minimumRingSize != nil || maximumRingSize != nil {
            checks.require(
                policy == .ringHash, ["ring_hash_config"],
                "RingHashConfig specified for incompatible load balancing policy "
                    + NameRule.quoted(policy.rawValue))
        }
        for (key, size) in [
            ("minimum_ring_size", minimumRingSize), ("maximum_ring_size", maximumRingSize),
        ] {
            guard let size else { continue }
            checks.require(
                (1...8_388_608).contains(size), ["ring_hash_config", .key(key)],
                "write a size of 1 to 8388608")
        }
        if let low = minimumRingSize, let high = maximumRingSize {
            checks.require(
                low <= high, ["ring_hash_config", "minimum_ring_size"],
                "the minimum is above the maximum")
        }
        if let choices = choiceCount {
            checks.require(
                policy == .leastRequest, ["least_request_config"],
                "LeastRequestConfig specified for incompatible load balancing policy "
                    + NameRule.quoted(policy.rawValue))
            checks.require(
                (2...100).contains(choices), ["least_request_config", "choice_count"],
                "write a number of 2 to 100")
        }
        checks.require(
            hashPolicies.isEmpty || policy.isHashBased, ["hash_policies"],
            "HashPolicies specified for non-hash-based Policy: "
                + NameRule.quoted(policy.rawValue))
        for (index, hash) in hashPolicies.enumerated() {
            checks.within(["hash_policies", .index(index)]) { hash.validate(&$0) }
        }
    }
}

extension LoadBalancer.HashPolicy: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if sourceIP {
            checks.require(
                field == nil && fieldValue.isEmpty, [],
                "a single hash policy cannot hash both a source address and a field")
        } else if field == nil {
            checks.fail([], "write field (header, cookie or query_parameter) or source_ip: true")
        } else {
            checks.require(!fieldValue.isEmpty, [], "field without field_value: write its name")
        }
        guard let cookie else { return }
        checks.require(
            field == .cookie, ["cookie_config"],
            "cookie_config provided for \(NameRule.quoted(field?.rawValue ?? ""))")
        checks.require(
            !(cookie.session && cookie.ttl != .zero), ["cookie_config", "ttl"],
            "a session cookie cannot have an associated TTL")
        checks.require(
            cookie.ttl >= .zero, ["cookie_config", "ttl"], "a TTL cannot be negative")
    }
}

extension ServiceResolver: Validated {
    package func validate(_ checks: inout FieldChecks) {
        for (key, subset) in subsets {
            do { _ = try SubsetName(key) } catch {
                checks.fail(["subsets", .key(key)], "\(error)")
            }
            checks.require(
                subset.filter.utf8.count <= 4096, ["subsets", .key(key), "filter"],
                "use at most 4096 bytes")
        }
        if let defaultSubset {
            checks.require(
                subsets[defaultSubset.text] != nil, ["default_subset"],
                "\(NameRule.quoted(defaultSubset.text)) is not a subset of this entry: "
                    + "define it under subsets")
        }
        if let redirect { validateRedirect(redirect, &checks) }
        for (key, failover) in failover {
            checks.within(["failover", .key(key)]) { inner in
                inner.require(
                    key == "*" || subsets[key] != nil, [],
                    "\(NameRule.quoted(key)) is not a subset of this entry: write * or a subset")
                validateFailover(failover, &inner)
            }
        }
        for (key, value) in [
            ("connect_timeout", connectTimeout), ("request_timeout", requestTimeout),
        ] {
            if let value, value < .zero {
                checks.fail([.key(key)], "the timeout cannot be negative")
            }
        }
        checks.within(["load_balancer"], loadBalancer)
        checks.within(["limits"], limits)
        checks.within(["passive_health_check"], passiveHealthCheck)
    }

    private func validateRedirect(_ redirect: Redirect, _ checks: inout FieldChecks) {
        checks.require(
            redirect != Redirect(), ["redirect"],
            "the redirect is empty: write service, service_subset or datacenter")
        checks.require(
            redirect.serviceSubset == nil || redirect.service != nil, ["redirect"],
            "service_subset needs service: write the service it belongs to")
    }

    private func validateFailover(_ failover: Failover, _ checks: inout FieldChecks) {
        checks.require(
            failover.service != nil || failover.serviceSubset != nil
                || !failover.datacenters.isEmpty || !failover.targets.isEmpty, [],
            "one of service, service_subset, datacenters or targets is needed")
        checks.require(
            failover.targets.isEmpty
                || (failover.service == nil && failover.serviceSubset == nil
                    && failover.datacenters.isEmpty),
            ["targets"],
            "targets cannot stand beside service, service_subset or datacenters")
        if let subset = failover.serviceSubset, (failover.service ?? name) == name {
            checks.require(
                subsets[subset.text] != nil, ["service_subset"],
                "\(NameRule.quoted(subset.text)) is not a subset of this entry")
        }
    }
}
