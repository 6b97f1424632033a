import ServiceLifecycle

/// A part of the node as the service group runs it: works until the group shuts down, then tidies
/// up.
struct NodeService: Service {
    let name: String
    /// Works until its task is cancelled.
    let work: @Sendable () async throws -> Void
    /// What is left to do afterwards.
    var finish: @Sendable () async -> Void = {}

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await work() }
        await finish()
    }

    var configuration: ServiceGroupConfiguration.ServiceConfiguration {
        ServiceGroupConfiguration.ServiceConfiguration(
            service: self, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: name)
    }
}
