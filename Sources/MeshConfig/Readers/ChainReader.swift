import MeshModel

/// Reads routers, splitters and resolvers.
enum ChainReader {
    static func router(
        _ name: ServiceName, _ fields: Fields, _ checks: inout FieldChecks
    ) -> ServiceRouter {
        let routes = fields.objects("routes").enumerated().map { index, item in
            var inner = FieldChecks()
            let match = item.object("match")?.object("http").map { MatchReader.read($0, &inner) }
            checks.within(["routes", .index(index), "match", "http"]) { $0.take(inner) }
            return ServiceRouter.Route(
                match: match, destination: item.object("destination").map(destination),
                location: item.node.location)
        }
        return ServiceRouter(name: name, routes: routes, meta: fields.textMap("meta"))
    }

    private static func destination(_ fields: Fields) -> ServiceRouter.Destination {
        var destination = policy(of: fields)
        destination.service = fields.name("service", ServiceName.self)
        destination.serviceSubset = fields.name("service_subset", SubsetName.self)
        return destination
    }

    /// What becomes of requests on their way, wherever that is.
    static func policy(of fields: Fields) -> ServiceRouter.Destination {
        ServiceRouter.Destination(
            prefixRewrite: fields.filled("prefix_rewrite"),
            requestTimeout: fields.duration("request_timeout"),
            idleTimeout: fields.duration("idle_timeout"),
            numRetries: fields.integer("num_retries") ?? 0,
            retryOnConnectFailure: fields.bool("retry_on_connect_failure"),
            retryOn: fields.texts("retry_on"),
            retryOnStatusCodes: fields.integers("retry_on_status_codes"),
            tryTimeout: fields.duration("try_timeout"),
            retryBackoff: fields.duration("retry_backoff"),
            retryBackoffMax: fields.duration("retry_backoff_max"),
            retryNonIdempotent: fields.bool("retry_non_idempotent") ? true : nil,
            retryBodyBytes: fields.integer("retry_body_bytes"),
            rateLimits: fields.written("rate_limits") == nil ? nil : rateLimits(fields),
            maxRequestBytes: fields.integer("max_request_bytes"),
            maxHeaderBytes: fields.integer("max_header_bytes"),
            mirror: fields.object("mirror").flatMap(mirror),
            requestHeaders: fields.object("request_headers").map(modifiers),
            responseHeaders: fields.object("response_headers").map(modifiers))
    }

    private static func mirror(_ fields: Fields) -> RequestMirror? {
        fields.name("service", ServiceName.self).map {
            RequestMirror(service: $0, percent: fields.decimal("percent") ?? 100)
        }
    }

    static func rateLimits(_ fields: Fields) -> [RateLimit] {
        fields.objects("rate_limits").map {
            RateLimit(
                requestsPerSecond: $0.decimal("requests_per_second") ?? 0,
                requestsMaxBurst: $0.integer("requests_max_burst"),
                sharing: $0.choice("by", RateLimit.Sharing.self) ?? .all)
        }
    }

    static func modifiers(_ fields: Fields) -> HeaderModifiers {
        HeaderModifiers(
            add: fields.textMap("add"), set: fields.textMap("set"), remove: fields.texts("remove"))
    }

    static func splitter(_ name: ServiceName, _ fields: Fields) -> ServiceSplitter {
        let splits = fields.objects("splits").map { item in
            ServiceSplitter.Split(
                weight: item.decimal("weight") ?? 0,
                service: item.name("service", ServiceName.self),
                serviceSubset: item.name("service_subset", SubsetName.self),
                requestHeaders: item.object("request_headers").map(modifiers),
                responseHeaders: item.object("response_headers").map(modifiers))
        }
        return ServiceSplitter(name: name, splits: splits, meta: fields.textMap("meta"))
    }

    static func resolver(
        _ name: ServiceName, _ fields: Fields, _ checks: inout FieldChecks
    ) -> ServiceResolver {
        let subsets = fields.objectMap("subsets").map { key, item in
            (
                key,
                ServiceResolver.Subset(
                    filter: item.text("filter") ?? "", onlyPassing: item.bool("only_passing"))
            )
        }
        let failover = fields.objectMap("failover").map { key, item in
            var inner = FieldChecks()
            let section = self.failover(item, &inner)
            checks.within(["failover", .key(key)]) { $0.take(inner) }
            return (key, section)
        }
        return ServiceResolver(
            name: name, defaultSubset: fields.name("default_subset", SubsetName.self),
            subsets: Dictionary(subsets, uniquingKeysWith: { first, _ in first }),
            redirect: fields.object("redirect").map(target),
            failover: Dictionary(failover, uniquingKeysWith: { first, _ in first }),
            connectTimeout: fields.duration("connect_timeout"),
            requestTimeout: fields.duration("request_timeout"),
            loadBalancer: fields.object("load_balancer").map(loadBalancer),
            prioritizeByLocality: fields.object("prioritize_by_locality").map {
                LocalityPriority(
                    mode: $0.choice("mode", LocalityPriority.Mode.self) ?? .none,
                    healthyShare: $0.integer("healthy_share"))
            },
            limits: fields.object("limits").map(EntryReader.limits),
            passiveHealthCheck: fields.object("passive_health_check").map(EntryReader.passive),
            meta: fields.textMap("meta"))
    }

    private static func target(_ fields: Fields) -> ServiceResolver.Redirect {
        ServiceResolver.Redirect(
            service: fields.name("service", ServiceName.self),
            serviceSubset: fields.name("service_subset", SubsetName.self),
            datacenter: fields.name("datacenter", DatacenterName.self),
            peer: fields.filled("peer"))
    }

    private static func failover(
        _ fields: Fields, _ checks: inout FieldChecks
    ) -> ServiceResolver.Failover {
        var datacenters: [DatacenterName] = []
        for (index, text) in fields.texts("datacenters").enumerated() {
            do {
                datacenters.append(try DatacenterName(text))
            } catch { checks.fail(["datacenters", .index(index)], "\(error)") }
        }
        return ServiceResolver.Failover(
            service: fields.name("service", ServiceName.self),
            serviceSubset: fields.name("service_subset", SubsetName.self),
            datacenters: datacenters, targets: fields.objects("targets").map(target),
            policy: fields.object("policy").map(policy))
    }

    static func policy(_ fields: Fields) -> FailoverPolicy {
        FailoverPolicy(mode: fields.text("mode") ?? "", regions: fields.texts("regions"))
    }

    private static func loadBalancer(_ fields: Fields) -> LoadBalancer {
        let ring = fields.section("ring_hash_config")
        return LoadBalancer(
            policy: fields.choice("policy", LoadBalancer.Policy.self) ?? .standard,
            minimumRingSize: ring.integer("minimum_ring_size"),
            maximumRingSize: ring.integer("maximum_ring_size"),
            choiceCount: fields.section("least_request_config").integer("choice_count"),
            hashPolicies: fields.objects("hash_policies").map { item in
                LoadBalancer.HashPolicy(
                    field: item.choice("field", LoadBalancer.HashField.self),
                    fieldValue: item.text("field_value") ?? "",
                    cookie: item.object("cookie_config").map {
                        LoadBalancer.Cookie(
                            session: $0.bool("session"), ttl: $0.duration("ttl") ?? .zero,
                            path: $0.text("path") ?? "",
                            sameSite: $0.written("same_site") == nil
                                ? nil : $0.choice("same_site", LoadBalancer.SameSite.self))
                    }, sourceIP: item.bool("source_ip"), terminal: item.bool("terminal"))
            },
            tableSize: fields.object("maglev_config")?.integer("table_size"),
            decay: fields.object("peak_ewma_config")?.duration("decay"),
            slowStart: fields.written("slow_start") == nil ? nil : fields.duration("slow_start"))
    }
}
