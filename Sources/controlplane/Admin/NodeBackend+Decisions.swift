import MeshAdminAPI
import MeshAuthz
import MeshModel
import MeshStore
import MeshTables
import MeshWorkers

/// What the workers run and why they decide as they do, read with their own lookups.
extension NodeBackend {
    func checkIntention(source: String, destination: String) async throws -> IntentionCheckReport {
        let caller = try ServiceName(source)
        let target = try ServiceName(destination)
        let matcher = IntentionMatcher(
            store.snapshot.intentions, defaultAction: await self.source.intentionsDefault,
            regex: { pattern, _, _ in
                throw MeshError(.invalid, "\(pattern) is about requests, not connections")
            })
        let decision = matcher.decide(source: caller, destination: target)
        return IntentionCheckReport(
            source: caller.text, destination: target.text, allowed: decision.verdict == .allow,
            dependsOnRequest: decision.verdict == .dependsOnRequest, reason: decision.reason,
            origin: decision.intention.map { "\($0.origin)" })
    }

    /// The word of an overlay slot as the workers see it now.
    private func overlay() -> (UInt32) -> UInt64 {
        let writer = link.overlay
        return { writer.current($0)?.word ?? 0 }
    }

    private func reader() async throws -> SnapshotReader {
        guard let reader = try await pipeline.snapshotReader() else {
            throw MeshError(.unavailable, "nothing has been published yet: try again in a moment")
        }
        return reader
    }

    func routes() async throws -> RoutesReport {
        let dump = SnapshotDump(try await reader(), overlay: overlay())
        return RoutesReport(
            generation: dump.generation, listeners: dump.listeners.map(Self.report),
            targets: dump.targets.map(Self.report))
    }

    private static func report(_ listener: SnapshotDump.Listener) -> ListenerReport {
        var routes = listener.routes.map { route in
            ListenerReport.Route(
                host: route.hosts.joined(separator: ","), match: route.match,
                action: route.action, rule: route.rule, origin: route.origin)
        }
        if let splits = listener.splits {
            routes = [
                ListenerReport.Route(
                    host: "*", match: "every connection", action: "to \(splits)",
                    rule: listener.name,
                    origin: "")
            ]
        }
        return ListenerReport(
            name: listener.name, address: listener.address, kind: listener.kind,
            tls: listener.tls, role: listener.role, identity: listener.identity, routes: routes)
    }

    private static func report(_ target: SnapshotDump.Target) -> TargetReport {
        TargetReport(
            name: target.name, service: target.service,
            endpoints: target.endpoints.map { endpoint in
                TargetReport.Endpoint(
                    instance: endpoint.instance, node: endpoint.node, address: endpoint.address,
                    tls: endpoint.tls, healthy: endpoint.healthy, weight: endpoint.weight)
            }, failover: target.failover)
    }

    func explain(_ request: ExplainRequest) async throws -> ExplainReport {
        let asked = ExplainedRequest(
            method: request.method, url: request.url,
            headers: request.headers.map { .init(name: $0.name, value: $0.value) },
            from: request.from, listener: request.listener)
        let told = try Explainer(try await reader(), overlay: overlay()).explain(asked)
        return ExplainReport(
            generation: told.generation,
            phases: told.phases.map { phase in
                ExplainReport.Phase(
                    phase: phase.phase.rawValue, verdict: phase.verdict.rawValue,
                    detail: phase.detail, rule: phase.rule, origin: phase.origin)
            }, outcome: told.outcome)
    }
}
