import MeshModel
package import MeshStore

/// Ends sessions whose checks turn critical, or whose node is gone.
package struct SessionGuard: Sendable {
    private let store: any StateStore
    private let facts: any SessionFacts

    package init(store: any StateStore, facts: any SessionFacts) {
        self.store = store
        self.facts = facts
    }

    /// Runs until the task is cancelled.
    package func run() async {
        let watch = Watch([.health, .nodes, .services, .sessions])
        for await _ in store.changes(on: watch) { await look() }
    }

    /// Looks once at every session.
    package func look() async {
        var lost: [String] = []
        let byNode = Dictionary(grouping: store.snapshot.sessions().map(\.value), by: \.node)
        for (node, sessions) in byNode {
            let checks = Set(sessions.flatMap { $0.nodeChecks + $0.serviceChecks })
            let found = await facts.checks(checks, node: node)
            lost += sessions.filter { Self.isLost($0, found) }.map(\.id)
        }
        guard !lost.isEmpty else { return }
        let ids = lost.sorted()
        // When the store cannot be written, the next change is looked at again.
        try? await store.write { draft in
            for id in ids { draft.endSession(id, now: .now) }
        }
    }

    /// A check that has not run since the process started speaks against nobody: the session was
    /// held when it last ran.
    private static func isLost(_ session: Session, _ found: [String: SessionCheck]?) -> Bool {
        guard let found else { return true }
        return (session.nodeChecks + session.serviceChecks).contains { id in
            guard let check = found[id] else { return true }
            return check.isProven && check.status == .critical
        }
    }
}
