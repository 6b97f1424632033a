import MeshAdminAPI
import MeshWorkers

/// Where the pipeline takes the desired state of the node from.
protocol DesiredStates: Sendable {
    /// The state as it is now; `change` and `number` relate it to the one gathered before.
    func gather() async -> DesiredState
}

/// What the pipeline publishes through.
protocol SnapshotPublisher: Sendable {
    /// Health and weights of endpoints.
    var overlay: OverlayWriter { get }
    /// Every worker as it was last heard of.
    var workers: [WorkerStatus] { get async }

    /// Publishes a generation and waits until it is live in every worker, or is known not to be.
    func publish(_ files: DataPlaneLink.Files) async -> PublishOutcome
    /// Whether no worker may use `generation` or an older one any more.
    func isReleased(through generation: UInt64) async -> Bool
}

extension DesiredSource: DesiredStates {}

extension DataPlaneLink: SnapshotPublisher {
    var workers: [WorkerStatus] { status.workers }
}

extension Pipeline {
    /// How long it takes until something is tried again.
    struct Pauses: Sendable {
        var refused: Duration = .seconds(5)
        var unknown: Duration = .seconds(1)
        /// Listeners without an address, from one try in vain to the next; it doubles in between.
        var silent: Duration = .seconds(5)
        var mostSilent: Duration = .seconds(60)
    }

    /// Who wants to know what became of a change.
    struct Waiter {
        var change: UInt64
        /// Asked for the pinned generation itself: told what became of that.
        var isPin: Bool
        var continuation: CheckedContinuation<ChangeReport, Never>
    }
}
