import MeshModel

/// The keys of config entries, by kind, in Consul's shape.
package enum EntryKeys {
    enum Found {
        case known(ObjectSchema)
        /// A kind of Consul that is carried without being read.
        case carried
        case unknown(String, SourceLocation)
    }

    /// The table for an entry, by what stands under `kind`.
    static func schema(of node: DocumentNode) -> Found {
        guard let members = node.members else {
            return .unknown(
                "a config entry is a mapping of keys, not \(node.kindName)", node.location)
        }
        guard let kind = members.first(where: { $0.folded.text == "kind" })?.value else {
            return .unknown("kind is missing: write kind: service-defaults", node.location)
        }
        let text = kind.text ?? ""
        if let known = ConfigEntry.Kind(rawValue: text), let schema = schemas[known] {
            return .known(schema)
        }
        if ConfigEntry.carriedKinds.contains(text) { return .carried }
        let all = ConfigEntry.Kind.allCases.map(\.rawValue) + ConfigEntry.carriedKinds.sorted()
        let near = Suggestion.nearest(to: text, among: all)
        let known = ConfigEntry.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let advice = near.map { "did you mean \($0)?" } ?? "write one of \(known)"
        return .unknown("invalid config entry kind: \(quoted(text)): \(advice)", kind.location)
    }

    /// What every entry has.
    static let head = ObjectSchema("config entry", common(.any))

    static let schemas: [ConfigEntry.Kind: ObjectSchema] = [
        .serviceDefaults: serviceDefaults, .proxyDefaults: proxyDefaults,
        .serviceRouter: serviceRouter, .serviceSplitter: serviceSplitter,
        .serviceResolver: serviceResolver, .serviceIntentions: serviceIntentions,
        .ingressGateway: ingressGateway, .terminatingGateway: terminatingGateway,
    ]

    private static func common(_ name: TextRule, example: String = "web") -> [KeySpec] {
        [
            .required("kind", .text(.any), example: "service-defaults", "The kind of the entry."),
            .required("name", .text(name), example: example, "What the entry is about."),
            .optional("meta", .textMap, example: "{ team: shop }", "Labels of the entry."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "partition", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional("create_index", .data, example: "0", "Ignored: the store's business."),
            .optional("modify_index", .data, example: "0", "Ignored: the store's business."),
            .optional("hash", .data, example: "0", "Ignored: the store's business."),
        ]
    }

    static let defaultOnly = TextRule(name: "default", mayBeEmpty: true) { text in
        guard text == "default" else {
            throw MeshError(.invalid, "\(quoted(text)) is not available: write default or nothing")
        }
    }

    private static let serviceNameRule = TextRule.name(ServiceName.self, "service name")

    static let serviceDefaults = ObjectSchema(
        "service-defaults entry",
        common(serviceNameRule) + [
            .optional(
                "protocol", .choice(["", "tcp", "http", "http2", "grpc"]), example: "http",
                "What the service speaks; tcp when not given."),
            .optional(
                "mesh_gateway", .object(ProxyKeys.gateway), example: "{ mode: none }",
                "How other datacenters are reached."),
            .key(
                "external_sni", .text(.any), default: "",
                "The server name of a service outside the mesh.", example: "db.example.com"),
            .optional(
                "proxy_protocol", .choice(["", "v1", "v2"]), example: "v2",
                "The PROXY protocol header that connections to the service's instances begin with; "
                    + "none when not given."),
            .optional(
                "mode", .choice(["", "direct", "transparent"]), example: "transparent",
                "The mode of proxies of the service that name none."),
            .optional(
                "transparent_proxy", .object(ProxyKeys.transparent),
                example: "{ dialed_directly: false }",
                "Of the service's proxies; `dialed_directly` is about calls to the service."),
            .optional(
                "max_inbound_connections", .integer(0...1_000_000), example: "1000",
                "Connections the service's sidecar takes at most; 0 is unlimited."),
            .optional(
                "max_connection_lifetime", .consulDuration, example: "1h",
                "How long connections of the service's proxies may last, 100ms to 24h; 0s sets no "
                    + "limit."),
            .optional(
                "local_connect_timeout_ms", .integer(0...86_400_000), example: "1000",
                "Milliseconds to reach the application."),
            .optional(
                "local_request_timeout_ms", .integer(0...86_400_000), example: "0",
                "Milliseconds of a whole request; 0 sets no limit."),
            .optional(
                "upstream_config", .object(upstreamConfigs), example: "{ defaults: {} }",
                "How the service's sidecar treats its upstreams."),
            .optional(
                "expose", .data, example: "{ checks: true }",
                "Paths that sidecars open without TLS and identity, as in a `proxy` section."),
            .optional("envoy_extensions", .data, example: "[]", "Carried for Consul's clients."),
        ])

    static let upstreamConfigs = ObjectSchema(
        "upstream_config section",
        [
            .optional("defaults", .object(upstreamConfig), example: "{}", "Of all upstreams."),
            .optional(
                "overrides", .objects(upstreamConfig), example: "[ { name: db } ]",
                "Of single upstreams."),
        ])

    static let upstreamConfig = ObjectSchema(
        "upstream option",
        [
            .optional("name", .text(serviceNameRule), example: "db", "The upstream."),
            .optional(
                "protocol", .choice(["", "tcp", "http", "http2", "grpc"]), example: "http",
                "What the upstream speaks."),
            .optional(
                "connect_timeout_ms", .integer(1...600_000), example: "5000",
                "Milliseconds to reach an instance."),
            .optional(
                "limits", .object(limits), example: "{ max_connections: 100 }",
                "Ceilings towards the upstream."),
            .optional(
                "passive_health_check", .object(passive), example: "{ max_failures: 5 }",
                "When a failing instance is left out."),
            .optional(
                "mesh_gateway", .object(ProxyKeys.gateway), example: "{ mode: none }",
                "How other datacenters are reached."),
        ])

    static let limits = ObjectSchema(
        "limits section",
        [
            .optional(
                "max_connections", .integer(0...1_000_000), example: "100",
                "Open connections of the node. Requests wait for one up to the connect timeout, "
                    + "streams are refused. This and the others: 0 and not given are unlimited."),
            .optional(
                "max_pending_requests", .integer(0...1_000_000), example: "100",
                "Requests of the node that wait for a connection; others get 503."),
            .optional(
                "max_concurrent_requests", .integer(0...1_000_000), example: "100",
                "Requests of the node under way; others get 503."),
            .optional(
                "max_retries", .integer(0...1_000_000), example: "3",
                "Second tries of the node under way."),
        ])

    static let passive = ObjectSchema(
        "passive_health_check section",
        [
            .optional(
                "interval", .consulDuration, example: "10s",
                "So long without being left out, and one earlier time is forgiven; 10s when not "
                    + "given."),
            .optional(
                "max_failures", .integer(0...1_000_000), example: "5",
                "Failures in a row (5xx, no connection, no answer) before the instance is left "
                    + "out; 5 when not given, 0 counts none."),
            .optional(
                "max_gateway_failures", .integer(0...1_000_000), example: "3",
                "The same, counting 502, 503, 504, no connection and no answer only; not counted "
                    + "when not given."),
            .optional(
                "enforcing_consecutive_5xx", .integer(0...100), example: "100",
                "The chance in per cent that it is; 100 when not given."),
            .optional(
                "max_ejection_percent", .integer(0...100), example: "10",
                "The share of instances that may be left out; 10 when not given. One always may."),
            .optional(
                "base_ejection_time", .consulDuration, example: "30s",
                "How long, the first time; twice as long the second time and so on. 30s when not "
                    + "given."),
            .optional(
                "max_ejection_time", .consulDuration, example: "300s",
                "The longest time; 300s, or the first when that is longer, when not given."),
        ])

    static let failoverPolicy = ObjectSchema(
        "failover policy",
        [
            .key(
                "mode", .choice(["", "sequential", "order-by-locality"]), default: "",
                "The order in which targets are tried.", example: "sequential"),
            .optional("regions", .texts, example: "[eu]", "Regions in order."),
        ])

    static let proxyDefaults = ObjectSchema(
        "proxy-defaults entry",
        common(globalOnly, example: "global") + [
            .optional(
                "config", .dataMap, example: "{ protocol: http }",
                "Options of all proxies; `protocol` is used."),
            .optional(
                "mesh_gateway", .object(ProxyKeys.gateway), example: "{ mode: none }",
                "How other datacenters are reached."),
            .optional(
                "transparent_proxy", .object(ProxyKeys.transparent),
                example: "{ dialed_directly: false }",
                "Of all proxies; `dialed_directly` is about calls to all services."),
            .optional(
                "failover_policy", .object(failoverPolicy), example: "{ mode: sequential }",
                "The order in which failover targets are tried."),
            .optional(
                "mode", .choice(["", "direct", "transparent"]), example: "transparent",
                "The mode of proxies for which nothing else says one."),
            .optional(
                "expose", .data, example: "{ checks: true }",
                "Paths that sidecars open without TLS and identity, as in a `proxy` section."),
            .optional("access_logs", .data, example: "{}", "Carried for Consul's clients."),
            .optional("envoy_extensions", .data, example: "[]", "Carried for Consul's clients."),
        ])

    private static let globalOnly = TextRule(name: "global", mayBeEmpty: false) { text in
        guard text == ProxyDefaults.name else {
            throw MeshError(
                .invalid, "invalid name (\(quoted(text))), only \"global\" is supported")
        }
    }
}
