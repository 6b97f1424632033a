import MeshHealth
import MeshModel
import MeshStore
import MeshTelemetry

/// Brings what checks find to the workers, and takes out services that stay critical.
struct HealthBridge: Sendable {
    let health: HealthMonitor
    let pipeline: Pipeline
    let store: any StateStore
    let log: Logger

    /// Runs until the monitor ends.
    func run() async {
        for await event in health.events {
            switch event {
            case .changed(let service):
                await pipeline.healthChanged(service)
                await tell(service)
            case .expired(let service, let check): await remove(service, check)
            }
        }
    }

    /// Wakes those who wait for the health of the service, or of those that it is a proxy for.
    private func tell(_ service: ServiceID) async {
        guard let definition = store.snapshot.service(service)?.definition else { return }
        let sidecar = definition.connect.sidecarService
        let names = [
            definition.name.folded, definition.proxy?.destinationServiceName?.folded,
            sidecar.map { $0.name?.folded ?? "\(definition.name.folded)-sidecar-proxy" },
        ].compactMap { $0 }
        // A failure of the store is told by the write that follows from it; waiters time out.
        try? await store.write { draft in
            for name in names { draft.note(.health, key: name) }
        }
    }

    private func remove(_ service: ServiceID, _ check: String) async {
        do {
            try await store.write { try $0.removeService(service) }
            log.warning(
                "deregistered a service that stayed critical",
                metadata: [LogKey.service: "\(service)", "check": "\(check)"])
            await pipeline.invalidate("service \(service) removed: it stayed critical")
        } catch {
            log.error(
                "a service that stays critical is not deregistered",
                metadata: [LogKey.service: "\(service)", LogKey.error: "\(error)"])
        }
    }
}

extension Pipeline {
    /// Tells the monitor what there is to check.
    nonisolated func configure(_ state: DesiredState) async {
        if let change = state.change {
            let specs = change.services.flatMap { state.inventory[$0]?.checks ?? [] }
            await health.configure(specs, of: change.services)
        } else {
            let before = state.inventory.reachesFar ? health.standings.all : [:]
            await health.configure(pieces: state.inventory.checks)
            guard state.inventory.reachesFar else { return }
            // What is said of far instances has no event of its own.
            let after = health.standings.all
            for id in Set(before.keys).union(after.keys)
            where before[id] != after[id] && state.inventory[id]?.isRemote == true {
                await healthChanged(id)
            }
        }
    }
}
