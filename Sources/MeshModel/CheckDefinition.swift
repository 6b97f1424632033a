/// What a health check says. The order is by severity, so the worst of several is their maximum.
package enum CheckStatus: String, Sendable, Codable, CaseIterable, Comparable {
    case passing
    case warning
    case critical
    /// Taken out by an operator; outranks everything.
    case maintenance

    private var severity: Int {
        switch self {
        case .passing: 0
        case .warning: 1
        case .critical: 2
        case .maintenance: 3
        }
    }

    package static func < (left: Self, right: Self) -> Bool { left.severity < right.severity }

    /// The status of an instance with these checks; passing when it has none.
    package static func aggregate(_ statuses: some Sequence<CheckStatus>) -> CheckStatus {
        statuses.max() ?? .passing
    }
}

/// One health check of a service.
package struct CheckDefinition: Hashable, Sendable, Codable {
    /// How the check is made. Exactly one way per check.
    package enum Kind: String, Sendable, Codable {
        case tcp
        case http
        case grpc
        case ttl
    }

    /// The identifier; `service:<service id>[:<n>]` when not given.
    package var id: String?
    package var name: String?
    package var notes: String?
    /// Dial this address.
    package var tcp: String?
    /// Request this URL; any 2xx answer passes, 429 warns, everything else is critical.
    package var http: String?
    /// Ask this server, `host:port` or `host:port/service`, by grpc.health.v1.
    package var grpc: String?
    /// Whether a gRPC server is asked by TLS; nil: it is not.
    package var grpcUseTLS: Bool?
    package var method: String?
    package var header: [String: [String]]
    package var body: String?
    package var tlsServerName: String?
    package var tlsSkipVerify: Bool
    /// The service reports by itself and turns critical after this long without a report.
    package var ttl: MeshDuration?
    package var interval: MeshDuration?
    package var timeout: MeshDuration?
    /// The status before the first result; critical when not given.
    package var status: CheckStatus?
    package var successBeforePassing: Int
    package var failuresBeforeCritical: Int
    package var deregisterCriticalServiceAfter: MeshDuration?

    package init(
        id: String? = nil, name: String? = nil, notes: String? = nil, tcp: String? = nil,
        http: String? = nil, grpc: String? = nil, grpcUseTLS: Bool? = nil,
        method: String? = nil, header: [String: [String]] = [:],
        body: String? = nil, tlsServerName: String? = nil, tlsSkipVerify: Bool = false,
        ttl: MeshDuration? = nil, interval: MeshDuration? = nil, timeout: MeshDuration? = nil,
        status: CheckStatus? = nil, successBeforePassing: Int = 0,
        failuresBeforeCritical: Int = 0, deregisterCriticalServiceAfter: MeshDuration? = nil
    ) {
        self.id = id
        self.name = name
        self.notes = notes
        self.tcp = tcp
        self.http = http
        self.grpc = grpc
        self.grpcUseTLS = grpcUseTLS
        self.method = method
        self.header = header
        self.body = body
        self.tlsServerName = tlsServerName
        self.tlsSkipVerify = tlsSkipVerify
        self.ttl = ttl
        self.interval = interval
        self.timeout = timeout
        self.status = status
        self.successBeforePassing = successBeforePassing
        self.failuresBeforeCritical = failuresBeforeCritical
        self.deregisterCriticalServiceAfter = deregisterCriticalServiceAfter
    }

    /// The kind, or nil when the definition names none or several.
    package var kind: Kind? {
        let given: [(Kind, Bool)] = [
            (.tcp, tcp != nil), (.http, http != nil), (.grpc, grpc != nil), (.ttl, ttl != nil),
        ]
        let kinds = given.filter(\.1).map(\.0)
        return kinds.count == 1 ? kinds[0] : nil
    }

    /// The server that a gRPC check asks, and the service that it asks for; nil: there is none.
    package var grpcTarget: (address: HostPort, service: String)? {
        guard let grpc else { return nil }
        let end = grpc.firstIndex(of: "/") ?? grpc.endIndex
        guard let address = try? HostPort(String(grpc[..<end])), address.port != 0,
            !address.host.isEmpty
        else { return nil }
        return (address, String(grpc[end...].dropFirst()))
    }

    /// The time one attempt may take; 10 s when not given.
    package var effectiveTimeout: MeshDuration { timeout ?? .seconds(10) }

    /// The status before the first result.
    package var initialStatus: CheckStatus { status ?? .critical }

    /// The identifier of check number `index` (from 0) among `count` of a service.
    package func identifier(service: ServiceID, index: Int, count: Int) -> String {
        if let id { return id }
        return count == 1 ? "service:\(service.text)" : "service:\(service.text):\(index + 1)"
    }

    package enum CodingKeys: String, CodingKey {
        case id, name, notes, tcp, http, grpc, method, header, body
        case grpcUseTLS = "grpc_use_tls"
        case tlsServerName = "tls_server_name"
        case tlsSkipVerify = "tls_skip_verify"
        case ttl, interval, timeout, status
        case successBeforePassing = "success_before_passing"
        case failuresBeforeCritical = "failures_before_critical"
        case deregisterCriticalServiceAfter = "deregister_critical_service_after"
    }
}

extension CheckDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let tcp {
            do {
                let address = try HostPort(tcp)
                checks.require(
                    address.port != 0 && !address.host.isEmpty, ["tcp"],
                    "\(NameRule.quoted(tcp)) cannot be dialled: write host:port")
            } catch { checks.fail(["tcp"], "\(error)") }
        }
        if let http {
            let url = http.lowercased()
            checks.require(
                url.hasPrefix("http://") || url.hasPrefix("https://"), ["http"],
                "\(NameRule.quoted(http)) is not an http:// or https:// URL")
        }
        if let grpc {
            checks.require(
                grpcTarget != nil, ["grpc"],
                "\(NameRule.quoted(grpc)) cannot be asked: write host:port or host:port/service")
        }
        checks.require(
            kind != nil, [],
            "a check needs exactly one of tcp, http, grpc and ttl: write for example "
                + "tcp: 127.0.0.1:8080 with interval: 10s")
        if tcp != nil || http != nil || grpc != nil {
            if let interval {
                checks.require(
                    interval >= .milliseconds(100), ["interval"],
                    "the interval must be at least 100ms, not \(interval)")
            } else {
                checks.fail([], "a tcp, http or grpc check needs an interval: write interval: 10s")
            }
        }
        if let ttl {
            checks.require(ttl > .zero, ["ttl"], "the ttl must be more than 0, for example 30s")
        }
        if let timeout {
            checks.require(
                timeout > .zero, ["timeout"], "the timeout must be more than 0, for example 1s")
        }
        checks.require(
            status != .maintenance, ["status"],
            "a check starts as passing, warning or critical")
        checks.require(
            (0...1000).contains(successBeforePassing), ["success_before_passing"],
            "write a number of 0 to 1000")
        checks.require(
            (0...1000).contains(failuresBeforeCritical), ["failures_before_critical"],
            "write a number of 0 to 1000")
        if let after = deregisterCriticalServiceAfter {
            checks.require(
                after >= .seconds(1), ["deregister_critical_service_after"],
                "write at least 1s, for example 1m")
        }
    }
}
