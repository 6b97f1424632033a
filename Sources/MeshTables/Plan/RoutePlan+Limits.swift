import CMeshABI

extension RoutePlan {
    /// Further tries that the data plane makes at most.
    package static let greatestRetries = LIMIT_RETRIES
}

extension TrafficPlan {
    /// Statuses that one route may list.
    package static let greatestRetryCodes = Int(LIMIT_RETRY_CODES)
    /// Bytes of a body that may be kept for another try, and that are where a route does not say.
    package static let greatestReplay = UInt32(LIMIT_REPLAY)
    package static let standardReplay = UInt32(LIMIT_REPLAY_DEFAULT)
}
