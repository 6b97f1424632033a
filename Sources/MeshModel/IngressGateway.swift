/// What callers outside the mesh reach through the gateways of one name: ports, hosts and the
/// services behind them.
package struct IngressGateway: Hashable, Sendable, Codable {
    /// How the gateway's callers are served.
    package struct TLS: Hashable, Sendable, Codable {
        package var enabled: Bool
        package var minVersion: ListenerDefinition.TLSVersion?
        package var maxVersion: ListenerDefinition.TLSVersion?
        /// Certificates of other authorities; empty: the mesh's authority signs one for the hosts.
        package var certs: [ListenerDefinition.KeyPair]

        package init(
            enabled: Bool = false, minVersion: ListenerDefinition.TLSVersion? = nil,
            maxVersion: ListenerDefinition.TLSVersion? = nil,
            certs: [ListenerDefinition.KeyPair] = []
        ) {
            self.enabled = enabled
            self.minVersion = minVersion
            self.maxVersion = maxVersion
            self.certs = certs
        }

        package enum CodingKeys: String, CodingKey {
            case enabled
            case minVersion = "tls_min_version"
            case maxVersion = "tls_max_version"
            case certs
        }
    }

    /// A service behind a listener.
    package struct Service: Hashable, Sendable, Codable {
        /// `*`: every service that speaks HTTP, each at the hosts of its name.
        package var name: NamePattern
        /// Host names, with a leading `*.` perhaps, or `*` for all; empty: those of its name.
        package var hosts: [String]
        package var requestHeaders: HeaderModifiers?
        package var responseHeaders: HeaderModifiers?
        package var limits: UpstreamLimits?

        package init(
            name: NamePattern, hosts: [String] = [], requestHeaders: HeaderModifiers? = nil,
            responseHeaders: HeaderModifiers? = nil, limits: UpstreamLimits? = nil
        ) {
            self.name = name
            self.hosts = hosts
            self.requestHeaders = requestHeaders
            self.responseHeaders = responseHeaders
            self.limits = limits
        }

        package enum CodingKeys: String, CodingKey {
            case name, hosts, limits
            case requestHeaders = "request_headers"
            case responseHeaders = "response_headers"
        }
    }

    /// A port of the gateway.
    package struct Listener: Hashable, Sendable, Codable {
        package var port: UInt16
        package var serviceProtocol: ServiceProtocol
        package var services: [Service]
        /// nil: as the gateway's.
        package var tls: TLS?

        package init(
            port: UInt16, serviceProtocol: ServiceProtocol = .tcp, services: [Service],
            tls: TLS? = nil
        ) {
            self.port = port
            self.serviceProtocol = serviceProtocol
            self.services = services
            self.tls = tls
        }

        package enum CodingKeys: String, CodingKey {
            case port, services, tls
            case serviceProtocol = "protocol"
        }
    }

    package var name: ServiceName
    package var tls: TLS
    package var listeners: [Listener]
    /// For services that set none.
    package var defaults: UpstreamLimits?
    package var meta: [String: String]

    package init(
        name: ServiceName, tls: TLS = TLS(), listeners: [Listener],
        defaults: UpstreamLimits? = nil, meta: [String: String] = [:]
    ) {
        self.name = name
        self.tls = tls
        self.listeners = listeners
        self.defaults = defaults
        self.meta = meta
    }

    /// TLS of a listener; nil: it is spoken to in plain text.
    package func tls(of listener: Listener) -> TLS? {
        let tls = listener.tls ?? self.tls
        return tls.enabled ? tls : nil
    }

    /// Whether a service is reached through the gateway.
    package func leads(to service: ServiceName) -> Bool {
        listeners.contains { listener in
            listener.services.contains { $0.name.covers(service) }
        }
    }

    /// The hosts under which a service is asked for that names none: `web.ingress.consul` and
    /// `web.ingress.dc1.consul`.
    package static func hosts(of service: ServiceName, in datacenter: DatacenterName) -> [String] {
        let name = service.folded
        return ["\(name).ingress.consul", "\(name).ingress.\(datacenter.text.lowercased()).consul"]
    }
}

extension IngressGateway: Validated {
    package func validate(_ checks: inout FieldChecks) {
        var ports: Set<UInt16> = []
        for (index, listener) in listeners.enumerated() {
            checks.within(["listeners", .index(index)]) { checks in
                checks.require(
                    ports.insert(listener.port).inserted, ["port"],
                    "port \(listener.port) declared on two listeners")
                checks.require(listener.port != 0, ["port"], "write a port of 1 to 65535")
                validate(listener, &checks)
                listener.tls.map { tls in
                    checks.within(["tls"]) { tls.validate(&$0) }
                }
            }
        }
        checks.within(["tls"]) { tls.validate(&$0) }
    }

    private func validate(_ listener: Listener, _ checks: inout FieldChecks) {
        let place = "(listener on port \(listener.port))"
        checks.require(
            !listener.services.isEmpty, ["services"],
            "No service declared for listener with port \(listener.port)")
        checks.require(
            listener.serviceProtocol.isHTTPLike || listener.services.count <= 1, ["services"],
            "Multiple services per listener are only supported for L7 protocols, 'http', 'grpc' "
                + "and 'http2' \(place)")
        var names: Set<NamePattern> = []
        var hosts: Set<String> = []
        for (index, service) in listener.services.enumerated() {
            checks.within(["services", .index(index)]) { checks in
                checks.require(
                    names.insert(service.name).inserted, ["name"],
                    "Service \(service.name) cannot be added multiple times \(place)")
                if service.name == .any { validateWildcard(service, listener, place, &checks) }
                checks.require(
                    listener.serviceProtocol.isHTTPLike || service.hosts.isEmpty, ["hosts"],
                    "Associating hosts to a service is not supported for the "
                        + "\(listener.serviceProtocol.rawValue) protocol \(place)")
                for (number, host) in service.hosts.enumerated() {
                    let path: [FieldStep] = ["hosts", .index(number)]
                    checks.require(
                        hosts.insert(host.lowercased()).inserted, path,
                        "Hosts must be unique within a specific listener \(place)")
                    checks.require(
                        Self.isHost(host), path,
                        "Host \"\(host)\" must be a valid DNS hostname: a wildcard stands first "
                            + "and alone, as in *.example.com")
                    checks.require(
                        host != "*" || tls(of: listener) == nil, path,
                        "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS "
                            + "records to add as a DNSSAN")
                }
                checks.within(["request_headers"]) {
                    service.requestHeaders?.validate(onResponse: false, &$0)
                }
                checks.within(["response_headers"]) {
                    service.responseHeaders?.validate(onResponse: true, &$0)
                }
            }
        }
    }

    private func validateWildcard(
        _ service: Service, _ listener: Listener, _ place: String, _ checks: inout FieldChecks
    ) {
        checks.require(
            listener.serviceProtocol.isHTTPLike, ["name"],
            "Wildcard service name is only valid for protocol = 'http', 'http2' and 'grpc' \(place)"
        )
        checks.require(
            service.hosts.isEmpty, ["hosts"],
            "Associating hosts to a wildcard service is not supported \(place)")
    }

    private static func isHost(_ text: String) -> Bool {
        if text == "*" { return true }
        let bare = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
        let labels = bare.split(separator: ".", omittingEmptySubsequences: false)
        return bare.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                    && label.utf8.allSatisfy { byte in
                        (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                            || (0x30...0x39).contains(byte) || byte == 0x2d || byte == 0x5f
                    }
            }
    }
}

extension IngressGateway.TLS: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let minVersion, let maxVersion {
            checks.require(
                minVersion <= maxVersion, ["tls_max_version"],
                "is lower than tls_min_version: write the same or a greater one")
        }
        checks.require(
            enabled || certs.isEmpty, ["certs"], "certificates serve TLS: write enabled: true")
        for (index, pair) in certs.enumerated() {
            checks.require(
                !pair.cert.isEmpty && !pair.key.isEmpty, ["certs", .index(index)],
                "write both cert and key")
        }
    }
}
