import MeshModel

/// Reads config entries.
enum EntryReader {
    /// The entry, or nil when its kind or name is not usable; that was reported.
    static func read(_ node: DocumentNode, _ sink: ProblemSink, _ path: [FieldStep])
        -> ConfigEntry?
    {
        switch EntryKeys.schema(of: node) {
        case .unknown: return nil
        case .carried: return carried(node, sink, path)
        case .known(let schema):
            let fields = Fields(node: node, schema: schema)
            var checks = FieldChecks()
            guard let entry = entry(fields, &checks) else { return nil }
            sink.report(checks.problems + entry.problems(), in: node, schema, path)
            return entry
        }
    }

    private static func carried(
        _ node: DocumentNode, _ sink: ProblemSink, _ path: [FieldStep]
    ) -> ConfigEntry? {
        let fields = Fields(node: node, schema: EntryKeys.head)
        guard let kind = fields.filled("kind"), let name = fields.filled("name") else { return nil }
        let rest = (node.members ?? []).filter {
            !["kind", "name"].contains($0.folded.text)
        }
        let entry = OtherEntry(
            kind: kind, name: name,
            fields: Dictionary(
                rest.map { ($0.key, $0.value.data) }, uniquingKeysWith: { first, _ in first }))
        guard kind == TokenProvider.kind else {
            sink.warning(
                kind == ConfigEntry.meshKind
                    ? "of entries of kind mesh transparent_proxy.mesh_destinations_only is acted "
                        + "on, the rest is kept"
                    : "entries of kind \(kind) are kept and not acted on by this version",
                at: node.location, path)
            return .other(entry)
        }
        do {
            _ = try TokenProvider(entry)
        } catch {
            sink.error("\(error)", at: node.location, path)
        }
        return .other(entry)
    }

    private static func entry(_ fields: Fields, _ checks: inout FieldChecks) -> ConfigEntry? {
        guard let kind = fields.filled("kind").flatMap(ConfigEntry.Kind.init(rawValue:)) else {
            return nil
        }
        if kind == .proxyDefaults {
            guard fields.filled("name") != nil else { return nil }
            return .proxyDefaults(proxyDefaults(fields))
        }
        if kind == .serviceIntentions {
            guard let name = fields.pattern("name") else { return nil }
            return .serviceIntentions(IntentionReader.entry(name, fields, &checks))
        }
        guard let name = fields.name("name", ServiceName.self) else { return nil }
        switch kind {
        case .serviceDefaults: return .serviceDefaults(serviceDefaults(name, fields))
        case .serviceRouter: return .serviceRouter(ChainReader.router(name, fields, &checks))
        case .serviceSplitter: return .serviceSplitter(ChainReader.splitter(name, fields))
        case .serviceResolver: return .serviceResolver(ChainReader.resolver(name, fields, &checks))
        case .ingressGateway:
            GatewayReader.refuseSDS(fields, &checks)
            return .ingressGateway(GatewayReader.ingress(name, fields))
        case .terminatingGateway:
            return .terminatingGateway(GatewayReader.terminating(name, fields))
        case .proxyDefaults, .serviceIntentions: return nil
        }
    }

    private static func serviceDefaults(
        _ name: ServiceName, _ fields: Fields
    ) -> ServiceDefaults {
        let upstreams = fields.section("upstream_config")
        return ServiceDefaults(
            name: name, serviceProtocol: fields.choice("protocol", ServiceProtocol.self),
            meshGateway: gateway(fields), externalSNI: fields.text("external_sni") ?? "",
            proxyProtocol: fields.choice("proxy_protocol", ProxyHeaderVersion.self),
            dialedDirectly: fields.section("transparent_proxy").bool("dialed_directly"),
            mode: fields.filled("mode"), outboundListenerPort: outboundPort(fields),
            maxInboundConnections: fields.integer("max_inbound_connections"),
            maxConnectionLifetime: fields.duration("max_connection_lifetime"),
            localConnectTimeout: milliseconds(fields, "local_connect_timeout_ms"),
            localRequestTimeout: milliseconds(fields, "local_request_timeout_ms"),
            upstreamDefaults: upstreams.object("defaults").map(upstreamConfig),
            upstreamOverrides: upstreams.objects("overrides").map(upstreamConfig),
            expose: fields.data("expose"), envoyExtensions: fields.data("envoy_extensions"),
            meta: fields.textMap("meta"))
    }

    private static func upstreamConfig(_ fields: Fields) -> UpstreamConfig {
        UpstreamConfig(
            name: fields.name("name", ServiceName.self),
            serviceProtocol: fields.choice("protocol", ServiceProtocol.self),
            connectTimeout: milliseconds(fields, "connect_timeout_ms"),
            limits: fields.object("limits").map(limits),
            passiveHealthCheck: fields.object("passive_health_check").map(passive),
            meshGateway: gateway(fields))
    }

    static func limits(_ fields: Fields) -> UpstreamLimits {
        UpstreamLimits(
            maxConnections: fields.integer("max_connections"),
            maxPendingRequests: fields.integer("max_pending_requests"),
            maxConcurrentRequests: fields.integer("max_concurrent_requests"),
            maxRetries: fields.integer("max_retries"))
    }

    static func passive(_ fields: Fields) -> PassiveHealthCheck {
        PassiveHealthCheck(
            interval: fields.duration("interval"), maxFailures: fields.integer("max_failures"),
            maxGatewayFailures: fields.integer("max_gateway_failures"),
            enforcingConsecutive5xx: fields.integer("enforcing_consecutive_5xx"),
            maxEjectionPercent: fields.integer("max_ejection_percent"),
            baseEjectionTime: fields.duration("base_ejection_time"),
            maxEjectionTime: fields.duration("max_ejection_time"))
    }

    private static func proxyDefaults(_ fields: Fields) -> ProxyDefaults {
        ProxyDefaults(
            config: fields.dataMap("config"), meshGateway: gateway(fields),
            dialedDirectly: fields.section("transparent_proxy").bool("dialed_directly"),
            mode: fields.filled("mode"), outboundListenerPort: outboundPort(fields),
            failoverPolicy: fields.object("failover_policy").map(ChainReader.policy),
            expose: fields.data("expose"), accessLogs: fields.data("access_logs"),
            envoyExtensions: fields.data("envoy_extensions"), meta: fields.textMap("meta"))
    }

    private static func outboundPort(_ fields: Fields) -> UInt16? {
        fields.section("transparent_proxy").port("outbound_listener_port")
            .flatMap { $0 == 0 ? nil : $0 }
    }

    private static func gateway(_ fields: Fields) -> MeshGatewayMode {
        fields.section("mesh_gateway").choice("mode", MeshGatewayMode.self) ?? .inherit
    }

    private static func milliseconds(_ fields: Fields, _ key: String) -> MeshDuration? {
        fields.integer(key).map { .milliseconds(Int64($0)) }
    }
}
