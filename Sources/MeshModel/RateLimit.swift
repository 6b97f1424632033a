/// How many requests are taken: a bucket of tokens, filled steadily. Ours, not Consul's.
package struct RateLimit: Hashable, Sendable, Codable {
    /// Whose requests share a bucket.
    package enum Sharing: String, Sendable, Codable, CaseIterable {
        case all
        /// The address of the client.
        case client
        /// The service that the caller proved to be.
        case identity
        case connection
    }

    package static let greatestBurst = 100_000
    package static let lowest = 1.0 / 86400

    package var requestsPerSecond: Double
    /// Requests that may come at once; nil: as many as come in a second, at least one.
    package var requestsMaxBurst: Int?
    package var sharing: Sharing

    package init(
        requestsPerSecond: Double, requestsMaxBurst: Int? = nil, sharing: Sharing = .all
    ) {
        self.requestsPerSecond = requestsPerSecond
        self.requestsMaxBurst = requestsMaxBurst
        self.sharing = sharing
    }

    package enum CodingKeys: String, CodingKey {
        case requestsPerSecond = "requests_per_second"
        case requestsMaxBurst = "requests_max_burst"
        case sharing = "by"
    }
}

extension RateLimit: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            requestsPerSecond >= Self.lowest * 0.999 && requestsPerSecond <= 1_000_000,
            ["requests_per_second"], "write a rate of one a day (0.0000116) to 1000000 a second")
        if let burst = requestsMaxBurst {
            checks.require(
                (1...Self.greatestBurst).contains(burst), ["requests_max_burst"],
                "write a number of 1 to \(Self.greatestBurst)")
        }
    }
}

extension FieldChecks {
    /// The rates that one route is asked against.
    package mutating func rates(_ limits: [RateLimit]) {
        require(limits.count <= 4, ["rate_limits"], "use at most 4 rates")
        each("rate_limits", limits)
    }
}
