import ServiceLifecycle

/// A part of the node as the service group runs it: works until the group shuts down, then tidies
/// up.
struct NodeService: Service {
    /// Why a service is over.
    enum End: Sendable {
        /// The node was told to end.
        case shutdown
        /// Something failed: the node ends, but nobody wanted it to.
        case failure
    }

    let name: String
    /// Whether `work` ends by itself when the group shuts down; else its task is cancelled then.
    var knowsShutdown = false
    /// Works until its task is cancelled.
    let work: @Sendable () async throws -> Void
    /// What is left to do afterwards.
    var finish: @Sendable (End) async -> Void = { _ in }

    func run() async throws {
        do {
            if knowsShutdown {
                try await work()
            } else {
                try await cancelWhenGracefulShutdown { try await work() }
            }
        } catch {
            await finish(.failure)
            throw error
        }
        // A group that shuts down in good order cancels nobody.
        await finish(Task.isCancelled ? .failure : .shutdown)
    }

    var configuration: ServiceGroupConfiguration.ServiceConfiguration {
        ServiceGroupConfiguration.ServiceConfiguration(
            service: self, successTerminationBehavior: .gracefullyShutdownGroup,
            failureTerminationBehavior: .cancelGroup, serviceName: name)
    }
}
