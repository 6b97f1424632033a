/// Routes the requests for one service by what they look like. First match wins.
package struct ServiceRouter: Hashable, Sendable, Codable {
    package struct Route: Hashable, Sendable, Codable {
        /// nil covers every request.
        package var match: HTTPMatch?
        /// nil sends to the router's own service.
        package var destination: Destination?
        /// Where it was written, while that is known: it is not stored.
        package var location: SourceLocation?

        package init(
            match: HTTPMatch? = nil, destination: Destination? = nil,
            location: SourceLocation? = nil
        ) {
            self.match = match
            self.destination = destination
            self.location = location
        }

        package enum CodingKeys: String, CodingKey {
            case match, destination
        }
    }

    package struct Destination: Hashable, Sendable, Codable {
        /// The router's own service when nil.
        package var service: ServiceName?
        package var serviceSubset: SubsetName?
        /// Replaces the matched prefix, or the whole path after an exact match.
        package var prefixRewrite: String?
        /// A whole request with its retries; nil is none.
        package var requestTimeout: MeshDuration?
        package var idleTimeout: MeshDuration?
        package var numRetries: Int
        package var retryOnConnectFailure: Bool
        package var retryOn: [String]
        package var retryOnStatusCodes: [Int]
        /// The wait for an answer to one try; nil: as long as the whole request.
        package var tryTimeout: MeshDuration?
        /// The pause before the second try after an answer, doubled for each further; nil: 25ms.
        package var retryBackoff: MeshDuration?
        /// The longest pause; nil: ten times the first.
        package var retryBackoffMax: MeshDuration?
        /// Whether methods that are not idempotent are repeated after they were sent.
        package var retryNonIdempotent: Bool?
        /// Bytes of a request's body that are kept for another try; nil: 16384.
        package var retryBodyBytes: Int?
        /// All must admit a request; nil: none. These three are ours, not Consul's.
        package var rateLimits: [RateLimit]?
        /// Bytes of a request's body; nil: no bound.
        package var maxRequestBytes: Int?
        /// Bytes of a request's head; nil: the data plane's bound.
        package var maxHeaderBytes: Int?
        /// Who gets copies besides; nil: nobody. Ours, not Consul's.
        package var mirror: RequestMirror?
        package var requestHeaders: HeaderModifiers?
        package var responseHeaders: HeaderModifiers?

        package init(
            service: ServiceName? = nil, serviceSubset: SubsetName? = nil,
            prefixRewrite: String? = nil, requestTimeout: MeshDuration? = nil,
            idleTimeout: MeshDuration? = nil, numRetries: Int = 0,
            retryOnConnectFailure: Bool = false, retryOn: [String] = [],
            retryOnStatusCodes: [Int] = [], tryTimeout: MeshDuration? = nil,
            retryBackoff: MeshDuration? = nil, retryBackoffMax: MeshDuration? = nil,
            retryNonIdempotent: Bool? = nil, retryBodyBytes: Int? = nil,
            rateLimits: [RateLimit]? = nil, maxRequestBytes: Int? = nil, maxHeaderBytes: Int? = nil,
            mirror: RequestMirror? = nil, requestHeaders: HeaderModifiers? = nil,
            responseHeaders: HeaderModifiers? = nil
        ) {
            self.service = service
            self.serviceSubset = serviceSubset
            self.prefixRewrite = prefixRewrite
            self.requestTimeout = requestTimeout
            self.idleTimeout = idleTimeout
            self.numRetries = numRetries
            self.retryOnConnectFailure = retryOnConnectFailure
            self.retryOn = retryOn
            self.retryOnStatusCodes = retryOnStatusCodes
            self.tryTimeout = tryTimeout
            self.retryBackoff = retryBackoff
            self.retryBackoffMax = retryBackoffMax
            self.retryNonIdempotent = retryNonIdempotent
            self.retryBodyBytes = retryBodyBytes
            self.rateLimits = rateLimits
            self.maxRequestBytes = maxRequestBytes
            self.maxHeaderBytes = maxHeaderBytes
            self.mirror = mirror
            self.requestHeaders = requestHeaders
            self.responseHeaders = responseHeaders
        }

        package enum CodingKeys: String, CodingKey {
            case service
            case serviceSubset = "service_subset"
            case prefixRewrite = "prefix_rewrite"
            case requestTimeout = "request_timeout"
            case idleTimeout = "idle_timeout"
            case numRetries = "num_retries"
            case retryOnConnectFailure = "retry_on_connect_failure"
            case retryOn = "retry_on"
            case retryOnStatusCodes = "retry_on_status_codes"
            case tryTimeout = "try_timeout"
            case retryBackoff = "retry_backoff"
            case retryBackoffMax = "retry_backoff_max"
            case retryNonIdempotent = "retry_non_idempotent"
            case retryBodyBytes = "retry_body_bytes"
            case rateLimits = "rate_limits"
            case maxRequestBytes = "max_request_bytes"
            case maxHeaderBytes = "max_header_bytes"
            case mirror
            case requestHeaders = "request_headers"
            case responseHeaders = "response_headers"
        }
    }

    package var name: ServiceName
    package var routes: [Route]
    package var meta: [String: String]

    package init(name: ServiceName, routes: [Route] = [], meta: [String: String] = [:]) {
        self.name = name
        self.routes = routes
        self.meta = meta
    }
}

/// Changes to a message's headers, made in this order: add, set, remove.
package struct HeaderModifiers: Hashable, Sendable, Codable {
    package var add: [String: String]
    package var set: [String: String]
    package var remove: [String]

    package init(
        add: [String: String] = [:], set: [String: String] = [:], remove: [String] = []
    ) {
        self.add = add
        self.set = set
        self.remove = remove
    }
}

extension HeaderModifiers {
    /// Reports what is wrong with rules for answers, or for requests.
    package func validate(onResponse: Bool, _ checks: inout FieldChecks) {
        for (key, values) in [("add", add), ("set", set)] {
            for (name, value) in values {
                let path = [FieldStep.key(key), .key(name)]
                HTTPToken.checkRuled(name, &checks, path)
                HeaderTemplate.check(value, onResponse: onResponse, &checks, path)
            }
        }
        for (index, name) in remove.enumerated() {
            HTTPToken.checkRuled(name, &checks, ["remove", .index(index)])
        }
    }
}

extension ServiceRouter.Destination {
    private static let retryConditions: Set<String> = [
        "5xx", "gateway-error", "reset", "connect-failure", "envoy-ratelimited", "retriable-4xx",
        "refused-stream", "cancelled", "deadline-exceeded", "internal", "resource-exhausted",
        "unavailable",
    ]

    /// Bytes of a body that may be kept: LIMIT_REPLAY.
    package static let greatestRetryBody = 262_144

    /// Reports every rule that the destination of requests with this path breaks.
    package func validate(path: PathMatch?, _ checks: inout FieldChecks) {
        if let prefixRewrite { validateRewrite(prefixRewrite, path, &checks) }
        checks.require(
            (0...100).contains(numRetries), ["num_retries"], "write a number of 0 to 100")
        for (index, condition) in retryOn.enumerated() {
            checks.require(
                Self.retryConditions.contains(condition), ["retry_on", .index(index)],
                "\(NameRule.quoted(condition)) is not a retry condition: write one of "
                    + Self.retryConditions.sorted().joined(separator: ", "))
        }
        for (index, code) in retryOnStatusCodes.enumerated() {
            checks.require(
                (100...599).contains(code), ["retry_on_status_codes", .index(index)],
                "write a status of 100 to 599")
        }
        validatePauses(&checks)
        if let retryBodyBytes {
            checks.require(
                (0...Self.greatestRetryBody).contains(retryBodyBytes), ["retry_body_bytes"],
                "write a number of bytes, 0 to \(Self.greatestRetryBody)")
        }
        checks.rates(rateLimits ?? [])
        for (key, bytes) in [
            ("max_request_bytes", maxRequestBytes), ("max_header_bytes", maxHeaderBytes),
        ] {
            if let bytes, bytes < 1 {
                checks.fail([.key(key)], "write a number of bytes, 1 or more")
            }
        }
        checks.within(["mirror"], mirror)
        checks.within(["request_headers"]) { requestHeaders?.validate(onResponse: false, &$0) }
        checks.within(["response_headers"]) { responseHeaders?.validate(onResponse: true, &$0) }
    }

    private func validatePauses(_ checks: inout FieldChecks) {
        let longest = MeshDuration.seconds(60)
        if let tryTimeout {
            checks.require(
                tryTimeout >= .milliseconds(1), ["try_timeout"], "write a time of 1ms or more")
        }
        for (key, pause) in [
            ("retry_backoff", retryBackoff), ("retry_backoff_max", retryBackoffMax),
        ] {
            guard let pause else { continue }
            checks.require(
                pause >= .zero && pause <= longest, [.key(key)], "write a time of 0s to 60s")
        }
        if let first = retryBackoff, let most = retryBackoffMax {
            checks.require(
                first <= most, ["retry_backoff_max"], "the longest pause is below the first")
        }
    }

    private func validateRewrite(
        _ rewrite: String, _ path: PathMatch?, _ checks: inout FieldChecks
    ) {
        checks.require(
            rewrite.hasPrefix("/"), ["prefix_rewrite"],
            "\(NameRule.quoted(rewrite)) doesn't start with '/'")
        switch path {
        case .exact, .prefix: break
        case .regex, nil:
            checks.fail(
                ["prefix_rewrite"],
                "cannot make use of PrefixRewrite without configuring either PathExact or "
                    + "PathPrefix")
        }
    }
}

extension ServiceRouter.Route: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let match { checks.within(["match", "http"]) { match.validate(&$0) } }
        checks.within(["destination"]) { destination?.validate(path: match?.path, &$0) }
    }
}

extension ServiceRouter: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(routes.count <= 1024, ["routes"], "use at most 1024 routes")
        checks.each("routes", routes)
    }
}
