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
    /// Somebody went back to a generation, and changes wait; nil: what is wanted is published.
    package var pin: PinReport?

    package init(
        node: String, datacenter: String, version: String, trustDomain: String, startedAt: Date,
        ready: Bool, readyReason: String?, generation: UInt64, builtGeneration: UInt64,
        dataplane: DataPlaneReport, workers: [WorkerReport], store: StoreReport,
        problems: [ProblemReport], pin: PinReport? = nil
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
        self.pin = pin
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
    /// When it was started.
    package var since: Date?
    /// Version of the control channel that it speaks.
    package var abi: Int?
    /// Where this control plane would start one from.
    package var path: String?
    /// Data planes of before an upgrade that finish what clients have with them; nil: an answer of
    /// a control plane that knows no upgrades.
    package var draining: [Draining]?

    /// One that drains.
    package struct Draining: Codable, Sendable, Equatable {
        package var pid: Int
        package var version: String?
        /// What its workers run to their end.
        package var generation: UInt64
        package var connections: UInt64
        /// Until what is left is cut, milliseconds.
        package var leftMs: UInt64

        package init(
            pid: Int, version: String?, generation: UInt64, connections: UInt64, leftMs: UInt64
        ) {
            self.pid = pid
            self.version = version
            self.generation = generation
            self.connections = connections
            self.leftMs = leftMs
        }
    }

    package init(
        connected: Bool, pid: Int?, engine: String?, kernelTls: Bool?, version: String?,
        managed: Bool, since: Date? = nil, abi: Int? = nil, path: String? = nil,
        draining: [Draining]? = nil
    ) {
        self.connected = connected
        self.pid = pid
        self.engine = engine
        self.kernelTls = kernelTls
        self.version = version
        self.managed = managed
        self.since = since
        self.abi = abi
        self.path = path
        self.draining = draining
    }
}

/// Body of an upgrade of the data plane.
package struct UpgradeRequest: Codable, Sendable, Equatable {
    /// The program, absolute; nil: the one that this control plane would start.
    package var path: String?

    package init(path: String? = nil) {
        self.path = path
    }
}

/// How an upgrade of the data plane has ended.
package struct UpgradeReport: Codable, Sendable, Equatable {
    package enum Outcome: String, Codable, Sendable {
        /// The new program serves; the one before drains.
        case done
        /// Nothing has changed; `reason`.
        case failed
        /// Not begun, `reason`: worth another try later.
        case busy
    }

    package var outcome: Outcome
    package var path: String
    /// Version text of that program; nil when it did not say.
    package var version: String?
    /// Supervisor of the moment.
    package var pid: Int?
    package var reason: String?
    /// What else is worth knowing.
    package var notes: [String]

    package init(
        outcome: Outcome, path: String, version: String? = nil, pid: Int? = nil,
        reason: String? = nil, notes: [String] = []
    ) {
        self.outcome = outcome
        self.path = path
        self.version = version
        self.pid = pid
        self.reason = reason
        self.notes = notes
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
    /// The part that reports it: `store`, `pipeline`, `dataplane`, `config`, `identity`,
    /// `agent`.
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
