import Foundation
import MeshAdmin
import MeshAdminAPI
import MeshConfig
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry
import MeshWorkers

/// The admin API of a node: reads from what the parts know, changes through store and pipeline.
struct NodeBackend: AdminBackend {
    let configuration: Configuration
    let store: any StateStore
    let identity: IdentityKeeper
    let source: DesiredSource
    let health: HealthMonitor
    let pipeline: Pipeline
    let link: DataPlaneLink
    let board: ProblemBoard
    let registry: MetricsRegistry
    let proxies: ProxyKeeper
    let startedAt = Date()

    func notReadyReason() async -> String? { await pipeline.notReadyReason }

    func status() async throws -> StatusReport {
        let plane = await link.status
        let reason = await pipeline.notReadyReason
        let problems = board.all
        let storeProblem = problems.first { $0.subsystem == ProblemBoard.Part.store.rawValue }
        return StatusReport(
            node: configuration.node.name.text, datacenter: configuration.node.datacenter.text,
            version: Version.text, trustDomain: await identity.authority.trustDomain.text,
            startedAt: startedAt, ready: reason == nil, readyReason: reason,
            generation: plane.generation, builtGeneration: await pipeline.built,
            dataplane: DataPlaneReport(
                connected: plane.welcome != nil, pid: plane.welcome.map { Int($0.pid) },
                engine: plane.welcome?.engine, kernelTls: plane.welcome?.kernelTls,
                version: plane.welcome?.program,
                managed: configuration.dataplane.managed,
                since: plane.welcome.map {
                    Date(timeIntervalSince1970: Double($0.startedAtMilliseconds) / 1000)
                }, abi: plane.welcome.map { Int($0.version) },
                path: DataPlaneKeeper.program(configuration),
                draining: plane.elders.map { elder in
                    DataPlaneReport.Draining(
                        pid: Int(elder.pid), version: elder.program.isEmpty ? nil : elder.program,
                        generation: elder.generation, connections: elder.connections,
                        leftMs: elder.leftMilliseconds)
                }),
            workers: await workers(plane),
            store: StoreReport(
                healthy: storeProblem == nil, index: store.snapshot.index.value,
                error: storeProblem?.message),
            problems: problems, pin: await pinReport())
    }

    private func workers(_ plane: DataPlaneStatus) async -> [WorkerReport] {
        let regions = Dictionary(
            await link.statistics.map { ($0.worker, $0) }
        ) { first, _ in first }
        return plane.workers.map { worker in
            let region = regions[worker.id]
            let counters = region?.counters() ?? WorkerCounters()
            return WorkerReport(
                id: worker.id, pid: Int(worker.pid), state: worker.state.rawValue,
                generation: worker.generation, connections: counters.connectionsOpen,
                upstreamConnections: counters.upstreamOpen,
                requestsActive: counters.requestsActive, accepted: counters.accepted,
                starts: counters.starts,
                heartbeatAgeMs: region?.heartbeatAgeMilliseconds)
        }
    }
}
