import MeshAdminAPI
import MeshAuthz
import MeshConfig
import MeshModel
import MeshRegex
import MeshStore
import MeshTables
import MeshTokens
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

    func whyIntention(_ question: IntentionQuestion) async throws -> ExplainReport {
        let asked = try AskedIntention(question)
        let judge = await source.tokenJudge(asked.request.headers, query: asked.query)
        let matcher = IntentionMatcher(
            store.snapshot.intentions, defaultAction: await source.intentionsDefault,
            regex: { pattern, ignoreCase, text in
                try CompiledRegex.compile(pattern, ignoreCase: ignoreCase).accepts(text.utf8)
            }, token: judge)
        return try asked.report(by: matcher, generation: try await reader().generation)
    }

    /// The word of an overlay slot as the workers see it now.
    private func overlay() -> (UInt32) -> UInt64 {
        let writer = link.overlay
        return { writer.word($0) ?? 0 }
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
            routes.append(
                ListenerReport.Route(
                    host: "*",
                    match: routes.isEmpty ? "every connection" : "every other server name",
                    action: "to \(splits)", rule: listener.name, origin: ""))
        }
        return ListenerReport(
            name: listener.name, address: listener.address, kind: listener.kind,
            tls: listener.tls, role: listener.role, identity: listener.identity, routes: routes,
            settings: Self.report(listener.settings))
    }

    private static func report(_ target: SnapshotDump.Target) -> TargetReport {
        TargetReport(
            name: target.name, service: target.service,
            endpoints: target.endpoints.map { endpoint in
                TargetReport.Endpoint(
                    instance: endpoint.instance, node: endpoint.node, address: endpoint.address,
                    tls: endpoint.tls, healthy: endpoint.healthy, weight: endpoint.weight)
            }, failover: target.failover, proxyProtocol: target.proxyProtocol)
    }

    private static func report(_ settings: ListenerSettings) -> ListenerSettingsReport {
        var report = ListenerSettingsReport(
            sni: settings.passesTLS,
            lines: settings.lines.map { .init(name: $0.name, text: $0.text) })
        report.tls = settings.tls.map {
            .init(
                minVersion: $0.minVersion, maxVersion: $0.maxVersion,
                clientVerify: $0.clientVerify, alpn: $0.alpn, serverNames: $0.serverNames)
        }
        report.proxyProtocol = settings.proxyProtocol.map {
            .init(
                versions: $0.versions, from: $0.from, others: $0.others, timeoutMs: $0.timeoutMs)
        }
        report.forwarded = settings.forwarded.map {
            .init(trust: $0.trust, hops: $0.hops, headers: $0.headers)
        }
        report.trace = settings.trace.map { .init(start: $0.start, sample: $0.sample) }
        report.accessLog = settings.accessLog.map { .init(path: $0.path, sample: $0.sample) }
        return report
    }

    func explain(_ request: ExplainRequest) async throws -> ExplainReport {
        var headers = request.headers.map {
            ExplainedRequest.Header(name: $0.name, value: $0.value)
        }
        if let token = request.token {
            headers.append(.init(name: "Authorization", value: "Bearer \(token)"))
        }
        let asked = ExplainedRequest(
            method: request.method, url: request.url, headers: headers,
            from: request.from, listener: request.listener)
        let desk = await source.tokenDesk
        let told = try Explainer(
            try await reader(), overlay: overlay(), now: MonotonicTime.milliseconds
        ) { desk.verdict(check: $0, token: $1)?.isGood ?? false }.explain(asked)
        let stored = store.snapshot
        let places = RulePlaces(
            listeners: Dictionary(
                configuration.listeners.map { ($0.value.name, $0.origin) }
            ) { first, _ in first },
            inventory: await source.inventory(stored), entry: { stored.configEntry($0) })
        return ExplainReport(
            generation: told.generation,
            phases: told.phases.map { places.completed($0) }.map { phase in
                ExplainReport.Phase(
                    phase: phase.phase.rawValue, verdict: phase.verdict.rawValue,
                    detail: phase.detail, rule: phase.rule, origin: phase.origin)
            }, outcome: told.outcome)
    }
}
