package import Foundation

/// A node at one moment: what it is, what its workers run, what is wrong.
package struct StatusReport: Codable, Sendable, Equatable {
    package var node: String
    package var datacenter: String
    package var version: String
    package var trustDomain: String
    package var startedAt: Date
    package var ready: Bool
    /// Why it is not ready; nil when it is.
    package var readyReason: String?
    /// The newest generation that every worker runs, or the supervisor has committed; 0 before any.
    package var generation: UInt64
    /// The newest generation that was built.
    package var builtGeneration: UInt64
    package var dataplane: DataPlaneReport
    package var workers: [WorkerReport]
    package var store: StoreReport
    package var problems: [ProblemReport]

    package init(
        node: String, datacenter: String, version: String, trustDomain: String, startedAt: Date,
        ready: Bool, readyReason: String?, generation: UInt64, builtGeneration: UInt64,
        dataplane: DataPlaneReport, workers: [WorkerReport], store: StoreReport,
        problems: [ProblemReport]
    ) {
        self.node = node
        self.datacenter = datacenter
        self.version = version
        self.trustDomain = trustDomain
        self.startedAt = startedAt
        self.ready = ready
        self.readyReason = readyReason
        self.generation = generation
        self.builtGeneration = builtGeneration
        self.dataplane = dataplane
        self.workers = workers
        self.store = store
        self.problems = problems
    }
}

/// The data plane's supervisor as the control plane sees it.
package struct DataPlaneReport: Codable, Sendable, Equatable {
    package var connected: Bool
    package var pid: Int?
    /// `io_uring` or `epoll`.
    package var engine: String?
    /// Whether its kernel can make TLS records; nothing uses that yet.
    package var kernelTls: Bool?
    package var version: String?
    /// Whether this control plane starts and stops it.
    package var managed: Bool

    package init(
        connected: Bool, pid: Int?, engine: String?, kernelTls: Bool?, version: String?,
        managed: Bool
    ) {
        self.connected = connected
        self.pid = pid
        self.engine = engine
        self.kernelTls = kernelTls
        self.version = version
        self.managed = managed
    }
}

/// One worker slot and its process of the moment.
package struct WorkerReport: Codable, Sendable, Equatable {
    package var id: Int
    package var pid: Int
    /// `starting`, `serving`, `draining`, `dead` or `broken`.
    package var state: String
    /// Committed in this worker; 0 = none yet.
    package var generation: UInt64
    /// Open downstream connections.
    package var connections: UInt64
    package var upstreamConnections: UInt64
    package var requestsActive: UInt64
    package var accepted: UInt64
    /// Processes that have served this slot.
    package var starts: UInt64
    /// Milliseconds since the loop last turned.
    package var heartbeatAgeMs: UInt64?

    package init(
        id: Int, pid: Int, state: String, generation: UInt64, connections: UInt64,
        upstreamConnections: UInt64, requestsActive: UInt64, accepted: UInt64, starts: UInt64,
        heartbeatAgeMs: UInt64?
    ) {
        self.id = id
        self.pid = pid
        self.state = state
        self.generation = generation
        self.connections = connections
        self.upstreamConnections = upstreamConnections
        self.requestsActive = requestsActive
        self.accepted = accepted
        self.starts = starts
        self.heartbeatAgeMs = heartbeatAgeMs
    }
}

package struct StoreReport: Codable, Sendable, Equatable {
    package var healthy: Bool
    package var index: UInt64
    package var error: String?

    package init(healthy: Bool, index: UInt64, error: String? = nil) {
        self.healthy = healthy
        self.index = index
        self.error = error
    }
}

/// Something that an operator should know and that has not been mended.
package struct ProblemReport: Codable, Sendable, Equatable {
    package var since: Date
    /// The part that reports it: `store`, `pipeline`, `dataplane`, `config`, `identity`.
    package var subsystem: String
    package var message: String

    package init(since: Date, subsystem: String, message: String) {
        self.since = since
        self.subsystem = subsystem
        self.message = message
    }
}

/// Answer of `/ready` when it is 503, and of `/health`.
package struct HealthReport: Codable, Sendable, Equatable {
    package var status: String
    package var reason: String?

    package init(status: String, reason: String? = nil) {
        self.status = status
        self.reason = reason
    }
}
