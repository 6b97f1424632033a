import MeshModel

/// Reads service definitions.
enum ServiceReader {
    /// The service, or nil when it has no usable name; that was reported.
    static func read(_ fields: Fields, _ sink: ProblemSink, _ path: [FieldStep])
        -> ServiceDefinition?
    {
        guard let name = fields.name("name", ServiceName.self) else { return nil }
        var checks = FieldChecks()
        let id = fields.name("id", ServiceID.self)
        let service = ServiceDefinition(
            name: name, id: id,
            kind: fields.choice("kind", ServiceKind.self) ?? .typical,
            address: fields.text("address") ?? "", port: fields.port("port") ?? 0,
            socketPath: socketPath(fields, "socket_path"),
            taggedAddresses: taggedAddresses(fields), tags: fields.texts("tags"),
            meta: fields.textMap("meta"),
            weights: fields.object("weights").map(weights) ?? ServiceWeights(),
            enableTagOverride: fields.bool("enable_tag_override"),
            checks: self.checks(fields, &checks), proxy: handmadeProxy(fields),
            connect: connect(fields.section("connect"), of: id ?? ServiceID(name), &checks),
            locality: fields.object("locality").map(locality))
        let broken = service.problems().map { spelled($0, fields) }
        sink.report(checks.problems + broken, in: fields.node, fields.schema, path)
        if let node = fields.written("token") {
            sink.warning(
                "a token in a document is not used: remove it", at: node.location,
                path + ["token"])
        }
        return service
    }

    /// A problem of the only check points at `check` where the document has that spelling.
    private static func spelled(_ problem: FieldProblem, _ fields: Fields) -> FieldProblem {
        let sidecar = fields.object("connect")?.object("sidecar_service")
        let inSidecar: [FieldStep] = ["connect", "sidecar_service"]
        var prefix: [FieldStep] = []
        var holder: Fields? = fields
        if problem.path.starts(with: inSidecar) {
            prefix = inSidecar
            holder = sidecar
        }
        let rest = problem.path.dropFirst(prefix.count)
        guard let holder, holder.written("checks") == nil,
            rest.starts(with: [.key("checks"), .index(0)])
        else { return problem }
        return FieldProblem(prefix + [.key("check")] + rest.dropFirst(2), problem.message)
    }

    private static func taggedAddresses(_ fields: Fields) -> [String: TaggedAddress]? {
        let all = fields.objectMap("tagged_addresses").compactMap { name, place in
            place.filled("address").map {
                (name, TaggedAddress(address: $0, port: place.port("port") ?? 0))
            }
        }
        return all.isEmpty ? nil : Dictionary(all) { first, _ in first }
    }

    private static func socketPath(_ fields: Fields, _ key: String) -> String? {
        let path = fields.path(key)
        return path.isEmpty ? nil : path
    }

    static func locality(_ fields: Fields) -> Locality {
        Locality(region: fields.text("region") ?? "", zone: fields.text("zone") ?? "")
    }

    private static func weights(_ fields: Fields) -> ServiceWeights {
        ServiceWeights(
            passing: fields.integer("passing") ?? 1, warning: fields.integer("warning") ?? 1)
    }

    /// `check` and `checks` together, as Consul takes them.
    private static func checks(
        _ fields: Fields, _ broken: inout FieldChecks
    ) -> [CheckDefinition] {
        let single = fields.object("check").map(check)
        let several = fields.objects("checks").map(check)
        broken.require(
            single == nil || several.isEmpty, ["check"], "write check or checks, not both")
        return several.isEmpty ? single.map { [$0] } ?? [] : several
    }

    static func check(_ fields: Fields) -> CheckDefinition {
        CheckDefinition(
            id: fields.filled("id"), name: fields.filled("name"), notes: fields.filled("notes"),
            tcp: fields.filled("tcp"), http: fields.filled("http"), grpc: fields.filled("grpc"),
            grpcUseTLS: fields.bool("grpc_use_tls") ? true : nil,
            method: fields.written("method") == nil ? nil : fields.filled("method"),
            header: fields.listMap("header"), body: fields.filled("body"),
            tlsServerName: fields.filled("tls_server_name"),
            tlsSkipVerify: fields.bool("tls_skip_verify"), ttl: fields.duration("ttl"),
            interval: fields.duration("interval"),
            timeout: fields.written("timeout") == nil ? nil : fields.duration("timeout"),
            status: fields.written("status") == nil
                ? nil : fields.choice("status", CheckStatus.self),
            successBeforePassing: fields.integer("success_before_passing") ?? 0,
            failuresBeforeCritical: fields.integer("failures_before_critical") ?? 0,
            deregisterCriticalServiceAfter: fields.duration("deregister_critical_service_after"))
    }

    private static func connect(
        _ fields: Fields, of service: ServiceID, _ broken: inout FieldChecks
    ) -> ConnectDefinition {
        let native = fields.bool("native")
        let wanted = fields.object("sidecar_service").map { sidecar($0, &broken) }
        guard let managed = fields.object("proxy") else {
            return ConnectDefinition(native: native, sidecarService: wanted)
        }
        broken.require(
            wanted == nil, ["connect"], "write either proxy or sidecar_service, not both")
        return ConnectDefinition(
            native: native, sidecarService: managedSidecar(managed, of: service, &broken),
            managedProxy: ManagedProxy(command: managed.texts("command")))
    }

    /// What a managed proxy is registered as.
    private static func managedSidecar(
        _ fields: Fields, of service: ServiceID, _ broken: inout FieldChecks
    ) -> SidecarDefinition? {
        var config = fields.dataMap("config")
        var inner = FieldChecks()
        let upstreams =
            fields.objects("upstreams").compactMap { upstream($0) }
            + ManagedProxy.upstreams(config, &inner)
        _ = ProxyOptions(config, &inner)
        config = config.filter { FoldedKey($0.key).text != "upstreams" }
        defer { broken.within(["connect", "proxy"]) { $0.take(inner) } }
        do {
            return try ManagedProxy.sidecar(of: service, config: config, upstreams: upstreams)
        } catch {
            inner.fail([], "the proxy of \(service) cannot be named: \(error)")
            return nil
        }
    }

    private static func sidecar(
        _ fields: Fields, _ broken: inout FieldChecks
    ) -> SidecarDefinition {
        var inner = FieldChecks()
        let checks = checks(fields, &inner)
        broken.within(["connect", "sidecar_service"]) { $0.take(inner) }
        return SidecarDefinition(
            id: fields.name("id", ServiceID.self), name: fields.name("name", ServiceName.self),
            address: fields.filled("address"), port: fields.port("port"),
            tags: fields.written("tags") == nil ? nil : fields.texts("tags"),
            meta: fields.written("meta") == nil ? nil : fields.textMap("meta"),
            weights: fields.object("weights").map(weights), checks: checks,
            proxy: fields.object("proxy").map(proxy) ?? ProxyDefinition())
    }

    /// What a connect-proxy stands for stood on the top level once.
    private static func handmadeProxy(_ fields: Fields) -> ProxyDefinition? {
        let written = fields.object("proxy").map(proxy)
        guard let old = fields.name("proxy_destination", ServiceName.self) else { return written }
        var proxy = written ?? ProxyDefinition()
        if proxy.destinationServiceName == nil { proxy.destinationServiceName = old }
        return proxy
    }

    private static func proxy(_ fields: Fields) -> ProxyDefinition {
        let handmade = fields.schema.has("destination_service_name")
        return ProxyDefinition(
            destinationServiceName: handmade
                ? fields.name("destination_service_name", ServiceName.self) : nil,
            destinationServiceID: handmade
                ? fields.name("destination_service_id", ServiceID.self) : nil,
            localServiceAddress: fields.filled("local_service_address") ?? "127.0.0.1",
            localServicePort: fields.port("local_service_port"),
            localServiceSocketPath: socketPath(fields, "local_service_socket_path"),
            mode: fields.filled("mode"),
            transparentProxy: fields.object("transparent_proxy").map(transparent),
            config: fields.dataMap("config"),
            upstreams: fields.objects("upstreams").compactMap(upstream),
            meshGatewayMode: fields.object("mesh_gateway")?.filled("mode"),
            expose: fields.data("expose"))
    }

    private static func transparent(_ fields: Fields) -> TransparentProxy {
        TransparentProxy(
            outboundListenerPort: fields.port("outbound_listener_port")
                .flatMap { $0 == 0 ? nil : $0 },
            dialedDirectly: fields.bool("dialed_directly"))
    }

    private static func upstream(_ fields: Fields) -> UpstreamDefinition? {
        // An unusable name was reported; the example keeps the other upstreams' numbers.
        guard let name = fields.name("destination_name", ServiceName.self) ?? (try? .init("web"))
        else { return nil }
        return UpstreamDefinition(
            destinationName: name,
            destinationType: fields.choice(
                "destination_type", UpstreamDefinition.DestinationType.self) ?? .service,
            datacenter: fields.name("datacenter", DatacenterName.self),
            localBindAddress: fields.filled("local_bind_address") ?? "127.0.0.1",
            localBindPort: fields.port("local_bind_port") ?? 0,
            localBindSocketPath: socketPath(fields, "local_bind_socket_path"),
            localBindSocketMode: fields.filled("local_bind_socket_mode"),
            meshGatewayMode: fields.object("mesh_gateway")?.filled("mode"),
            config: fields.dataMap("config"))
    }
}
