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
            identity: fields.name("identity", ServiceName.self),
            tls: fields.object("tls").map { tls($0, kind: kind) }, routes: routes,
            accessLog: fields.object("access_log").map(accessLog))
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
        _ fields: Fields, kind: ListenerDefinition.Kind
    ) -> ListenerDefinition.TLS {
        let standard = kind == .l7 ? ["http/1.1"] : []
        // What is missing was reported; a text keeps the rules of the rest going.
        return ListenerDefinition.TLS(
            cert: fields.written("cert") == nil ? "server.crt" : fields.path("cert"),
            key: fields.written("key") == nil ? "server.key" : fields.path("key"),
            clientCA: fields.path("client_ca"),
            minVersion: fields.choice("min_version", ListenerDefinition.TLSVersion.self) ?? .v13,
            alpn: fields.written("alpn") == nil ? standard : fields.texts("alpn"))
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
            action: actions.first ?? .respond(.init(status: 404)))
    }
}
