import MeshModel

/// Reads a whole configuration out of a checked tree.
struct ConfigurationReader {
    let root: Fields
    let sink: ProblemSink
    let hostName: String

    func read(path: String?) -> Configuration {
        let services = objects("services") { ServiceReader.read($0, sink, $1) }
        let listeners = objects("listeners") { ListenerReader.read($0, sink, $1) }
        let configuration = Configuration(
            path: path, node: node(root.section("node")), admin: admin(root.section("admin")),
            api: api(root.section("api")), acl: acl(root.section("acl")),
            dns: dns(root.section("dns")),
            store: store(root.section("store")), dataplane: dataplane(root.section("dataplane")),
            mesh: mesh(root.section("mesh"), root.section("ports")),
            managedProxies: managedProxies(root.section("connect"), root.section("ports")),
            tls: Configuration.TLS(
                ticketRotation: root.section("tls").duration("ticket_rotation") ?? .hours(12)),
            server: Configuration.Server(
                gracefulShutdownTimeout: root.section("server")
                    .duration("graceful_shutdown_timeout") ?? .seconds(60)),
            log: log(root.section("log")), accessLog: accessLog(root.section("access_log")),
            tracing: tracing(root.section("tracing")),
            services: services,
            servicesDir: optional(root.path("services_dir")), configEntries: entries(),
            configEntriesDir: optional(root.path("config_entries_dir")), listeners: listeners)
        CrossChecks(root: root, sink: sink).check(configuration)
        return configuration
    }

    /// The sound objects of a list with their places.
    private func objects<T: Sendable & Hashable>(
        _ key: String, _ read: (Fields, [FieldStep]) -> T?
    ) -> [Owned<T>] {
        root.objects(key).enumerated().compactMap { index, fields in
            read(fields, [.key(key), .index(index)]).map { Owned($0, at: fields.node.location) }
        }
    }

    private func entries() -> [Owned<ConfigEntry>] {
        (root.written("config_entries")?.items ?? []).enumerated().compactMap { index, node in
            EntryReader.read(node, sink, ["config_entries", .index(index)])
                .map { Owned($0, at: node.location) }
        }
    }

    private func node(_ fields: Fields) -> NodeInfo {
        let name =
            fields.name("name", NodeName.self) ?? machineName()
        guard let datacenter = fields.name("datacenter", DatacenterName.self) ?? fallback("dc1")
        else { fatalError("the default datacenter breaks its own rule") }
        return NodeInfo(
            name: name, datacenter: datacenter, address: fields.filled("address") ?? "127.0.0.1",
            meta: fields.textMap("meta"),
            locality: fields.object("locality").map(ServiceReader.locality))
    }

    private func fallback<T: ModelName>(_ text: String) -> T? { try? T(text) }

    /// The machine's name as a node's name; what it may not have is replaced.
    private func machineName() -> NodeName {
        let kept = hostName.map {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "-"
        }
        let trimmed = kept.drop { !$0.isLetter && !$0.isNumber }.prefix(NameLimits.nodeBytes)
        let end = trimmed.lastIndex { $0.isLetter || $0.isNumber }
        let text = end.map { String(trimmed[...$0]) } ?? "node"
        guard let name: NodeName = fallback(text) ?? fallback("node") else {
            fatalError("the default node name breaks its own rule")
        }
        return name
    }

    private func optional(_ text: String) -> String? { text.isEmpty ? nil : text }

    private func admin(_ fields: Fields) -> Configuration.Admin {
        Configuration.Admin(
            bindAddr: fields.address("bind_addr"), socket: optional(fields.path("socket")),
            tokenFile: optional(fields.path("token_file")))
    }

    private func api(_ fields: Fields) -> Configuration.API {
        let tls = fields.section("tls")
        let (cert, key) = (optional(tls.path("cert")), optional(tls.path("key")))
        let clientCA = optional(tls.path("client_ca"))
        if (cert == nil) != (key == nil) || (cert == nil && clientCA != nil) {
            sink.error(
                "cert and key belong together: write both", at: tls.node.location, ["api", "tls"])
        }
        return Configuration.API(
            bindAddr: fields.address("bind_addr"), socket: optional(fields.path("socket")),
            tls: cert.flatMap { cert in
                key.map { Configuration.API.TLS(cert: cert, key: $0, clientCA: clientCA) }
            })
    }

    private func store(_ fields: Fields) -> Configuration.Store {
        Configuration.Store(
            driver: fields.choice("driver", Configuration.Store.Driver.self) ?? .sqlite,
            path: fields.path("path"), keyFile: fields.path("key_file"))
    }

    private func dataplane(_ fields: Fields) -> Configuration.Dataplane {
        Configuration.Dataplane(
            workers: fields.integer("workers").flatMap { $0 == 0 ? nil : $0 },
            cpus: fields.text("cpus") ?? "", controlSocket: fields.path("control_socket"),
            tcpCongestion: fields.text("tcp_congestion") ?? "", managed: fields.bool("managed"),
            path: optional(fields.path("path")),
            engine: fields.choice("engine", Configuration.Dataplane.Engine.self) ?? .auto,
            drainTimeout: fields.duration("drain_timeout") ?? .seconds(30),
            logFile: optional(fields.path("log_file")))
    }

    private func managedProxies(
        _ fields: Fields, _ ports: Fields
    ) -> Configuration.ManagedProxies {
        let (low, high) = (
            ports.port("proxy_min_port") ?? 20000, ports.port("proxy_max_port") ?? 20255
        )
        let defaults = fields.section("proxy_defaults")
        let config = defaults.dataMap("config")
        var checks = FieldChecks()
        _ = ProxyOptions(config, &checks)
        sink.report(
            checks.problems, in: defaults.node, defaults.schema, ["connect", "proxy_defaults"])
        return Configuration.ManagedProxies(
            allowRoot: fields.section("proxy").bool("allow_managed_root"),
            defaults: ManagedProxyDefaults(command: defaults.texts("command"), config: config),
            ports: min(low, high)...max(low, high))
    }

    private func mesh(_ fields: Fields, _ ports: Fields) -> Configuration.Mesh {
        func port(_ key: String) -> UInt16? {
            (ports.written(key) == nil ? fields : ports).port(key)
        }
        let (low, high) = (port("sidecar_min_port") ?? 21000, port("sidecar_max_port") ?? 21255)
        let exposed = (
            ports.port("expose_min_port") ?? 21500, ports.port("expose_max_port") ?? 21755
        )
        return Configuration.Mesh(
            trustDomain: fields.name("trust_domain", TrustDomain.self),
            intentionsDefault: fields.choice("intentions_default", IntentionAction.self) ?? .deny,
            leafTTL: fields.duration("leaf_ttl") ?? .hours(72),
            rootTTL: fields.duration("root_ttl") ?? .hours(87_600),
            authorityCertificate: optional(fields.path("ca_cert")),
            revocations: optional(fields.path("crl")),
            authorityKey: optional(fields.path("ca_key")),
            signingsPerSecond: fields.integer("csr_max_per_second") ?? 50,
            sidecarPorts: min(low, high)...max(low, high),
            exposePorts: min(exposed.0, exposed.1)...max(exposed.0, exposed.1))
    }

    private func accessLog(_ fields: Fields) -> AccessLogDefinition {
        let log = ListenerReader.accessLog(fields).over(.off)
        sink.report(log.problems(), in: fields.node, fields.schema, ["access_log"])
        return log
    }

    private func tracing(_ fields: Fields) -> TracingDefinition {
        let otlp = fields.section("otlp")
        let tracing = TracingDefinition(
            endpoint: otlp.text("endpoint").flatMap { try? TracingDefinition.url($0) },
            headers: otlp.textMap("headers"), timeout: otlp.duration("timeout") ?? .seconds(10),
            compression: otlp.choice("compression", TracingDefinition.Compression.self) ?? .none,
            sample: fields.decimal("sample") ?? 0.01,
            serviceName: fields.filled("service_name") ?? "ringmesh")
        sink.report(tracing.problems(), in: fields.node, fields.schema, ["tracing"])
        return tracing
    }

    private func log(_ fields: Fields) -> Configuration.Log {
        Configuration.Log(
            level: fields.choice("level", Configuration.Log.Level.self) ?? .info,
            subsystems: fields.texts("subsystems"))
    }
}
