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
    package var prioritizeByLocality: LocalityPriority?
    /// Of whoever calls the service, unless the caller's own defaults say otherwise. These two are
    /// ours, not Consul's.
    package var limits: UpstreamLimits?
    package var passiveHealthCheck: PassiveHealthCheck?
    package var meta: [String: String]

    package init(
        name: ServiceName, defaultSubset: SubsetName? = nil, subsets: [String: Subset] = [:],
        redirect: Redirect? = nil, failover: [String: Failover] = [:],
        connectTimeout: MeshDuration? = nil, requestTimeout: MeshDuration? = nil,
        loadBalancer: LoadBalancer? = nil, prioritizeByLocality: LocalityPriority? = nil,
        limits: UpstreamLimits? = nil, passiveHealthCheck: PassiveHealthCheck? = nil,
        meta: [String: String] = [:]
    ) {
        self.name = name
        self.defaultSubset = defaultSubset
        self.subsets = subsets
        self.redirect = redirect
        self.failover = failover
        self.connectTimeout = connectTimeout
        self.requestTimeout = requestTimeout
        self.loadBalancer = loadBalancer
        self.prioritizeByLocality = prioritizeByLocality
        self.limits = limits
        self.passiveHealthCheck = passiveHealthCheck
        self.meta = meta
    }

    /// Whether the entry changes nothing about how the name resolves.
    package var isDefault: Bool {
        defaultSubset == nil && subsets.isEmpty && redirect == nil && failover.isEmpty
            && connectTimeout == nil && requestTimeout == nil && loadBalancer == nil
            && prioritizeByLocality == nil
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case defaultSubset = "default_subset"
        case subsets, redirect, failover
        case connectTimeout = "connect_timeout"
        case requestTimeout = "request_timeout"
        case loadBalancer = "load_balancer"
        case prioritizeByLocality = "prioritize_by_locality"
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
        checks.within(["prioritize_by_locality"], prioritizeByLocality)
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
