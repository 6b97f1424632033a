/// A plain entry point of the data plane. No mesh is needed to use one.
package struct ListenerDefinition: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// Bytes.
        case l4
        /// HTTP requests.
        case l7
    }

    package struct Timeouts: Hashable, Sendable, Codable {
        /// From the first byte of a request, or the accept, to the end of its head.
        package var head: MeshDuration
        /// An idle keep-alive connection; for l4 a connection without traffic (0 = for ever).
        package var idle: MeshDuration
        /// A whole request (0 = none).
        package var request: MeshDuration
        /// Reaching an instance.
        package var connect: MeshDuration

        package init(
            head: MeshDuration = .seconds(10), idle: MeshDuration = .seconds(60),
            request: MeshDuration = .zero, connect: MeshDuration = .seconds(5)
        ) {
            self.head = head
            self.idle = idle
            self.request = request
            self.connect = connect
        }
    }

    package enum TLSVersion: String, Sendable, Codable, CaseIterable, Comparable {
        case v12 = "1.2"
        case v13 = "1.3"

        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// Whether clients show certificates.
    package enum ClientVerify: String, Sendable, Codable, CaseIterable {
        case none
        /// One is asked for, and checked when it is given.
        case request
        case require
    }

    /// Paths of a certificate chain and its private key in PEM.
    package struct KeyPair: Hashable, Sendable, Codable {
        package var cert: String
        package var key: String

        package init(cert: String, key: String) {
            self.cert = cert
            self.key = key
        }
    }

    package struct TLS: Hashable, Sendable, Codable {
        /// The first serves clients that ask for no known name.
        package var certs: [KeyPair]
        /// A folder of further pairs, `name.crt` or `name.pem` beside `name.key`; empty: none.
        package var certsDir: String
        /// Path of the authorities of clients' certificates; empty asks for none.
        package var clientCA: String
        package var clientVerify: ClientVerify
        /// Path of the lists of revoked clients' certificates; empty: none is revoked.
        package var clientCRL: String
        /// Whether clients get session tickets.
        package var tickets: Bool
        package var minVersion: TLSVersion
        package var maxVersion: TLSVersion
        package var alpn: [String]

        package init(
            certs: [KeyPair], certsDir: String = "", clientCA: String = "",
            clientVerify: ClientVerify = .none, clientCRL: String = "", tickets: Bool = true,
            minVersion: TLSVersion = .v13, maxVersion: TLSVersion = .v13, alpn: [String] = []
        ) {
            self.certs = certs
            self.certsDir = certsDir
            self.clientCA = clientCA
            self.clientVerify = clientVerify
            self.clientCRL = clientCRL
            self.tickets = tickets
            self.minVersion = minVersion
            self.maxVersion = maxVersion
            self.alpn = alpn
        }

        package enum CodingKeys: String, CodingKey {
            case certs
            case certsDir = "certs_dir"
            case clientCA = "client_ca"
            case clientVerify = "client_verify"
            case clientCRL = "client_crl"
            case tickets
            case minVersion = "min_version"
            case maxVersion = "max_version"
            case alpn
        }
    }

    /// Where TLS goes that asks for a server name.
    package struct ServerNameRoute: Hashable, Sendable, Codable {
        /// A name, or `*.example.com` for all names below.
        package var host: String
        package var service: ServiceName

        package init(host: String, service: ServiceName) {
            self.host = host
            self.service = service
        }
    }

    /// LIMIT_TABLE_ROUTES.
    package static let greatestRoutes = 131_072

    package struct Route: Hashable, Sendable, Codable {
        /// A name, `*.example.com` for all names below, or nil for any host.
        package var host: String?
        package var http: HTTPMatch
        package var action: RouteAction
        /// What becomes of requests on their way to the service; it names no service itself.
        package var policy: ServiceRouter.Destination
        /// Where it was written; nil where the listener's own place is all that is known.
        package var location: SourceLocation?

        package init(
            host: String? = nil, http: HTTPMatch = HTTPMatch(), action: RouteAction,
            policy: ServiceRouter.Destination = ServiceRouter.Destination(),
            location: SourceLocation? = nil
        ) {
            self.host = host
            self.http = http
            self.action = action
            self.policy = policy
            self.location = location
        }
    }

    package enum RouteAction: Hashable, Sendable, Codable {
        /// Forward through the discovery chain of this service.
        case service(ServiceName)
        case respond(Response)
        case redirect(Redirect)
    }

    /// An answer the data plane gives by itself.
    package struct Response: Hashable, Sendable, Codable {
        package var status: Int
        package var body: String
        package var headers: [String: String]

        package init(status: Int, body: String = "", headers: [String: String] = [:]) {
            self.status = status
            self.body = body
            self.headers = headers
        }
    }

    /// A redirect; what is nil stays as the request has it.
    package struct Redirect: Hashable, Sendable, Codable {
        package var scheme: String?
        package var host: String?
        package var path: String?
        package var status: Int

        package init(
            scheme: String? = nil, host: String? = nil, path: String? = nil, status: Int = 308
        ) {
            self.scheme = scheme
            self.host = host
            self.path = path
            self.status = status
        }
    }

    package var name: String
    package var bindAddr: HostPort
    package var kind: Kind
    /// Where everything goes that no route takes.
    package var service: ServiceName?
    package var timeouts: Timeouts
    /// Of its connections; zero: they last as long as they like.
    package var maxConnectionLifetime: MeshDuration
    /// The service as which this listener dials the mesh; intentions then bind it.
    package var identity: ServiceName?
    package var tls: TLS?
    /// Whom PROXY headers are taken from; nil: nobody sends any.
    package var proxyProtocol: ProxyProtocol?
    /// Of l7: which proxies in front are believed; nil: none.
    package var forwarded: Forwarded?
    /// Of l7: whether traces begin here; nil: they do not.
    package var trace: Trace?
    /// Of l7: which answers are compressed; nil: none.
    package var compression: Compression?
    /// First match wins.
    package var routes: [Route]
    /// Where it differs from the log of the whole node.
    package var accessLog: AccessLogDefinition?
    /// Of l7: all of its routes together; all must admit a request.
    package var rateLimits: [RateLimit]
    /// Of an l4 listener that hands TLS on as it is: by the server name that the client asks for.
    package var sni: [ServerNameRoute]

    package init(
        name: String, bindAddr: HostPort, kind: Kind, service: ServiceName? = nil,
        timeouts: Timeouts = Timeouts(), maxConnectionLifetime: MeshDuration = .zero,
        identity: ServiceName? = nil, tls: TLS? = nil,
        proxyProtocol: ProxyProtocol? = nil, forwarded: Forwarded? = nil, trace: Trace? = nil,
        compression: Compression? = nil, routes: [Route] = [],
        accessLog: AccessLogDefinition? = nil, rateLimits: [RateLimit] = [],
        sni: [ServerNameRoute] = []
    ) {
        self.name = name
        self.bindAddr = bindAddr
        self.kind = kind
        self.service = service
        self.timeouts = timeouts
        self.maxConnectionLifetime = maxConnectionLifetime
        self.identity = identity
        self.tls = tls
        self.proxyProtocol = proxyProtocol
        self.forwarded = forwarded
        self.trace = trace
        self.compression = compression
        self.routes = routes
        self.accessLog = accessLog
        self.rateLimits = rateLimits
        self.sni = sni
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case bindAddr = "bind_addr"
        case kind, service, timeouts, identity, tls
        case maxConnectionLifetime = "max_connection_lifetime"
        case proxyProtocol = "proxy_protocol"
        case forwarded, trace, routes, sni
        case accessLog = "access_log"
        case rateLimits = "rate_limits"
    }
}

extension ListenerDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        do {
            try NameRule.check(name, what: "listener name", marks: "-_.", limit: 64)
        } catch { checks.fail(["name"], "\(error)") }
        checks.require(
            bindAddr.host.isEmpty || IPText.isAddress(bindAddr.host[...])
                || bindAddr.host == "localhost", ["bind_addr"],
            "\(NameRule.quoted(bindAddr.host)) is a name: write the IP address to listen on")
        validateTimeouts(&checks)
        ConnectionLifetime.check(maxConnectionLifetime, &checks)
        checks.within(["tls"], tls)
        checks.within(["access_log"], accessLog)
        checks.within(["proxy_protocol"], proxyProtocol)
        checks.within(["forwarded"], forwarded)
        checks.within(["trace"], trace)
        checks.within(["compression"], compression)
        checks.rates(rateLimits)
        if tls?.alpn.contains("h2") == true, kind == .l4 {
            checks.fail(["tls", "alpn"], "h2 needs kind: l7; leave alpn out of an l4 listener")
        }
        switch kind {
        case .l4:
            checks.require(
                routes.isEmpty, ["routes"], "an l4 listener has no routes: write kind: l7")
            checks.require(
                service != nil || !sni.isEmpty, [],
                "an l4 listener needs a service: write service: web")
            checks.require(
                sni.isEmpty || tls == nil, ["sni"],
                "TLS is either handed on or terminated: write sni or tls, not both")
            checks.require(
                forwarded == nil, ["forwarded"],
                "an l4 listener has no headers: write kind: l7, or proxy_protocol")
            checks.require(
                trace == nil, ["trace"], "an l4 listener has no headers: write kind: l7")
            checks.require(
                rateLimits.isEmpty, ["rate_limits"],
                "an l4 listener has no requests: write kind: l7")
            checks.require(
                compression == nil, ["compression"],
                "an l4 listener forwards bytes as they come: write kind: l7")
        case .l7:
            checks.require(
                sni.isEmpty, ["sni"],
                "an l7 listener terminates TLS and routes by host: write kind: l4, or routes")
            checks.require(
                service != nil || !routes.isEmpty, [],
                "the listener has nowhere to send requests: write service: web or routes")
        }
        checks.require(
            routes.count <= Self.greatestRoutes, ["routes"],
            "use at most \(Self.greatestRoutes) routes")
        checks.each("routes", routes)
        checks.require(sni.count <= 4096, ["sni"], "use at most 4096 server names")
        checks.each("sni", sni)
        validateNames(&checks)
    }

    private func validateNames(_ checks: inout FieldChecks) {
        var names: Set<String> = []
        for (index, route) in sni.enumerated() {
            checks.require(
                names.insert(route.host).inserted, ["sni", .index(index), "host"],
                "\(route.host) is listed twice")
        }
    }

    private func validateTimeouts(_ checks: inout FieldChecks) {
        let day = MeshDuration.hours(24)
        let second = MeshDuration.milliseconds(100)
        for (key, value) in [("head", timeouts.head), ("connect", timeouts.connect)] {
            checks.require(
                value >= second && value <= day, ["timeouts", .key(key)],
                "\(value) is out of range: write 100ms to 24h")
        }
        for (key, value) in [("idle", timeouts.idle), ("request", timeouts.request)] {
            checks.require(
                value == .zero || (value >= second && value <= day), ["timeouts", .key(key)],
                "\(value) is out of range: write 0s for none, or 100ms to 24h")
        }
    }
}

extension ListenerDefinition.TLS: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            !certs.isEmpty || !certsDir.isEmpty, [],
            "tls needs a certificate: write cert and key, certs, or certs_dir")
        checks.require(
            clientVerify == .none || !clientCA.isEmpty, ["client_verify"],
            "there is nothing to check certificates by: write client_ca")
        checks.require(
            clientVerify != .none || clientCA.isEmpty, ["client_ca"],
            "client_ca has no effect with client_verify: none: remove one of them")
        checks.require(
            !clientCA.isEmpty || clientCRL.isEmpty, ["client_crl"],
            "there are no certificates to look up: write client_ca")
        checks.require(
            minVersion <= maxVersion, ["max_version"],
            "\(maxVersion.rawValue) is below min_version \(minVersion.rawValue)")
        var seen: Set<String> = []
        for (index, protocolName) in alpn.enumerated() {
            checks.require(
                protocolName == "h2" || protocolName == "http/1.1", ["alpn", .index(index)],
                "\(NameRule.quoted(protocolName)) is not supported: write h2 or http/1.1")
            checks.require(
                seen.insert(protocolName).inserted, ["alpn", .index(index)],
                "\(protocolName) is listed twice")
        }
    }
}

extension ListenerDefinition.ServerNameRoute: Validated {
    package func validate(_ checks: inout FieldChecks) {
        let name = host.hasPrefix("*.") ? host.dropFirst(2) : host[...]
        checks.require(
            IPText.isHost(name) && !IPText.isAddress(name), ["host"],
            "\(NameRule.quoted(host)) is not a server name: write example.com or *.example.com")
    }
}

extension ListenerDefinition.Route: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let host {
            let name = host.hasPrefix("*.") ? host.dropFirst(2) : host[...]
            checks.require(
                IPText.isHost(name), ["match", "host"],
                "\(NameRule.quoted(host)) is not a host: write example.com or *.example.com")
        }
        checks.within(["match"], http)
        if case .service = action {
            policy.validate(path: http.path, &checks)
        } else {
            checks.require(
                policy == ServiceRouter.Destination(), [],
                "num_retries, prefix_rewrite and the like are about requests that go to a "
                    + "service: write service, or leave them out")
        }
        switch action {
        case .service: break
        case .respond(let response):
            checks.within(["respond"]) { response.validate(&$0) }
        case .redirect(let redirect):
            checks.within(["redirect"]) { redirect.validate(&$0) }
        }
    }
}

extension ListenerDefinition.Response: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            (200...599).contains(status), ["status"], "\(status) is out of range: write 200 to 599")
        checks.require(
            body.isEmpty || (status != 204 && status != 304), ["body"],
            "an answer with status \(status) has no body: leave it out")
        checks.require(body.utf8.count <= 16384, ["body"], "use at most 16384 bytes")
        for (name, value) in headers {
            HTTPToken.checkRuled(name, &checks, ["headers", .key(name)])
            HeaderTemplate.check(value, onResponse: true, &checks, ["headers", .key(name)])
        }
    }
}

extension ListenerDefinition.Redirect: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            [301, 302, 303, 307, 308].contains(status), ["status"],
            "\(status) is not a redirect: write 301, 302, 303, 307 or 308")
        checks.require(
            scheme != nil || host != nil || path != nil, [],
            "a redirect must change something: write host, path or scheme")
        if let scheme {
            checks.require(
                scheme == "http" || scheme == "https", ["scheme"], "write http or https")
        }
        if let host {
            let parsed = try? HostPort(host)
            checks.require(
                IPText.isHost(host[...]) || (parsed != nil && parsed?.host.isEmpty == false),
                ["host"], "\(NameRule.quoted(host)) is not a host: write www.example.com")
        }
        if let path {
            checks.require(
                path.hasPrefix("/") && HTTPToken.isFieldValue(path), ["path"],
                "\(NameRule.quoted(path)) doesn't start with '/'")
        }
    }
}
