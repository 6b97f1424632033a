import CMeshABI

/// What a worker process does at the moment.
package enum WorkerState: String, Sendable, CaseIterable {
    /// Process made; it is loading the live snapshot.
    case starting
    case serving
    /// Finishes what is in flight.
    case draining
    /// Ended; its successor starts at once or after a short pause.
    case dead
    /// Three crashes in ten seconds: no client is sent to it for a while.
    case broken

    init?(_ state: abi_worker_state) {
        switch state {
        case ABI_WORKER_STARTING: self = .starting
        case ABI_WORKER_SERVING: self = .serving
        case ABI_WORKER_DRAINING: self = .draining
        case ABI_WORKER_DEAD: self = .dead
        case ABI_WORKER_BROKEN: self = .broken
        default: return nil
        }
    }
}

/// One worker slot of the data plane.
package struct WorkerStatus: Sendable, Equatable {
    package var id: Int
    /// 0: no process.
    package var pid: UInt32
    package var state: WorkerState
    /// Live in this worker; 0: none.
    package var generation: UInt64
    /// How the process before ended, in words; nil: there was none.
    package var lastExit: String?

    init(_ report: WorkerReport) {
        self.id = report.worker
        self.pid = report.pid
        self.state = report.state
        self.generation = report.generation
        self.lastExit = report.exitStatus == 0 ? nil : Self.describe(report.exitStatus)
    }

    /// A wait status in words.
    private static func describe(_ status: UInt32) -> String {
        let signal = status & 0x7f
        return signal == 0 ? "status \(status >> 8 & 0xff)" : "signal \(signal)"
    }
}
