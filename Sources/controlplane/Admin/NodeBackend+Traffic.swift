import MeshAdminAPI
import MeshModel
import MeshTables
import MeshTelemetry
import MeshWorkers

/// What the workers count, and what they run.
extension NodeBackend {
    func reopenLogs() async throws { try await link.reopenLogs() }

    func upgradeDataPlane(_ request: UpgradeRequest) async throws -> UpgradeReport {
        try await DataPlaneUpgrader(configuration: configuration, link: link)
            .upgrade(request)
    }

    func metrics() async -> [MetricFamily] {
        let own = registry.collect()
        // A snapshot that cannot be opened is told by /status; the rest is still worth reading.
        let counters = (try? await counters()) ?? TrafficCounters([], retired: [], nil)
        let plane = await link.status
        return own + Self.dataplane(plane.welcome)
            + TrafficMetrics.families(counters, generation: plane.generation)
    }

    /// What the data plane is; nothing while there is none.
    private static func dataplane(_ welcome: DataPlaneWelcome?) -> [MetricFamily] {
        guard let welcome else { return [] }
        return [
            MetricFamily(
                name: "ringmesh_dataplane_info",
                help: "The data plane's program, and how its workers wait for the network.",
                kind: .gauge,
                samples: [
                    MetricSample(
                        .number(1),
                        labels: ["engine": welcome.engine, "version": welcome.program])
                ])
        ]
    }

    private func counters() async throws -> TrafficCounters {
        TrafficCounters(
            await link.statistics, retired: await link.retiredStatistics,
            try await pipeline.snapshotReader())
    }

    func stats() async throws -> StatsReport {
        let counters = try await counters()
        return StatsReport(
            listeners: counters.listeners.map { name, listener in
                StatsReport.Listener(
                    name: name,
                    counters: Self.dictionary(
                        listener.named.map { ($0.name, $0.value) }
                            + listener.byClass.map { ("responses_\($0.name)", $0.value) }),
                    outcomes: Self.dictionary(listener.byOutcome),
                    latency: listener.latency.report)
            },
            targets: counters.targets.map { target in
                StatsReport.Target(
                    name: target.name,
                    counters: Self.dictionary(
                        target.counters.named.map { ($0.name, $0.value) }
                            + target.counters.byClass.map { ("responses_\($0.name)", $0.value) }),
                    latency: target.counters.latency.report)
            },
            workers: counters.workers.map { worker in
                StatsReport.Worker(
                    id: worker.id,
                    counters: Self.dictionary(worker.counters.named.map { ($0.name, $0.value) }))
            },
            ways: Way.reported(counters.ways).map { way in
                StatsReport.Way(
                    kind: way.kind.rawValue, owner: way.owner, name: way.name, place: way.place,
                    counters: Self.dictionary(way.counters.named),
                    latency: way.counters.latency.report)
            })
    }

    private static func dictionary(_ pairs: [(name: String, value: UInt64)]) -> [String: UInt64] {
        Dictionary(pairs.map { ($0.name, $0.value) }) { first, _ in first }
    }
}
