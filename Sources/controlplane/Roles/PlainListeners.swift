import MeshIdentity
import MeshModel
import MeshTables

/// Plain entry points: `listeners:` of the configuration.
extension NodeCompiler {
    mutating func addPlain(_ listener: ListenerDefinition, _ origin: Origin) {
        guard
            let address = listen(
                on: listener.bindAddr.host, port: listener.bindAddr.port,
                "listener \(listener.name)", origin)
        else { return }
        var tls: TLSRef?
        if listener.tls != nil {
            guard let made = tlsSettings(of: listener, origin) else { return }
            tls = made
        }
        if let identity = listener.identity, state.mesh.leaves[identity] == nil {
            refuse("listener \(listener.name): there is no certificate of \(identity)", origin)
            return
        }
        let timeouts = listener.timeouts
        add(
            ListenerPlan(
                name: listener.name, address: address, kind: kind(of: listener, origin),
                role: listener.identity == nil ? .plain : .outbound, tls: tls,
                identity: listener.identity,
                timeouts: ListenerPlan.Timeouts(
                    head: milliseconds(timeouts.head), idle: milliseconds(timeouts.idle),
                    request: milliseconds(timeouts.request), handshake: 5_000),
                congestion: state.settings.congestion,
                via: listener.kind == .l7 ? state.settings.via(listener.name) : "",
                log: state.settings.log(listener.accessLog)), origin)
    }

    func milliseconds(_ duration: MeshDuration) -> UInt32 {
        UInt32(clamping: duration.millisecondsRoundedUp)
    }

    private func reach(of listener: ListenerDefinition) -> Reach {
        let connect = listener.timeouts.connect
        return Reach(
            caller: listener.identity.map { .listener($0) } ?? .plain, http: listener.kind == .l7,
            connectTimeout: connect == .seconds(5) ? nil : connect)
    }

    private mutating func kind(of listener: ListenerDefinition, _ origin: Origin)
        -> ListenerPlan.Kind
    {
        let reach = reach(of: listener)
        switch listener.kind {
        case .l4:
            guard let service = listener.service else {
                fatalError("an l4 listener without a service has passed validation")
            }
            return .l4(splits(to: service, reach))
        case .l7:
            var routes = listener.routes.enumerated().flatMap { index, route in
                self.routes(
                    of: route, reach, rule: "listener \(listener.name), route \(index + 1)", origin)
            }
            if let service = listener.service {
                routes += self.routes(
                    to: service, reach, rule: "listener \(listener.name), its service",
                    origin: "\(origin)")
            }
            return .l7(routes)
        }
    }

    private mutating func routes(
        of route: ListenerDefinition.Route, _ reach: Reach, rule: String, _ origin: Origin
    ) -> [RoutePlan] {
        let host = route.host?.lowercased()
        let action: RoutePlan.Action
        var headers: [HeaderOpPlan] = []
        switch route.action {
        case .service(let service):
            return routes(
                to: service, reach, host: host, match: route.http, rule: rule,
                origin: "\(origin)")
        case .respond(let response):
            let type = response.headers.first { $0.key.lowercased() == "content-type" }?.value
            action = .respond(
                status: response.status, body: response.body,
                contentType: type ?? (response.body.isEmpty ? "" : "text/plain; charset=utf-8"))
            headers = response.headers.filter { $0.key.lowercased() != "content-type" }
                .sorted { $0.key < $1.key }
                .map { HeaderOpPlan(name: $0.key, kind: .set($0.value), onResponse: true) }
        case .redirect(let redirect):
            action = .redirect(
                status: redirect.status, scheme: redirect.scheme ?? "", host: redirect.host ?? "",
                path: redirect.path ?? "")
        }
        return [
            RoutePlan(
                host: host, match: route.http, action: action, headerOps: headers, rule: rule,
                origin: "\(origin)")
        ]
    }

    private mutating func tlsSettings(
        of listener: ListenerDefinition, _ origin: Origin
    ) -> TLSRef? {
        guard let wanted = listener.tls, let files = state.certificates[listener.name] else {
            refuse("listener \(listener.name) has no usable certificate", origin)
            return nil
        }
        let id = SecretPlan.listenerID(listener.name)
        let identity = files.identity
        secrets.append(
            SecretPlan(
                id: id, version: identity.version,
                notAfterMilliseconds: identity.notAfter.milliseconds,
                content: .certificate(
                    chain: identity.chainDER.flatMap { $0 }, key: identity.privateKeyDER.exposed,
                    names: identity.names)))
        // HTTP/2 is not spoken by this data plane: it is not offered either.
        let alpn = wanted.alpn.filter { $0 != "h2" }
        return plan.intern(
            TLSPlan(
                server: true, verify: files.clientAuthorities.isEmpty ? .none : .require,
                alpn: alpn, alpnRequired: !alpn.isEmpty,
                minVersion: wanted.minVersion == .v12 ? .v12 : .v13, certificates: [id],
                trust: files.clientAuthorities, sessionLifetime: state.mesh.ticketLifetime,
                secretsVersion: identity.version))
    }
}
