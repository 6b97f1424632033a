import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshTables

/// Gateways: ways into the mesh for callers outside it, and out of it to services outside.
extension PartCompiler {
    mutating func addGateway(_ source: GatewaySource) {
        guard let leaf = source.leafVersion else {
            let gateway = source.definition
            refuse("\(gateway.id): there is no certificate of \(gateway.name) yet", source.origin)
            return
        }
        switch source.entry {
        case .ingressGateway(let entry):
            for listener in entry.listeners { add(listener, of: entry, source, leaf) }
        case .terminatingGateway(let entry): add(entry, source)
        default: break  // nothing was written about it: it has nothing to do
        }
    }

    /// Where a gateway listens.
    private mutating func listen(_ source: GatewaySource, port: UInt16) -> AddressPlan? {
        let gateway = source.definition
        let host = gateway.address.isEmpty ? settings.node.address : gateway.address
        // A host name is what others dial; what is listened on is then every address.
        return listen(
            on: IPAddress(host) == nil ? "0.0.0.0" : host, port: port, "\(gateway.id)",
            source.origin)
    }

    /// How long the connections of a gateway may last, as with sidecars.
    private mutating func lifetime(of gateway: ServiceDefinition) -> UInt32 {
        options(of: gateway.proxy, gateway.name).maxConnectionLifetime.map(milliseconds) ?? 0
    }

    // MARK: - ingress

    private mutating func add(
        _ listener: IngressGateway.Listener, of entry: IngressGateway, _ source: GatewaySource,
        _ leaf: UInt64
    ) {
        let gateway = source.definition
        let name = "\(gateway.id):\(listener.port)"
        guard let address = listen(source, port: listener.port) else { return }
        var tls: TLSPlan?
        if let wanted = entry.tls(of: listener) {
            guard let made = self.tls(wanted, of: source, name, listener) else { return }
            tls = made
        }
        let http = listener.serviceProtocol.isHTTPLike
        let rule = "ingress-gateway \(entry.name), port \(listener.port)"
        let kind: ListenerPlan.Kind
        if http {
            kind = .l7(routes(of: listener, entry, source, leaf, rule))
        } else {
            guard let service = listener.services.first,
                case .exact(let destination) = service.name
            else { return }
            let reach = reach(service, entry, leaf, http: false, name)
            kind = .l4(splits(to: destination, reach))
        }
        add(
            ListenerPlan(
                name: name, address: address, kind: kind, role: .outbound, identity: entry.name,
                timeouts: ListenerPlan.Timeouts(
                    head: 10_000, idle: http ? 60_000 : 0, request: 0, handshake: 10_000,
                    lifetime: lifetime(of: gateway)),
                congestion: settings.congestion, via: http ? settings.via(name) : "",
                log: settings.log(), hops: http ? settings.tracesOnly : nil),
            tls: tls, source.origin)
    }

    /// `place` is the listener, whose ceilings are its own.
    private func reach(
        _ service: IngressGateway.Service, _ entry: IngressGateway, _ leaf: UInt64, http: Bool,
        _ place: String
    ) -> Reach {
        var options = UpstreamOptions()
        options.limits = service.limits ?? entry.defaults
        return Reach(
            caller: .sidecar(entry.name, leafVersion: leaf), http: http, connectTimeout: nil,
            options: options, place: place)
    }

    private mutating func routes(
        of listener: IngressGateway.Listener, _ entry: IngressGateway, _ source: GatewaySource,
        _ leaf: UInt64, _ rule: String
    ) -> [RoutePlan] {
        var all: [RoutePlan] = []
        let named = Set(
            listener.services.compactMap { service -> ServiceName? in
                if case .exact(let name) = service.name { return name }
                return nil
            })
        for service in listener.services {
            let reach = reach(
                service, entry, leaf, http: true, "\(source.definition.id):\(listener.port)")
            switch service.name {
            case .exact(let name):
                guard speaksHTTP(name) else {
                    refuse(
                        "\(rule): \(name) speaks tcp, the listener "
                            + "\(listener.serviceProtocol.rawValue): write its protocol into "
                            + "service-defaults \(name)", source.origin)
                    continue
                }
                all += routes(to: name, service, reach, rule, source)
            case .any:
                for name in source.all where !named.contains(name) && speaksHTTP(name) {
                    all += routes(to: name, service, reach, rule, source)
                }
            }
        }
        return all
    }

    private mutating func routes(
        to name: ServiceName, _ service: IngressGateway.Service, _ reach: Reach, _ rule: String,
        _ source: GatewaySource
    ) -> [RoutePlan] {
        let hosts =
            service.hosts.isEmpty
            ? IngressGateway.hosts(of: name, in: settings.node.datacenter) : service.hosts
        let changes =
            Self.changes(service.requestHeaders, onResponse: false)
            + Self.changes(service.responseHeaders, onResponse: true)
        return hosts.flatMap { host in
            var found = routes(
                to: name, reach, host: host == "*" ? nil : host.lowercased(),
                rule: "\(rule), service \(name)", origin: source.origin.map { "\($0)" } ?? "")
            for place in found.indices { found[place].headerOps = changes + found[place].headerOps }
            return found
        }
    }

    /// With certificates of other authorities, or with that of the gateway, which is for its hosts.
    private mutating func tls(
        _ wanted: IngressGateway.TLS, of source: GatewaySource, _ name: String,
        _ listener: IngressGateway.Listener
    ) -> TLSPlan? {
        var plan = TLSPlan(
            server: true, alpn: listener.serviceProtocol.isHTTPLike ? ["h2", "http/1.1"] : [],
            minVersion: wanted.minVersion == .v13 ? .v13 : .v12,
            maxVersion: wanted.maxVersion == .v12 ? .v12 : .v13, owner: "listener \(name)",
            sessionLifetime: frame.ticketLifetime)
        guard !wanted.certs.isEmpty else {
            plan.certificates = [SecretPlan.leafID(of: source.definition.name)]
            return plan
        }
        var certificates: [ListenerCertificate.Named] = []
        for pair in wanted.certs {
            guard let files = source.files.pairs[pair] else {
                let why = source.files.failures[pair.cert] ?? "it was not read yet"
                refuse("\(name): \(pair.cert): \(why)", source.origin)
                continue
            }
            certificates.append(.init(name: "\(pair.cert)|\(pair.key)", files: files))
        }
        guard !certificates.isEmpty else { return nil }
        for certificate in certificates { addSecret(of: certificate) }
        let shown = ListenerCertificate(certificates: certificates, clientTrust: [])
        plan.certificates = shown.standard.map { SecretPlan.filesID($0.name) }
        plan.names = shown.names
        return plan
    }

    // MARK: - terminating

    /// One port for all services that the gateway stands for: callers ask for one by the server
    /// name of mesh TLS, and get its certificate.
    private mutating func add(_ entry: TerminatingGateway, _ source: GatewaySource) {
        let gateway = source.definition
        guard gateway.port != 0 else {
            refuse("\(gateway.id): a terminating gateway needs a port: write port", source.origin)
            return
        }
        guard let address = listen(source, port: gateway.port) else { return }
        var tls = meshTLS(
            server: true, as: entry.name, leafVersion: 0, alpn: ["h2", "http/1.1"])
        var routes: [RoutePlan] = []
        for service in source.all {
            guard let written = entry.service(service) else { continue }
            guard source.certified.contains(service) else {
                refuse("\(gateway.id): there is no certificate of \(service) yet", source.origin)
                continue
            }
            guard let origination = origination(of: service, written, source) else { continue }
            let http = speaksHTTP(service)
            for target in targets(of: service) {
                let name = target.name(in: frame.trustDomain).lowercased()
                var shown = ServerNamePlan(name: name)
                shown.add(SecretPlan.leafID(of: service), isRSA: false)
                tls.names.append(shown)
                let id = external(
                    target, by: entry.name, tls: origination.tls, sni: written.sni)
                routes.append(
                    RoutePlan(
                        host: name, action: .forward(SplitPlan.all(to: id)),
                        retries: http ? Self.retries : 0, retryOn: http ? Self.retryOn : [],
                        rule: "terminating-gateway \(entry.name), service \(service)",
                        origin: source.origin.map { "\($0)" } ?? ""))
            }
        }
        add(
            ListenerPlan(
                name: gateway.id.text, address: address, kind: .gateway(routes), role: .inbound,
                identity: entry.name,
                timeouts: ListenerPlan.Timeouts(
                    head: 10_000, idle: 0, request: 0, handshake: 5_000,
                    lifetime: lifetime(of: gateway)),
                congestion: settings.congestion, via: settings.via(gateway.id.text),
                log: settings.log()),
            tls: tls, source.origin)
    }

    /// A service itself and its subsets: what callers in the mesh ask for.
    private mutating func targets(of service: ServiceName) -> [DiscoveryChain.Target] {
        let datacenter = settings.node.datacenter
        let subsets = resolver(of: service)?.subsets ?? [:]
        return [DiscoveryChain.Target(service, in: datacenter)]
            + subsets.sorted { $0.key < $1.key }.compactMap { name, subset in
                (try? SubsetName(name)).map {
                    DiscoveryChain.Target(service, $0, subset, in: datacenter)
                }
            }
    }

    private struct Origination {
        /// nil: plain text.
        var tls: TLSPlan?
    }

    /// How a service outside is spoken to; nil, and reported, when a file cannot be had.
    private mutating func origination(
        of service: ServiceName, _ written: TerminatingGateway.Service, _ source: GatewaySource
    ) -> Origination? {
        guard !written.caFile.isEmpty else { return Origination() }
        let place = "\(source.definition.id): \(service)"
        guard let trust = source.files.authorities[written.caFile] else {
            let why = source.files.failures[written.caFile] ?? "it was not read yet"
            refuse("\(place): \(written.caFile): \(why)", source.origin)
            return nil
        }
        var plan = TLSPlan(
            server: false, verify: .require, minVersion: .v12, trust: trust,
            sessionLifetime: frame.ticketLifetime)
        switch chains.serviceProtocol(of: service, &part.asked) {
        case .tcp: break
        case .http: plan.alpn = ["http/1.1"]
        case .http2, .grpc: plan.alpn = ["h2"]
        }
        if !written.certFile.isEmpty {
            let pair = ListenerDefinition.KeyPair(cert: written.certFile, key: written.keyFile)
            guard let files = source.files.pairs[pair] else {
                let why = source.files.failures[pair.cert] ?? "it was not read yet"
                refuse("\(place): \(pair.cert): \(why)", source.origin)
                return nil
            }
            let named = ListenerCertificate.Named(name: "\(pair.cert)|\(pair.key)", files: files)
            addSecret(of: named)
            plan.certificates = [SecretPlan.filesID(named.name)]
            plan.secretsVersion = files.version
        }
        return Origination(tls: plan)
    }
}
