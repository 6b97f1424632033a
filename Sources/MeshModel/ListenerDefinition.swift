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

    package struct TLS: Hashable, Sendable, Codable {
        /// Path of the certificate chain in PEM.
        package var cert: String
        /// Path of the private key in PEM.
        package var key: String
        /// Path of the authorities a client must show a certificate of; empty asks for none.
        package var clientCA: String
        package var minVersion: TLSVersion
        package var alpn: [String]

        package init(
            cert: String, key: String, clientCA: String = "", minVersion: TLSVersion = .v13,
            alpn: [String] = []
        ) {
            self.cert = cert
            self.key = key
            self.clientCA = clientCA
            self.minVersion = minVersion
            self.alpn = alpn
        }

        package enum CodingKeys: String, CodingKey {
            case cert, key
            case clientCA = "client_ca"
            case minVersion = "min_version"
            case alpn
        }
    }

    package struct Route: Hashable, Sendable, Codable {
        /// A name, `*.example.com` for all names below, or nil for any host.
        package var host: String?
        package var http: HTTPMatch
        package var action: RouteAction

        package init(host: String? = nil, http: HTTPMatch = HTTPMatch(), action: RouteAction) {
            self.host = host
            self.http = http
            self.action = action
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
    /// The service as which this listener dials the mesh; intentions then bind it.
    package var identity: ServiceName?
    package var tls: TLS?
    /// First match wins.
    package var routes: [Route]
    /// Where it differs from the log of the whole node.
    package var accessLog: AccessLogDefinition?

    package init(
        name: String, bindAddr: HostPort, kind: Kind, service: ServiceName? = nil,
        timeouts: Timeouts = Timeouts(), identity: ServiceName? = nil, tls: TLS? = nil,
        routes: [Route] = [], accessLog: AccessLogDefinition? = nil
    ) {
        self.name = name
        self.bindAddr = bindAddr
        self.kind = kind
        self.service = service
        self.timeouts = timeouts
        self.identity = identity
        self.tls = tls
        self.routes = routes
        self.accessLog = accessLog
    }

    package enum CodingKeys: String, CodingKey {
        case name
        case bindAddr = "bind_addr"
        case kind, service, timeouts, identity, tls, routes
        case accessLog = "access_log"
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
        checks.within(["tls"], tls)
        checks.within(["access_log"], accessLog)
        if tls?.alpn.contains("h2") == true, kind == .l4 {
            checks.fail(["tls", "alpn"], "h2 needs kind: l7; leave alpn out of an l4 listener")
        }
        switch kind {
        case .l4:
            checks.require(
                routes.isEmpty, ["routes"], "an l4 listener has no routes: write kind: l7")
            checks.require(
                service != nil, [], "an l4 listener needs a service: write service: web")
        case .l7:
            checks.require(
                service != nil || !routes.isEmpty, [],
                "the listener has nowhere to send requests: write service: web or routes")
        }
        checks.require(routes.count <= 1024, ["routes"], "use at most 1024 routes")
        checks.each("routes", routes)
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
        checks.require(!cert.isEmpty, [], "tls needs cert: the path of a PEM certificate chain")
        checks.require(!key.isEmpty, [], "tls needs key: the path of a PEM private key")
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

extension ListenerDefinition.Route: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let host {
            let name = host.hasPrefix("*.") ? host.dropFirst(2) : host[...]
            checks.require(
                IPText.isHost(name), ["match", "host"],
                "\(NameRule.quoted(host)) is not a host: write example.com or *.example.com")
        }
        checks.within(["match"], http)
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
            checks.require(
                HTTPToken.isToken(name), ["headers", .key(name)], "this is not a header name")
            checks.require(
                !["content-length", "transfer-encoding", "connection"]
                    .contains(name.lowercased()), ["headers", .key(name)],
                "the data plane sets this header by itself: leave it out")
            checks.require(
                HTTPToken.isFieldValue(value), ["headers", .key(name)],
                "the value has control characters")
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
