import Foundation
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore

/// What clients of the Consul-compatible API get: roots, and leaves for proxies that are not this
/// node's data plane. Waiting for changes is the store's: topics `roots` and `leaves`.
extension IdentityKeeper {
    /// Leaves that are kept for others; who asks for one more has the one given up that was asked
    /// for longest ago.
    static let lentLimit = 16_384
    /// A leaf that nobody has asked for in this long is not renewed.
    static let lentTime: Duration = .seconds(24 * 3600)

    /// The roots, as they are stored.
    var connectRoots: ConnectRoots {
        let state = store.snapshot
        let indexes = state.rootIndexes
        let index = indexes.values.map(\.modify).max() ?? Index(1)
        return ConnectRoots(authority, indexes: indexes, index: index)
    }

    /// The leaf of a service, which need not be registered: the one in use, or a new one when there
    /// is none, it is due, or another root is active. Throws ``MeshError/Code/rateLimited`` when
    /// too many are asked for.
    func connectLeaf(of service: ServiceName) async throws -> ConnectLeaf {
        let leaf = try await leaf(of: service)
        guard let indexes = store.snapshot.leafIndexes(leaf.id) else {
            throw MeshError(.unavailable, "the certificate of \(service) is not stored")
        }
        return ConnectLeaf(leaf, createIndex: indexes.create, modifyIndex: indexes.modify)
    }

    /// The same as it is held, with its key.
    private func leaf(of service: ServiceName) async throws -> LeafCertificate {
        if held[service] == nil, !(try takeStored(service)) {
            try await signForOthers(service)
        } else if let entry = held[service],
            entry.leaf.rootID != authority.active.id
                || entry.schedule.state(now: Date()) != .fresh(until: entry.schedule.renewal)
        {
            do {
                try await signForOthers(service)
            } catch let error as MeshError where error.code == .rateLimited {
                // The one there is serves on; the next round of renewals has another turn.
                if entry.leaf.notAfter <= Date() { throw error }
            }
        }
        held[service]?.asked = .now
        signal.wake()
        guard let leaf = held[service]?.leaf else {
            throw MeshError(.unavailable, "the certificate of \(service) was given up meanwhile")
        }
        return leaf
    }

    /// Whether there is one already.
    func hasLeaf(of service: ServiceName) -> Bool { held[service] != nil }

    private func signForOthers(_ service: ServiceName) async throws {
        switch budget.take(now: .now) {
        case .now: break
        case .after(let wait): try await Task.sleep(for: wait)
        case .refused:
            throw MeshError(.rateLimited, "rate limit reached, try again later")
        }
        // Somebody else's turn for the same service may have come first.
        if let entry = held[service], entry.leaf.rootID == authority.active.id,
            entry.schedule.state(now: Date()) == .fresh(until: entry.schedule.renewal)
        {
            return
        }
        try await issue(service)
    }

    /// Gives up leaves that neither this node nor anybody else asks for.
    func forgetUnasked() {
        let now = ContinuousClock.now
        held = held.filter { entry in
            entry.value.isLocal || entry.value.asked.map { now - $0 < Self.lentTime } ?? false
        }
        let lent = held.filter { !$0.value.isLocal }
        guard lent.count > Self.lentLimit else { return }
        let oldest = lent.sorted { ($0.value.asked ?? now) < ($1.value.asked ?? now) }
        for (service, _) in oldest.prefix(lent.count - Self.lentLimit) { held[service] = nil }
    }
}
