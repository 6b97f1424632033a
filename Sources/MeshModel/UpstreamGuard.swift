/// Ceilings towards one upstream, of the whole node; nil and 0 are unlimited.
package struct UpstreamLimits: Hashable, Sendable, Codable {
    package var maxConnections: Int?
    package var maxPendingRequests: Int?
    package var maxConcurrentRequests: Int?
    /// Second tries under way. Ours, not Consul's.
    package var maxRetries: Int?

    package init(
        maxConnections: Int? = nil, maxPendingRequests: Int? = nil,
        maxConcurrentRequests: Int? = nil, maxRetries: Int? = nil
    ) {
        self.maxConnections = maxConnections
        self.maxPendingRequests = maxPendingRequests
        self.maxConcurrentRequests = maxConcurrentRequests
        self.maxRetries = maxRetries
    }

    package enum CodingKeys: String, CodingKey {
        case maxConnections = "max_connections"
        case maxPendingRequests = "max_pending_requests"
        case maxConcurrentRequests = "max_concurrent_requests"
        case maxRetries = "max_retries"
    }
}

/// When an instance that fails is left out for a while.
package struct PassiveHealthCheck: Hashable, Sendable, Codable {
    /// So long without being left out, and one earlier time is forgiven.
    package var interval: MeshDuration?
    package var maxFailures: Int?
    /// Failures in a row where the instance may not have worked. Ours, not Consul's.
    package var maxGatewayFailures: Int?
    package var enforcingConsecutive5xx: Int?
    package var maxEjectionPercent: Int?
    package var baseEjectionTime: MeshDuration?
    /// Ours, not Consul's.
    package var maxEjectionTime: MeshDuration?

    package init(
        interval: MeshDuration? = nil, maxFailures: Int? = nil, maxGatewayFailures: Int? = nil,
        enforcingConsecutive5xx: Int? = nil, maxEjectionPercent: Int? = nil,
        baseEjectionTime: MeshDuration? = nil, maxEjectionTime: MeshDuration? = nil
    ) {
        self.interval = interval
        self.maxFailures = maxFailures
        self.maxGatewayFailures = maxGatewayFailures
        self.enforcingConsecutive5xx = enforcingConsecutive5xx
        self.maxEjectionPercent = maxEjectionPercent
        self.baseEjectionTime = baseEjectionTime
        self.maxEjectionTime = maxEjectionTime
    }

    package enum CodingKeys: String, CodingKey {
        case interval
        case maxFailures = "max_failures"
        case maxGatewayFailures = "max_gateway_failures"
        case enforcingConsecutive5xx = "enforcing_consecutive_5xx"
        case maxEjectionPercent = "max_ejection_percent"
        case baseEjectionTime = "base_ejection_time"
        case maxEjectionTime = "max_ejection_time"
    }
}

extension UpstreamLimits: Validated {
    package func validate(_ checks: inout FieldChecks) {
        for (key, value) in [
            ("max_connections", maxConnections), ("max_pending_requests", maxPendingRequests),
            ("max_concurrent_requests", maxConcurrentRequests), ("max_retries", maxRetries),
        ] {
            if let value, !(0...1_000_000).contains(value) {
                checks.fail([.key(key)], "write a limit of 0 to 1000000")
            }
        }
    }
}

extension PassiveHealthCheck: Validated {
    package func validate(_ checks: inout FieldChecks) {
        for (key, value) in [
            ("enforcing_consecutive_5xx", enforcingConsecutive5xx),
            ("max_ejection_percent", maxEjectionPercent),
        ] {
            if let value, !(0...100).contains(value) {
                checks.fail([.key(key)], "write a percentage of 0 to 100")
            }
        }
        for (key, value) in [
            ("max_failures", maxFailures), ("max_gateway_failures", maxGatewayFailures),
        ] {
            if let value, !(0...1_000_000).contains(value) {
                checks.fail([.key(key)], "write a number of 0 to 1000000")
            }
        }
        for (key, value) in [
            ("interval", interval), ("base_ejection_time", baseEjectionTime),
            ("max_ejection_time", maxEjectionTime),
        ] {
            if let value, value < .milliseconds(1) || value > .hours(24) {
                checks.fail([.key(key)], "write a time of 1ms to 24h")
            }
        }
        if let base = baseEjectionTime, let most = maxEjectionTime, base > most {
            checks.fail(["max_ejection_time"], "the longest time is below the first")
        }
    }
}
