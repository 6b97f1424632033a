import MeshModel

/// Reads the entries of gateways.
enum GatewayReader {
    static func ingress(
        _ name: ServiceName, _ fields: Fields
    ) -> IngressGateway {
        IngressGateway(
            name: name, tls: fields.object("tls").map(tls) ?? IngressGateway.TLS(),
            listeners: fields.objects("listeners").map(listener),
            defaults: fields.object("defaults").flatMap(limits), meta: fields.textMap("meta"))
    }

    /// Nobody is asked for certificates while callers wait.
    static func refuseSDS(_ fields: Fields, _ checks: inout FieldChecks) {
        func refuse(_ tls: Fields?, _ path: [FieldStep]) {
            guard let sds = tls?.data("sds"), sds != .null, sds != .object([:]) else { return }
            checks.fail(
                path + ["tls", "sds"],
                "certificates are not fetched by SDS: write certs: [ { cert: /…/shop.crt, key: "
                    + "/…/shop.key } ], whose files are watched, or leave both out for one of "
                    + "the mesh's authority")
        }
        refuse(fields.object("tls"), [])
        for (index, listener) in fields.objects("listeners").enumerated() {
            refuse(listener.object("tls"), ["listeners", .index(index)])
        }
    }

    private static func listener(_ fields: Fields) -> IngressGateway.Listener {
        IngressGateway.Listener(
            port: fields.port("port") ?? 0,
            serviceProtocol: fields.choice("protocol", ServiceProtocol.self) ?? .tcp,
            services: fields.objects("services").compactMap(service),
            tls: fields.object("tls").map(tls))
    }

    private static func service(_ fields: Fields) -> IngressGateway.Service? {
        guard let name = fields.pattern("name") else { return nil }
        return IngressGateway.Service(
            name: name, hosts: fields.texts("hosts"),
            requestHeaders: fields.object("request_headers").map(ChainReader.modifiers),
            responseHeaders: fields.object("response_headers").map(ChainReader.modifiers),
            limits: limits(fields))
    }

    /// The ceilings that stand among other keys; nil: there are none.
    private static func limits(_ fields: Fields) -> UpstreamLimits? {
        let limits = UpstreamLimits(
            maxConnections: fields.integer("max_connections"),
            maxPendingRequests: fields.integer("max_pending_requests"),
            maxConcurrentRequests: fields.integer("max_concurrent_requests"))
        return limits == UpstreamLimits() ? nil : limits
    }

    private static func tls(_ fields: Fields) -> IngressGateway.TLS {
        IngressGateway.TLS(
            enabled: fields.bool("enabled"),
            minVersion: fields.filled("tls_min_version").flatMap { GatewayKeys.versions[$0] },
            maxVersion: fields.filled("tls_max_version").flatMap { GatewayKeys.versions[$0] },
            certs: fields.objects("certs").map {
                ListenerDefinition.KeyPair(
                    cert: $0.filled("cert") ?? "", key: $0.filled("key") ?? "")
            })
    }

    static func terminating(_ name: ServiceName, _ fields: Fields) -> TerminatingGateway {
        TerminatingGateway(
            name: name,
            services: fields.objects("services").compactMap { service in
                guard let name = service.pattern("name") else { return nil }
                return TerminatingGateway.Service(
                    name: name, caFile: service.filled("ca_file") ?? "",
                    certFile: service.filled("cert_file") ?? "",
                    keyFile: service.filled("key_file") ?? "",
                    sni: service.filled("sni")?.lowercased() ?? "")
            }, meta: fields.textMap("meta"))
    }
}
