import MeshModel

/// Config entries in the shape of documents.
extension Rendering {
    static func entry(_ entry: ConfigEntry) -> YAMLValue {
        let head: [(String, YAMLValue?)] = [
            ("kind", .text(entry.kind)), ("name", .text(entry.name)),
        ]
        let rest: [(String, YAMLValue?)]
        switch entry {
        case .serviceDefaults(let value): rest = serviceDefaults(value)
        case .proxyDefaults(let value): rest = proxyDefaults(value)
        case .serviceRouter(let value):
            rest = [("routes", list(value.routes, route)), ("meta", .texts(value.meta))]
        case .serviceSplitter(let value):
            rest = [("splits", list(value.splits, split)), ("meta", .texts(value.meta))]
        case .serviceResolver(let value): rest = resolver(value)
        case .serviceIntentions(let value):
            rest = [("sources", list(value.sources, source)), ("meta", .texts(value.meta))]
        case .ingressGateway(let value): rest = ingress(value)
        case .terminatingGateway(let value):
            rest = [("services", list(value.services, linked)), ("meta", .texts(value.meta))]
        case .other(let value):
            guard case .map(let members) = opaque(.object(value.fields)) else { return .map([]) }
            rest = members.map { ($0.0, $0.1) }
        }
        return .section(head + rest) ?? .map([])
    }

    static func list<T>(_ items: [T], _ render: (T) -> YAMLValue) -> YAMLValue? {
        items.isEmpty ? nil : .list(items.map(render))
    }

    private static func gateway(_ mode: MeshGatewayMode) -> YAMLValue? {
        mode == .inherit ? nil : .map([("mode", .text(mode.rawValue))])
    }

    private static func milliseconds(_ value: MeshDuration?) -> YAMLValue? {
        value.map { .number($0.millisecondsRoundedUp) }
    }

    static func transparent(_ port: UInt16?, _ directly: Bool) -> YAMLValue? {
        .section([
            ("outbound_listener_port", port.map { .number($0) }),
            ("dialed_directly", directly ? .bool(true) : nil),
        ])
    }

    private static func serviceDefaults(_ value: ServiceDefaults) -> [(String, YAMLValue?)] {
        let upstreams = YAMLValue.section([
            ("defaults", value.upstreamDefaults.map(upstreamConfig)),
            ("overrides", list(value.upstreamOverrides, upstreamConfig)),
        ])
        return [
            ("protocol", .optional(value.serviceProtocol?.rawValue)),
            ("mesh_gateway", gateway(value.meshGateway)),
            ("external_sni", value.externalSNI.isEmpty ? nil : .text(value.externalSNI)),
            ("proxy_protocol", .optional(value.proxyProtocol?.rawValue)),
            ("mode", .optional(value.mode)),
            (
                "transparent_proxy", transparent(value.outboundListenerPort, value.dialedDirectly)
            ),
            ("max_inbound_connections", value.maxInboundConnections.map { .number($0) }),
            (
                "max_connection_lifetime",
                value.maxConnectionLifetime.map { .duration($0) }
            ),
            ("local_connect_timeout_ms", milliseconds(value.localConnectTimeout)),
            ("local_request_timeout_ms", milliseconds(value.localRequestTimeout)),
            ("upstream_config", upstreams), ("expose", value.expose.map(opaque)),
            ("envoy_extensions", value.envoyExtensions.map(opaque)), ("meta", .texts(value.meta)),
        ]
    }

    private static func upstreamConfig(_ value: UpstreamConfig) -> YAMLValue {
        return .section([
            ("name", .optional(value.name?.text)),
            ("protocol", .optional(value.serviceProtocol?.rawValue)),
            ("connect_timeout_ms", milliseconds(value.connectTimeout)),
            ("limits", value.limits.map(limits)),
            ("passive_health_check", value.passiveHealthCheck.map(passive)),
            ("mesh_gateway", gateway(value.meshGateway)),
        ]) ?? .map([])
    }

    static func rateLimits(_ limits: [RateLimit]) -> YAMLValue? {
        list(limits) { limit in
            .section([
                ("requests_per_second", .literal("\(limit.requestsPerSecond)")),
                ("requests_max_burst", limit.requestsMaxBurst.map { .number($0) }),
                ("by", .text(limit.sharing.rawValue)),
            ]) ?? .map([])
        }
    }

    private static func mirror(_ value: RequestMirror) -> YAMLValue {
        .section([
            ("service", .text(value.service.text)), ("percent", .literal("\(value.percent)")),
        ]) ?? .map([])
    }

    private static func limits(_ value: UpstreamLimits) -> YAMLValue {
        .section([
            ("max_connections", value.maxConnections.map { .number($0) }),
            ("max_pending_requests", value.maxPendingRequests.map { .number($0) }),
            ("max_concurrent_requests", value.maxConcurrentRequests.map { .number($0) }),
            ("max_retries", value.maxRetries.map { .number($0) }),
        ]) ?? .map([])
    }

    private static func passive(_ value: PassiveHealthCheck) -> YAMLValue {
        .section([
            ("interval", value.interval.map { .duration($0) }),
            ("max_failures", value.maxFailures.map { .number($0) }),
            ("max_gateway_failures", value.maxGatewayFailures.map { .number($0) }),
            ("enforcing_consecutive_5xx", value.enforcingConsecutive5xx.map { .number($0) }),
            ("max_ejection_percent", value.maxEjectionPercent.map { .number($0) }),
            ("base_ejection_time", value.baseEjectionTime.map { .duration($0) }),
            ("max_ejection_time", value.maxEjectionTime.map { .duration($0) }),
        ]) ?? .map([])
    }

    private static func proxyDefaults(_ value: ProxyDefaults) -> [(String, YAMLValue?)] {
        [
            ("config", value.config.isEmpty ? nil : opaque(.object(value.config))),
            ("mesh_gateway", gateway(value.meshGateway)),
            ("mode", .optional(value.mode)),
            (
                "transparent_proxy", transparent(value.outboundListenerPort, value.dialedDirectly)
            ),
            ("failover_policy", value.failoverPolicy.map(policy)),
            ("expose", value.expose.map(opaque)), ("access_logs", value.accessLogs.map(opaque)),
            ("envoy_extensions", value.envoyExtensions.map(opaque)), ("meta", .texts(value.meta)),
        ]
    }

    private static func policy(_ value: FailoverPolicy) -> YAMLValue {
        .section([("mode", .text(value.mode)), ("regions", .texts(value.regions))]) ?? .map([])
    }

    private static func http(_ value: HTTPMatch) -> YAMLValue {
        .section(match(value, header: "header", "query_param")) ?? .map([])
    }

    static func modifiers(_ value: HeaderModifiers) -> YAMLValue {
        .section([
            ("add", headers(value.add)), ("set", headers(value.set)),
            ("remove", .texts(value.remove)),
        ]) ?? .map([])
    }

    private static func route(_ value: ServiceRouter.Route) -> YAMLValue {
        .section([
            ("match", value.match.map { .map([("http", http($0))]) }),
            ("destination", value.destination.map(destination)),
        ]) ?? .map([])
    }

    private static func destination(_ value: ServiceRouter.Destination) -> YAMLValue {
        .section(
            [
                ("service", .optional(value.service?.text)),
                ("service_subset", .optional(value.serviceSubset?.text)),
            ] + policy(of: value)) ?? .map([])
    }

    static func policy(of value: ServiceRouter.Destination) -> [(String, YAMLValue?)] {
        [
            ("prefix_rewrite", .optional(value.prefixRewrite)),
            ("request_timeout", value.requestTimeout.map { .duration($0) }),
            ("idle_timeout", value.idleTimeout.map { .duration($0) }),
            ("num_retries", value.numRetries == 0 ? nil : .number(value.numRetries)),
            ("retry_on_connect_failure", value.retryOnConnectFailure ? .bool(true) : nil),
            ("retry_on", .texts(value.retryOn)),
            ("retry_on_status_codes", list(value.retryOnStatusCodes) { .number($0) }),
            ("try_timeout", value.tryTimeout.map { .duration($0) }),
            ("retry_backoff", value.retryBackoff.map { .duration($0) }),
            ("retry_backoff_max", value.retryBackoffMax.map { .duration($0) }),
            ("retry_non_idempotent", value.retryNonIdempotent.map { .bool($0) }),
            ("retry_body_bytes", value.retryBodyBytes.map { .number($0) }),
            ("rate_limits", value.rateLimits.flatMap(rateLimits)),
            ("max_request_bytes", value.maxRequestBytes.map { .number($0) }),
            ("max_header_bytes", value.maxHeaderBytes.map { .number($0) }),
            ("mirror", value.mirror.map(mirror)),
            ("request_headers", value.requestHeaders.map(modifiers)),
            ("response_headers", value.responseHeaders.map(modifiers)),
        ]
    }

    private static func split(_ value: ServiceSplitter.Split) -> YAMLValue {
        .section([
            ("weight", .literal("\(value.weight)")), ("service", .optional(value.service?.text)),
            ("service_subset", .optional(value.serviceSubset?.text)),
            ("request_headers", value.requestHeaders.map(modifiers)),
            ("response_headers", value.responseHeaders.map(modifiers)),
        ]) ?? .map([])
    }

    private static func byName<T>(
        _ map: [String: T], _ render: (T) -> YAMLValue
    ) -> YAMLValue? {
        map.isEmpty ? nil : .map(map.sorted { $0.key < $1.key }.map { ($0.key, render($0.value)) })
    }

    private static func resolver(_ value: ServiceResolver) -> [(String, YAMLValue?)] {
        [
            ("default_subset", .optional(value.defaultSubset?.text)),
            (
                "subsets",
                byName(value.subsets) {
                    .map([
                        ("filter", .text($0.filter)), ("only_passing", .bool($0.onlyPassing)),
                    ])
                }
            ), ("redirect", value.redirect.map(target)),
            ("failover", byName(value.failover, failover)),
            ("connect_timeout", value.connectTimeout.map { .duration($0) }),
            ("request_timeout", value.requestTimeout.map { .duration($0) }),
            ("load_balancer", value.loadBalancer.map(loadBalancer)),
            ("limits", value.limits.map(limits)),
            ("passive_health_check", value.passiveHealthCheck.map(passive)),
            ("prioritize_by_locality", value.prioritizeByLocality.map(localityPriority)),
            ("meta", .texts(value.meta)),
        ]
    }

    private static func target(_ value: ServiceResolver.Redirect) -> YAMLValue {
        .section([
            ("service", .optional(value.service?.text)),
            ("service_subset", .optional(value.serviceSubset?.text)),
            ("datacenter", .optional(value.datacenter?.text)), ("peer", .optional(value.peer)),
        ]) ?? .map([])
    }

    private static func failover(_ value: ServiceResolver.Failover) -> YAMLValue {
        .section([
            ("service", .optional(value.service?.text)),
            ("service_subset", .optional(value.serviceSubset?.text)),
            ("datacenters", .texts(value.datacenters.map(\.text))),
            ("targets", list(value.targets, target)), ("policy", value.policy.map(policy)),
        ]) ?? .map([])
    }

    private static func localityPriority(_ value: LocalityPriority) -> YAMLValue {
        .section([
            ("mode", .text(value.mode.rawValue)),
            ("healthy_share", value.healthyShare.map { .number($0) }),
        ]) ?? .map([])
    }

    private static func loadBalancer(_ value: LoadBalancer) -> YAMLValue {
        let ring = YAMLValue.section([
            ("minimum_ring_size", value.minimumRingSize.map { .number($0) }),
            ("maximum_ring_size", value.maximumRingSize.map { .number($0) }),
        ])
        return .section([
            ("policy", .text(value.policy.rawValue)), ("ring_hash_config", ring),
            (
                "least_request_config",
                value.choiceCount.map { .map([("choice_count", .number($0))]) }
            ), ("hash_policies", list(value.hashPolicies, hashPolicy)),
            (
                "maglev_config",
                value.tableSize.map { .map([("table_size", .number($0))]) }
            ),
            (
                "peak_ewma_config",
                value.decay.map { .map([("decay", .duration($0))]) }
            ), ("slow_start", value.slowStart.map { .duration($0) }),
        ]) ?? .map([])
    }

    private static func hashPolicy(_ value: LoadBalancer.HashPolicy) -> YAMLValue {
        .section([
            ("field", .optional(value.field?.rawValue)),
            ("field_value", value.fieldValue.isEmpty ? nil : .text(value.fieldValue)),
            (
                "cookie_config",
                value.cookie.map {
                    .map(
                        [
                            ("session", .bool($0.session)), ("ttl", .duration($0.ttl)),
                            ("path", .text($0.path)),
                        ] + ($0.sameSite.map { [("same_site", .text($0.rawValue))] } ?? []))
                }
            ), ("source_ip", value.sourceIP ? .bool(true) : nil),
            ("terminal", value.terminal ? .bool(true) : nil),
        ]) ?? .map([])
    }

    private static func source(_ value: ServiceIntentions.Source) -> YAMLValue {
        .section([
            ("name", .text(value.name.description)),
            ("action", .optional(value.action?.rawValue)),
            (
                "permissions",
                list(value.permissions) { permission in
                    .map([
                        ("action", .text(permission.action.rawValue)),
                        ("http", http(permission.http)),
                    ])
                }
            ), ("description", value.description.isEmpty ? nil : .text(value.description)),
            ("legacy_id", .optional(value.legacyID)),
        ]) ?? .map([])
    }
}
