import Foundation
import MeshHealth
import MeshModel
import MeshStore
import MeshTelemetry

/// The checks of the node itself, which only Consul's API makes. They are kept with the store; what
/// they say is told to the API's clients, not to the data plane.
actor NodeHealth {
    private static let record = NodeRecord<[CheckDefinition]>(name: "node/checks")
    /// Who has the checks, for the monitor. No service can have an id that is no name of one.
    private static let owner = try? ServiceID("node")

    private let store: any StateStore
    private let monitor: HealthMonitor
    private var checks: [CheckDefinition]

    init(store: any StateStore, prober: any CheckProber, log: Logger) throws {
        self.store = store
        monitor = HealthMonitor(prober: prober, log: log)
        checks = try Self.record.load(store.snapshot) ?? []
    }

    /// Makes the checks until the task is cancelled.
    func run() async {
        await configure()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.monitor.run() }
            group.addTask {
                for await _ in self.monitor.events { await self.tell() }
            }
        }
    }

    private func configure() async {
        guard let owner = Self.owner else { return }
        await monitor.configure(
            checks.map { CheckSpec(id: $0.id ?? "", service: owner, definition: $0) })
    }

    /// Wakes those who wait for the health of anything on this node.
    private func tell() async {
        // A failure of the store is told by the write that follows from it; waiters time out.
        try? await store.write { $0.note(.health, key: "") }
    }

    var reports: [CheckReport] {
        get async { await monitor.reports }
    }

    /// False: there is no such check of the node.
    func report(check id: String, _ result: CheckResult) async throws -> Bool {
        guard checks.contains(where: { $0.id == id }) else { return false }
        try await monitor.reportTTL(check: id, result)
        await tell()
        return true
    }

    func put(_ check: CheckDefinition) async throws {
        try await keep(checks.filter { $0.id != check.id } + [check])
    }

    func remove(_ id: String) async throws -> Bool {
        guard checks.contains(where: { $0.id == id }) else { return false }
        try await keep(checks.filter { $0.id != id })
        return true
    }

    private func keep(_ new: [CheckDefinition]) async throws {
        try await store.write { try Self.record.save(new, &$0) }
        checks = new
        await configure()
        await tell()
    }
}
