import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshTables

/// Plain entry points: `listeners:` of the configuration.
extension PartCompiler {
    mutating func addPlain(_ source: PlainSource) {
        let (listener, origin) = (source.definition, source.origin)
        guard
            let address = listen(
                on: listener.bindAddr.host, port: listener.bindAddr.port,
                "listener \(listener.name)", origin)
        else { return }
        var tls: TLSPlan?
        if listener.tls != nil {
            guard let made = tlsSettings(of: source) else { return }
            tls = made
        }
        if let identity = listener.identity, !source.hasLeaf {
            refuse("listener \(listener.name): there is no certificate of \(identity)", origin)
            return
        }
        let timeouts = listener.timeouts
        add(
            ListenerPlan(
                name: listener.name, address: address, kind: kind(of: listener, origin),
                role: listener.identity == nil ? .plain : .outbound,
                identity: listener.identity,
                timeouts: ListenerPlan.Timeouts(
                    head: milliseconds(timeouts.head), idle: milliseconds(timeouts.idle),
                    request: milliseconds(timeouts.request), handshake: 5_000,
                    lifetime: milliseconds(listener.maxConnectionLifetime)),
                congestion: settings.congestion,
                via: listener.kind == .l7 ? settings.via(listener.name) : "",
                log: settings.log(listener.accessLog),
                hops: hops(of: listener, origin),
                compression: listener.compression.map(Self.compression)), tls: tls, origin)
    }

    /// What the listener believes of the proxies in front; nil when it says nothing about them.
    private mutating func hops(of listener: ListenerDefinition, _ origin: Origin) -> HopsPlan? {
        let proxy = listener.proxyProtocol.flatMap { $0.accept == .off ? nil : $0 }
        guard proxy != nil || listener.forwarded != nil else {
            return listener.kind == .l7 ? settings.traced(nil, by: listener.trace) : nil
        }
        var plan = HopsPlan()
        if let proxy {
            plan.proxy = HopsPlan.ProxyHeaders(
                v1: proxy.accept != .v2, v2: proxy.accept != .v1,
                from: networks(proxy.from, listener, origin),
                servesOthers: proxy.others == .direct, timeout: milliseconds(proxy.timeout))
        }
        if let forwarded = listener.forwarded {
            plan.trust = networks(forwarded.trust, listener, origin)
            plan.depth = forwarded.hops
            plan.fields =
                switch forwarded.headers {
                case .xForwarded: .xForwarded
                case .forwarded: .forwarded
                case .both: [.xForwarded, .forwarded]
                case .none: []
                }
        }
        return listener.kind == .l7 ? settings.traced(plan, by: listener.trace) : plan
    }

    private static func compression(
        _ compression: ListenerDefinition.Compression
    ) -> CompressionPlan {
        CompressionPlan(
            offers: compression.codings.map { coding in
                let known: CompressionPlan.Coding =
                    switch coding {
                    case .gzip: .gzip
                    case .br: .brotli
                    case .zstd: .zstd
                    }
                return .init(known, level: UInt8(clamping: compression.levels[coding]))
            }, types: compression.types, minLength: UInt32(clamping: compression.minLength))
    }

    private mutating func networks(
        _ texts: [String], _ listener: ListenerDefinition, _ origin: Origin
    ) -> [NetworkPlan] {
        texts.compactMap { text in
            do {
                return try NetworkPlan(text)
            } catch {
                refuse("listener \(listener.name): \(error)", origin)
                return nil
            }
        }
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
        let place = "\(origin)"
        switch listener.kind {
        case .l4:
            let standard = listener.service.map { splits(to: $0, reach) }
            guard listener.sni.isEmpty else { return serverNames(of: listener, standard, place) }
            guard let standard else {
                fatalError("an l4 listener without a service has passed validation")
            }
            return .l4(standard)
        case .l7:
            var routes = listener.routes.enumerated().flatMap { index, route in
                let rule = "listener \(listener.name), route \(index + 1)"
                check(route, rule, origin)
                return self.routes(of: route, reach, rule: rule, place)
            }
            if let service = listener.service {
                routes += self.routes(
                    to: service, reach, rule: "listener \(listener.name), its service",
                    origin: place)
            }
            for index in routes.indices {
                Self.add(
                    listener.rateLimits, of: "listener \(listener.name)", to: &routes[index])
            }
            return .l7(routes)
        }
    }

    /// TLS that is handed on by server name, names that are not listed to `standard`.
    private mutating func serverNames(
        of listener: ListenerDefinition, _ standard: [SplitPlan]?, _ place: String
    ) -> ListenerPlan.Kind {
        let reach = reach(of: listener)
        let routes = listener.sni.map { route in
            RoutePlan(
                host: route.host, action: .forward(splits(to: route.service, reach)),
                rule: "listener \(listener.name), server name \(route.host)", origin: place)
        }
        return .serverName(routes, standard)
    }

    private mutating func routes(
        of route: ListenerDefinition.Route, _ reach: Reach, rule: String, _ place: String
    ) -> [RoutePlan] {
        let host = route.host?.lowercased()
        let place = route.location.map { "\($0)" } ?? place
        let action: RoutePlan.Action
        var headers: [HeaderOpPlan] = []
        switch route.action {
        case .service(let service):
            return routes(
                to: service, reach, host: host, match: route.http,
                policy: route.policy, rule: rule, origin: place)
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
                origin: place)
        ]
    }

    /// Reports what of a route's policy cannot be had.
    private mutating func check(
        _ route: ListenerDefinition.Route, _ rule: String, _ origin: Origin
    ) {
        for problem in ChainSupport.problems(of: route.policy) {
            refuse(
                "\(rule): \(problem): this version's data plane cannot do that",
                route.location.map { .file($0) } ?? origin)
        }
    }

    private mutating func tlsSettings(of source: PlainSource) -> TLSPlan? {
        let listener = source.definition
        guard let wanted = listener.tls, let files = source.certificate else {
            refuse("listener \(listener.name) has no usable certificate", source.origin)
            return nil
        }
        for certificate in files.certificates { addSecret(of: certificate) }
        return TLSPlan(
            server: true, verify: verify(wanted.clientVerify), alpn: wanted.alpn,
            alpnRequired: !wanted.alpn.isEmpty, minVersion: version(wanted.minVersion),
            maxVersion: version(wanted.maxVersion), owner: "listener \(listener.name)",
            certificates: files.standard.map { SecretPlan.filesID($0.name) },
            names: files.names, trust: files.clientTrust,
            sessionLifetime: wanted.tickets ? frame.ticketLifetime : 0)
    }

    mutating func addSecret(of certificate: ListenerCertificate.Named) {
        let files = certificate.files
        part.secrets.append(
            SecretPlan(
                id: SecretPlan.filesID(certificate.name), version: files.version,
                notAfterMilliseconds: files.notAfter.milliseconds,
                content: .certificate(
                    chain: files.chainDER, key: files.privateKeyDER.exposed, names: files.names)))
    }

    private func verify(_ mode: ListenerDefinition.ClientVerify) -> TLSPlan.Verify {
        switch mode {
        case .none: .none
        case .request: .request
        case .require: .require
        }
    }

    private func version(_ version: ListenerDefinition.TLSVersion) -> TLSPlan.Version {
        version == .v12 ? .v12 : .v13
    }
}

extension ListenerCertificate {
    /// What clients get that ask for no known name: the first certificate, and the first with
    /// another kind of key among those that share a name with it.
    var standard: [Named] {
        guard let first = certificates.first else { return [] }
        let names = Set(first.files.names)
        let other = certificates.first {
            $0.files.isRSA != first.files.isRSA && !names.isDisjoint(with: $0.files.names)
        }
        return [first] + (other.map { [$0] } ?? [])
    }

    /// Every name with the first certificate of each kind of key that is for it.
    var names: [ServerNamePlan] {
        var order: [String] = []
        var found: [String: ServerNamePlan] = [:]
        for certificate in certificates {
            let id = SecretPlan.filesID(certificate.name)
            for name in certificate.files.names where ServerNamePlan.isName(name) {
                if found[name] == nil { order.append(name) }
                found[name, default: ServerNamePlan(name: name)]
                    .add(id, isRSA: certificate.files.isRSA)
            }
        }
        return order.compactMap { found[$0] }
    }
}
