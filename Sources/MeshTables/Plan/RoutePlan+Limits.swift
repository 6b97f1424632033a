import CMeshABI

extension RoutePlan {
    /// Further tries that the data plane makes at most.
    package static let greatestRetries = LIMIT_RETRIES
}
