import CMeshABI

extension RoutePlan {
    /// Further tries that the data plane makes at most.
    package static let greatestRetries = LIMIT_RETRIES
}

extension TrafficPlan {
    /// Statuses that one route may list.
    package static let greatestRetryCodes = Int(LIMIT_RETRY_CODES)
}
