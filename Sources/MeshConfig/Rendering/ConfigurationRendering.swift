import MeshModel

extension Configuration {
    /// The effective configuration as YAML: every key with its value, defaults filled in. Reading
    /// it again gives the same configuration, except for values that are secret: those are "***".
    package func rendered() -> String {
        YAMLWriter.write(
            .map(
                [
                    ("node", nodeValue), ("admin", adminValue),
                    ("api", .map([("bind_addr", .text(api.bindAddr?.description ?? ""))])),
                    ("acl", aclValue), ("dns", dnsValue),
                    ("store", storeValue), ("dataplane", dataplaneValue), ("mesh", meshValue),
                    ("connect", connectValue), ("ports", portsValue),
                    ("tls", .map([("ticket_rotation", .duration(tls.ticketRotation))])),
                    (
                        "server",
                        .map([
                            (
                                "graceful_shutdown_timeout",
                                .duration(server.gracefulShutdownTimeout)
                            )
                        ])
                    ),
                    (
                        "log",
                        .map([
                            ("level", .text(log.level.rawValue)),
                            ("subsystems", .list(log.subsystems.map { .text($0) })),
                        ])
                    ), ("access_log", Rendering.accessLog(accessLog)),
                    ("tracing", tracingValue),
                    ("services", .list(services.map { Rendering.service($0.value) })),
                    ("services_dir", .text(servicesDir ?? "")),
                    ("config_entries", .list(configEntries.map { Rendering.entry($0.value) })),
                    ("config_entries_dir", .text(configEntriesDir ?? "")),
                    ("listeners", .list(listeners.map { Rendering.listener($0.value) })),
                ]))
    }

    /// Values of headers are secret.
    private var tracingValue: YAMLValue {
        .map([
            (
                "otlp",
                .map([
                    ("endpoint", .text(tracing.endpoint ?? "")),
                    ("headers", .texts(tracing.headers.mapValues { _ in "***" }) ?? .map([])),
                    ("timeout", .duration(tracing.timeout)),
                    ("compression", .text(tracing.compression.rawValue)),
                ])
            ), ("sample", .text("\(tracing.sample)")),
            ("service_name", .text(tracing.serviceName)),
        ])
    }

    private var nodeValue: YAMLValue {
        .map(
            [
                ("name", .text(node.name.text)), ("datacenter", .text(node.datacenter.text)),
                ("address", .text(node.address)), ("meta", .texts(node.meta) ?? .map([])),
            ] + (node.locality.map { [("locality", Rendering.locality($0))] } ?? []))
    }

    private var adminValue: YAMLValue {
        .map([
            ("bind_addr", .text(admin.bindAddr?.description ?? "")),
            ("socket", .text(admin.socket ?? "")), ("token_file", .text(admin.tokenFile ?? "")),
        ])
    }

    private var storeValue: YAMLValue {
        .map([
            ("driver", .text(store.driver.rawValue)), ("path", .text(store.path)),
            ("key_file", .text(store.keyFile)),
        ])
    }

    private var dataplaneValue: YAMLValue {
        .map([
            ("workers", .number(dataplane.workers ?? 0)), ("cpus", .text(dataplane.cpus)),
            ("control_socket", .text(dataplane.controlSocket)),
            ("tcp_congestion", .text(dataplane.tcpCongestion)),
            ("managed", .bool(dataplane.managed)), ("path", .text(dataplane.path ?? "")),
            ("engine", .text(dataplane.engine.rawValue)),
            ("drain_timeout", .duration(dataplane.drainTimeout)),
            ("log_file", .text(dataplane.logFile ?? "")),
        ])
    }

    private var connectValue: YAMLValue {
        let defaults = managedProxies.defaults
        return .map([
            ("proxy", .map([("allow_managed_root", .bool(managedProxies.allowRoot))])),
            (
                "proxy_defaults",
                .map([
                    ("exec_mode", .text("daemon")),
                    ("command", .list(defaults.command.map { .text($0) })),
                    ("config", Rendering.opaque(.object(defaults.config))),
                ])
            ),
        ])
    }

    private var portsValue: YAMLValue {
        .map([
            ("proxy_min_port", .number(managedProxies.ports.lowerBound)),
            ("proxy_max_port", .number(managedProxies.ports.upperBound)),
            ("expose_min_port", .number(mesh.exposePorts.lowerBound)),
            ("expose_max_port", .number(mesh.exposePorts.upperBound)),
        ])
    }

    private var meshValue: YAMLValue {
        .map([
            ("trust_domain", .text(mesh.trustDomain?.text ?? "")),
            ("intentions_default", .text(mesh.intentionsDefault.rawValue)),
            ("leaf_ttl", .duration(mesh.leafTTL)),
            ("root_ttl", .duration(mesh.rootTTL)),
            ("ca_cert", .text(mesh.authorityCertificate ?? "")),
            ("ca_key", .text(mesh.authorityKey ?? "")),
            ("crl", .text(mesh.revocations ?? "")),
            ("csr_max_per_second", .number(mesh.signingsPerSecond)),
            ("sidecar_min_port", .number(mesh.sidecarPorts.lowerBound)),
            ("sidecar_max_port", .number(mesh.sidecarPorts.upperBound)),
        ])
    }
}

/// Objects in the shape of documents.
enum Rendering {
    /// A proxy that the node manages.
    private static func managed(
        _ managed: ManagedProxy, _ sidecar: SidecarDefinition?
    ) -> YAMLValue {
        .section([
            ("exec_mode", .text("daemon")),
            ("command", managed.command.isEmpty ? nil : .list(managed.command.map { .text($0) })),
            ("config", data(sidecar?.proxy.config ?? [:])),
            ("upstreams", list(sidecar?.proxy.upstreams ?? [], upstream)),
        ]) ?? .map([])
    }

    /// Names whose values are not shown.
    private static func isSecret(_ name: String) -> Bool {
        let folded = FoldedKey(name).text
        return ["authorization", "cookie", "proxyauthorization", "apikey", "xapikey"]
            .contains(folded)
            || ["password", "secret", "token", "privatekey", "credential"]
                .contains { folded.contains($0) }
    }

    static let hidden = "***"

    /// Opaque data with the values of secret names left out.
    private static func data(_ members: [String: DataValue]) -> YAMLValue? {
        members.isEmpty ? nil : YAMLValue(redacted(.object(members)))
    }

    private static func redacted(_ value: DataValue) -> DataValue {
        switch value {
        case .array(let items): .array(items.map(redacted))
        case .object(let members):
            .object(
                Dictionary(
                    uniqueKeysWithValues: members.map { key, value in
                        (key, isSecret(key) ? .string(hidden) : redacted(value))
                    }))
        case .null, .bool, .int, .double, .string: value
        }
    }

    /// Opaque data of an entry, secret names left out.
    static func opaque(_ value: DataValue) -> YAMLValue { YAMLValue(redacted(value)) }

    private static func data(_ value: DataValue?) -> YAMLValue? {
        value.map { YAMLValue(redacted($0)) }
    }

    /// Header values by name, secret ones left out.
    static func headers(_ headers: [String: String]) -> YAMLValue? {
        .texts(
            Dictionary(
                uniqueKeysWithValues: headers.map { ($0, isSecret($0) ? hidden : $1) }))
    }

    /// A URL without the password in front of its host.
    private static func url(_ text: String) -> String {
        guard let scheme = text.firstRange(of: "://") else { return text }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return text }
        return text[..<scheme.upperBound] + hidden + rest[at...]
    }

    static func service(_ service: ServiceDefinition) -> YAMLValue {
        let connect = YAMLValue.section([
            ("native", service.connect.native ? .bool(true) : nil),
            (
                "sidecar_service",
                service.connect.managedProxy == nil
                    ? service.connect.sidecarService.map(sidecar) : nil
            ),
            (
                "proxy",
                service.connect.managedProxy.map { managed($0, service.connect.sidecarService) }
            ),
        ])
        return .section([
            ("name", .text(service.name.text)), ("id", .text(service.id.text)),
            ("kind", service.kind == .typical ? nil : .text(service.kind.rawValue)),
            ("address", service.address.isEmpty ? nil : .text(service.address)),
            ("port", service.port == 0 ? nil : .number(service.port)),
            ("socket_path", .optional(service.socketPath)),
            ("tagged_addresses", service.taggedAddresses.map(taggedAddresses)),
            ("tags", .texts(service.tags)),
            ("meta", .texts(service.meta)), ("weights", weights(service.weights)),
            ("locality", service.locality.map(locality)),
            ("enable_tag_override", service.enableTagOverride ? .bool(true) : nil),
            ("checks", list(service.checks, check)),
            ("proxy", service.proxy.map { proxy($0) ?? .map([]) }), ("connect", connect),
        ]) ?? .map([])
    }

    static func locality(_ locality: Locality) -> YAMLValue {
        .map([("region", .text(locality.region)), ("zone", .text(locality.zone))])
    }

    private static func weights(_ weights: ServiceWeights) -> YAMLValue {
        .map([("passing", .number(weights.passing)), ("warning", .number(weights.warning))])
    }

    private static func check(_ check: CheckDefinition) -> YAMLValue {
        let header = check.header.sorted { $0.key < $1.key }.map { name, values in
            (name, YAMLValue.list(values.map { .text(isSecret(name) ? hidden : $0) }))
        }
        return .section([
            ("id", .optional(check.id)), ("name", .optional(check.name)),
            ("notes", .optional(check.notes)), ("tcp", .optional(check.tcp)),
            ("http", .optional(check.http.map(url))), ("grpc", .optional(check.grpc)),
            ("grpc_use_tls", check.grpcUseTLS == true ? .bool(true) : nil),
            ("method", .optional(check.method)),
            ("header", header.isEmpty ? nil : .map(header)), ("body", .optional(check.body)),
            ("tls_server_name", .optional(check.tlsServerName)),
            ("tls_skip_verify", check.tlsSkipVerify ? .bool(true) : nil),
            ("ttl", check.ttl.map { .duration($0) }),
            ("interval", check.interval.map { .duration($0) }),
            ("timeout", check.timeout.map { .duration($0) }),
            ("status", .optional(check.status?.rawValue)),
            (
                "success_before_passing",
                check.successBeforePassing == 0 ? nil : .number(check.successBeforePassing)
            ),
            (
                "failures_before_critical",
                check.failuresBeforeCritical == 0 ? nil : .number(check.failuresBeforeCritical)
            ),
            (
                "deregister_critical_service_after",
                check.deregisterCriticalServiceAfter.map { .duration($0) }
            ),
        ]) ?? .map([])
    }

    private static func taggedAddresses(_ all: [String: TaggedAddress]) -> YAMLValue {
        .map(
            all.sorted { $0.key < $1.key }.map { name, place in
                let port: YAMLValue? = place.port == 0 ? nil : .number(place.port)
                return (
                    name, .section([("address", .text(place.address)), ("port", port)]) ?? .map([])
                )
            })
    }

    private static func sidecar(_ sidecar: SidecarDefinition) -> YAMLValue {
        .section([
            ("name", .optional(sidecar.name?.text)), ("id", .optional(sidecar.id?.text)),
            ("address", .optional(sidecar.address)), ("port", sidecar.port.map { .number($0) }),
            ("tags", sidecar.tags.map { .texts($0) ?? .list([]) }),
            ("meta", sidecar.meta.map { .texts($0) ?? .map([]) }),
            ("weights", sidecar.weights.map(weights)), ("checks", list(sidecar.checks, check)),
            ("proxy", proxy(sidecar.proxy)),
        ]) ?? .map([])
    }

    private static func proxy(_ proxy: ProxyDefinition) -> YAMLValue? {
        .section([
            ("destination_service_name", .optional(proxy.destinationServiceName?.text)),
            ("destination_service_id", .optional(proxy.destinationServiceID?.text)),
            ("local_service_address", .text(proxy.localServiceAddress)),
            ("local_service_port", proxy.localServicePort.map { .number($0) }),
            ("local_service_socket_path", .optional(proxy.localServiceSocketPath)),
            ("mode", .optional(proxy.mode)),
            (
                "transparent_proxy",
                proxy.transparentProxy.flatMap {
                    transparent($0.outboundListenerPort, $0.dialedDirectly)
                }
            ), ("config", data(proxy.config)),
            ("upstreams", list(proxy.upstreams, upstream)),
            ("mesh_gateway", proxy.meshGatewayMode.map { .map([("mode", .text($0))]) }),
            ("expose", data(proxy.expose)),
        ])
    }

    private static func upstream(_ upstream: UpstreamDefinition) -> YAMLValue {
        let socket = upstream.localBindSocketPath
        return .section([
            ("destination_name", .text(upstream.destinationName.text)),
            ("destination_type", .text(upstream.destinationType.rawValue)),
            ("datacenter", .optional(upstream.datacenter?.text)),
            ("local_bind_address", socket == nil ? .text(upstream.localBindAddress) : nil),
            ("local_bind_port", socket == nil ? .number(upstream.localBindPort) : nil),
            ("local_bind_socket_path", .optional(socket)),
            ("local_bind_socket_mode", .optional(upstream.localBindSocketMode)),
            ("mesh_gateway", upstream.meshGatewayMode.map { .map([("mode", .text($0))]) }),
            ("config", data(upstream.config)),
        ]) ?? .map([])
    }

    static func listener(_ listener: ListenerDefinition) -> YAMLValue {
        let timeouts = listener.timeouts
        return .section([
            ("name", .text(listener.name)), ("bind_addr", .text(listener.bindAddr.description)),
            ("kind", .text(listener.kind.rawValue)),
            ("service", .optional(listener.service?.text)),
            (
                "timeouts",
                .map([
                    ("head", .duration(timeouts.head)), ("idle", .duration(timeouts.idle)),
                    ("request", .duration(timeouts.request)),
                    ("connect", .duration(timeouts.connect)),
                ])
            ), ("max_connection_lifetime", .duration(listener.maxConnectionLifetime)),
            ("identity", .optional(listener.identity?.text)),
            (
                "tls",
                listener.tls.map { tls in
                    .map([
                        ("certs", .list(tls.certs.map(keyPair))),
                        ("certs_dir", .text(tls.certsDir)),
                        ("client_ca", .text(tls.clientCA)),
                        ("client_verify", .text(tls.clientVerify.rawValue)),
                        ("client_crl", .text(tls.clientCRL)),
                        ("tickets", .bool(tls.tickets)),
                        ("min_version", .text(tls.minVersion.rawValue)),
                        ("max_version", .text(tls.maxVersion.rawValue)),
                        ("alpn", .list(tls.alpn.map { .text($0) })),
                    ])
                }
            ), ("proxy_protocol", listener.proxyProtocol.map(proxyProtocol)),
            ("forwarded", listener.forwarded.map(forwarded)),
            (
                "trace",
                listener.trace.map {
                    .map([
                        ("start", .bool($0.start)), ("sample", .text("\($0.sample)")),
                        ("export", .bool($0.export)),
                    ])
                }
            ), ("compression", listener.compression.map(compression)),
            ("routes", list(listener.routes, route)), ("sni", list(listener.sni, serverName)),
            ("access_log", listener.accessLog.map(accessLog)),
            ("rate_limits", rateLimits(listener.rateLimits)),
        ]) ?? .map([])
    }

    static func accessLog(_ log: AccessLogDefinition) -> YAMLValue {
        .section([
            ("path", log.path.map { .text($0) }), ("format", log.format.map { .text($0) }),
            ("sample", log.sample.map { .text("\($0)") }),
        ]) ?? .map([])
    }

    private static func keyPair(_ pair: ListenerDefinition.KeyPair) -> YAMLValue {
        .map([("cert", .text(pair.cert)), ("key", .text(pair.key))])
    }

    private static func serverName(_ route: ListenerDefinition.ServerNameRoute) -> YAMLValue {
        .map([("host", .text(route.host)), ("service", .text(route.service.text))])
    }

    private static func proxyProtocol(_ value: ListenerDefinition.ProxyProtocol) -> YAMLValue {
        .map([
            ("in", .text(value.accept.rawValue)), ("from", .list(value.from.map { .text($0) })),
            ("others", .text(value.others.rawValue)), ("timeout", .duration(value.timeout)),
        ])
    }

    private static func forwarded(_ value: ListenerDefinition.Forwarded) -> YAMLValue {
        .map([
            ("trust", .list(value.trust.map { .text($0) })), ("hops", .number(value.hops)),
            ("headers", .text(value.headers.rawValue)),
        ])
    }

    private static func compression(_ value: ListenerDefinition.Compression) -> YAMLValue {
        .map([
            ("codings", .list(value.codings.map { .text($0.rawValue) })),
            ("types", .list(value.types.map { .text($0) })),
            ("min_length", .number(value.minLength)),
            (
                "levels",
                .map(
                    ListenerDefinition.Compression.Coding.allCases.map {
                        ($0.rawValue, .number(value.levels[$0]))
                    })
            ),
        ])
    }

    private static func route(_ route: ListenerDefinition.Route) -> YAMLValue {
        let match = YAMLValue.section(
            [("host", .optional(route.host))] + match(route.http, header: "headers", "query"))
        let action: (String, YAMLValue?)
        switch route.action {
        case .service(let name): action = ("service", .text(name.text))
        case .respond(let response):
            action = (
                "respond",
                .section([
                    ("status", .number(response.status)),
                    ("body", response.body.isEmpty ? nil : .text(response.body)),
                    ("headers", headers(response.headers)),
                ])
            )
        case .redirect(let redirect):
            action = (
                "redirect",
                .section([
                    ("scheme", .optional(redirect.scheme)), ("host", .optional(redirect.host)),
                    ("path", .optional(redirect.path)), ("status", .number(redirect.status)),
                ])
            )
        }
        return .section([("match", match), action] + policy(of: route.policy)) ?? .map([])
    }

    static func match(
        _ match: HTTPMatch, header: String, _ query: String
    ) -> [(String, YAMLValue?)] {
        var path: (String, YAMLValue?) = ("path_prefix", nil)
        if let (key, text) = match.path?.keyed { path = (key, .text(text)) }
        return [
            path, ("case_insensitive", match.caseInsensitive ? .bool(true) : nil),
            ("methods", .texts(match.methods)),
            (
                header,
                list(match.headers) { item in
                    .section([
                        ("name", .text(item.name)), text(item.match),
                        ("ignore_case", item.ignoreCase ? .bool(true) : nil),
                        ("invert", item.invert ? .bool(true) : nil),
                    ]) ?? .map([])
                }
            ),
            (
                query,
                list(match.query) { item in
                    .section([("name", .text(item.name)), text(item.match)]) ?? .map([])
                }
            ),
        ]
    }

    private static func text(_ match: TextMatch) -> (String, YAMLValue?) {
        switch match {
        case .present: ("present", .bool(true))
        case .exact(let text): ("exact", .text(text))
        case .prefix(let text): ("prefix", .text(text))
        case .suffix(let text): ("suffix", .text(text))
        case .contains(let text): ("contains", .text(text))
        case .regex(let text): ("regex", .text(text))
        }
    }
}
