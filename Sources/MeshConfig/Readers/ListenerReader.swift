import MeshModel

/// Reads plain listeners.
enum ListenerReader {
    /// The listener, or nil when a part is missing that it cannot be without; that was reported.
    static func read(_ fields: Fields, _ sink: ProblemSink, _ path: [FieldStep])
        -> ListenerDefinition?
    {
        guard let name = fields.filled("name"), let address = fields.address("bind_addr"),
            let kind = fields.choice("kind", ListenerDefinition.Kind.self)
        else { return nil }
        var checks = FieldChecks()
        let routes = fields.objects("routes").enumerated().map { index, item in
            var inner = FieldChecks()
            let route = route(item, &inner)
            checks.within(["routes", .index(index)]) { $0.take(inner) }
            return route
        }
        let listener = ListenerDefinition(
            name: name, bindAddr: address, kind: kind,
            service: fields.name("service", ServiceName.self),
            timeouts: timeouts(fields.section("timeouts")),
            maxConnectionLifetime: fields.duration("max_connection_lifetime") ?? .zero,
            identity: fields.name("identity", ServiceName.self),
            tls: fields.object("tls").map { tls($0, kind: kind, &checks) },
            proxyProtocol: fields.object("proxy_protocol").map(proxyProtocol),
            forwarded: fields.object("forwarded").map(forwarded),
            trace: fields.object("trace").map {
                ListenerDefinition.Trace(
                    start: $0.bool("start"), sample: $0.decimal("sample") ?? 1,
                    export: $0.bool("export"))
            }, compression: fields.object("compression").map { compression($0, &checks) },
            routes: routes,
            accessLog: fields.object("access_log").map(accessLog),
            rateLimits: ChainReader.rateLimits(fields),
            sni: fields.objects("sni").compactMap(serverName))
        sink.report(
            checks.problems + listener.problems(), in: fields.node, fields.schema, path)
        return listener
    }

    static func accessLog(_ fields: Fields) -> AccessLogDefinition {
        AccessLogDefinition(
            path: fields.text("path"), format: fields.text("format"),
            sample: fields.decimal("sample"))
    }

    private static func timeouts(_ fields: Fields) -> ListenerDefinition.Timeouts {
        let standard = ListenerDefinition.Timeouts()
        return ListenerDefinition.Timeouts(
            head: fields.duration("head") ?? standard.head,
            idle: fields.duration("idle") ?? standard.idle,
            request: fields.duration("request") ?? standard.request,
            connect: fields.duration("connect") ?? standard.connect)
    }

    private static func tls(
        _ fields: Fields, kind: ListenerDefinition.Kind, _ checks: inout FieldChecks
    ) -> ListenerDefinition.TLS {
        let standard = kind == .l7 ? ["h2", "http/1.1"] : []
        let own = ListenerDefinition.KeyPair(cert: fields.path("cert"), key: fields.path("key"))
        checks.require(
            own.cert.isEmpty == own.key.isEmpty, ["tls", own.cert.isEmpty ? "key" : "cert"],
            "a certificate needs its key: write cert and key")
        let further = fields.objects("certs").map {
            ListenerDefinition.KeyPair(cert: $0.path("cert"), key: $0.path("key"))
        }
        let clientCA = fields.path("client_ca")
        return ListenerDefinition.TLS(
            certs: (own.cert.isEmpty && own.key.isEmpty ? [] : [own]) + further,
            certsDir: fields.path("certs_dir"), clientCA: clientCA,
            clientVerify: fields.choice("client_verify", ListenerDefinition.ClientVerify.self)
                ?? (clientCA.isEmpty ? .none : .require),
            clientCRL: fields.path("client_crl"),
            tickets: fields.written("tickets") == nil || fields.bool("tickets"),
            minVersion: fields.choice("min_version", ListenerDefinition.TLSVersion.self) ?? .v13,
            maxVersion: fields.choice("max_version", ListenerDefinition.TLSVersion.self) ?? .v13,
            alpn: fields.written("alpn") == nil ? standard : fields.texts("alpn"))
    }

    /// nil when a part is missing, which was reported.
    private static func serverName(_ fields: Fields) -> ListenerDefinition.ServerNameRoute? {
        guard let host = fields.filled("host"),
            let service = fields.name("service", ServiceName.self)
        else { return nil }
        return ListenerDefinition.ServerNameRoute(host: host.lowercased(), service: service)
    }

    private static func proxyProtocol(_ fields: Fields) -> ListenerDefinition.ProxyProtocol {
        ListenerDefinition.ProxyProtocol(
            accept: fields.choice("in", ListenerDefinition.ProxyProtocol.Accepted.self) ?? .off,
            from: fields.texts("from"),
            others: fields.choice("others", ListenerDefinition.ProxyProtocol.Others.self)
                ?? .refuse,
            timeout: fields.duration("timeout") ?? .seconds(3))
    }

    private static func forwarded(_ fields: Fields) -> ListenerDefinition.Forwarded {
        ListenerDefinition.Forwarded(
            trust: fields.texts("trust"),
            hops: fields.integer("hops") ?? ListenerDefinition.Forwarded.mostHops,
            headers: fields.choice("headers", ListenerDefinition.Forwarded.Headers.self)
                ?? .xForwarded)
    }

    private static func compression(
        _ fields: Fields, _ checks: inout FieldChecks
    ) -> ListenerDefinition.Compression {
        let standard = ListenerDefinition.Compression()
        let levels = fields.section("levels")
        var codings: [ListenerDefinition.Compression.Coding] = []
        for (index, text) in fields.texts("codings").enumerated() {
            if let coding = ListenerDefinition.Compression.Coding(rawValue: text) {
                codings.append(coding)
            } else {
                checks.fail(
                    ["compression", "codings", .index(index)],
                    "\(quoted(text)) is not supported: write zstd, br or gzip")
            }
        }
        return ListenerDefinition.Compression(
            codings: fields.written("codings") == nil ? standard.codings : codings,
            types: fields.written("types") == nil ? standard.types : fields.texts("types"),
            minLength: fields.integer("min_length") ?? standard.minLength,
            levels: ListenerDefinition.Compression.Levels(
                gzip: levels.integer("gzip") ?? standard.levels.gzip,
                br: levels.integer("br") ?? standard.levels.br,
                zstd: levels.integer("zstd") ?? standard.levels.zstd))
    }

    private static func route(
        _ fields: Fields, _ checks: inout FieldChecks
    ) -> ListenerDefinition.Route {
        var actions: [ListenerDefinition.RouteAction] = []
        if let service = fields.name("service", ServiceName.self) {
            actions.append(.service(service))
        }
        if let response = fields.object("respond") {
            actions.append(
                .respond(
                    .init(
                        status: response.integer("status") ?? 200,
                        body: response.text("body") ?? "", headers: response.textMap("headers"))))
        }
        if let redirect = fields.object("redirect") {
            actions.append(
                .redirect(
                    .init(
                        scheme: redirect.filled("scheme")?.lowercased(),
                        host: redirect.filled("host"), path: redirect.filled("path"),
                        status: redirect.integer("status") ?? 308)))
        }
        checks.require(
            actions.count == 1, [],
            "a route needs exactly one of service, respond and redirect: write for example "
                + "service: web")
        let match = fields.section("match")
        var inner = FieldChecks()
        let http = MatchReader.read(match, &inner)
        checks.within(["match"]) { $0.take(inner) }
        return ListenerDefinition.Route(
            host: match.filled("host").map { $0.lowercased() }, http: http,
            action: actions.first ?? .respond(.init(status: 404)),
            policy: ChainReader.policy(of: fields), location: fields.node.location)
    }
}
