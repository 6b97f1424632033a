/// A claim on keys of the key/value store that ends with what it depends on: its node, checks and
/// a time to live.
package struct Session: Hashable, Sendable, Codable {
    /// What happens to the keys that a session holds when it ends.
    package enum Behavior: String, Sendable, Codable, CaseIterable {
        /// They stay, held by nobody.
        case release
        /// They are deleted.
        case delete
    }

    /// A UUID.
    package var id: String
    package var name: String
    package var node: String
    /// How long nobody gets a key after the session that held it ended by force.
    package var lockDelay: MeshDuration
    package var behavior: Behavior
    /// The time to live as it was written; empty means that time does not end the session.
    package var ttl: String
    /// Checks of the node, and of its services, that end the session when they turn critical.
    package var nodeChecks: [String]
    package var serviceChecks: [String]

    package init(
        id: String, name: String = "", node: String, lockDelay: MeshDuration? = nil,
        behavior: Behavior = .release, ttl: String = "", nodeChecks: [String] = [],
        serviceChecks: [String] = []
    ) {
        self.id = id
        self.name = name
        self.node = node
        self.lockDelay = min(
            lockDelay ?? SessionLimits.defaultLockDelay, SessionLimits.maxLockDelay)
        self.behavior = behavior
        self.ttl = ttl
        self.nodeChecks = nodeChecks
        self.serviceChecks = serviceChecks
    }

    /// How long the session lives without being renewed, at least; nil means for ever.
    package var timeToLive: MeshDuration? {
        guard !ttl.isEmpty, let span = try? MeshDuration(ttl), span > .zero else { return nil }
        return span
    }
}

/// Bounds of sessions, Consul's.
package enum SessionLimits {
    package static let minTTL = MeshDuration.seconds(10)
    package static let maxTTL = MeshDuration.seconds(86_400)
    package static let defaultLockDelay = MeshDuration.seconds(15)
    package static let maxLockDelay = MeshDuration.seconds(60)
    /// A session ends when it was not renewed for this many times its time to live, so that a
    /// holder whose renewal is late by less than that keeps what it holds.
    package static let graceFactor: Int64 = 2
}
