import Foundation
import MeshAdmin
import MeshAdminAPI
import MeshAuthz
import MeshConsul
import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshRegex
import MeshSidecar
import MeshTelemetry

/// The admin API of a sidecar: what the node knows of its data plane, and what the agent has told.
/// The mesh is changed at the agent, not here.
struct SidecarBackend: AdminBackend {
    let node: NodeBackend
    let mirror: AgentMirror
    let subject: String

    // MARK: - the data plane, as of any node

    func notReadyReason() async -> String? {
        guard let reason = await node.notReadyReason() else { return nil }
        if await mirror.view != nil { return reason }
        return await mirror.problems.first
            ?? "the agent at \(subject) has not told enough to serve yet"
    }
    func metrics() async -> [MetricFamily] { await node.metrics() }
    func routes() async throws -> RoutesReport { try await node.routes() }
    func stats() async throws -> StatsReport { try await node.stats() }
    func generations() async throws -> GenerationsReport { try await node.generations() }
    func generationDiff(from: UInt64?, to: UInt64?) async throws -> GenerationDiffReport {
        try await node.generationDiff(from: from, to: to)
    }
    func explain(_ request: ExplainRequest) async throws -> ExplainReport {
        try await node.explain(request)
    }
    func rollBack(to generation: UInt64) async throws -> ChangeReport {
        try await node.rollBack(to: generation)
    }
    func resumeGenerations() async throws -> ChangeReport { try await node.resumeGenerations() }
    func reopenLogs() async throws { try await node.reopenLogs() }
    func upgradeDataPlane(_ request: UpgradeRequest) async throws -> UpgradeReport {
        try await node.upgradeDataPlane(request)
    }

    // MARK: - what the agent has told

    private func view() async throws -> MeshView {
        guard let view = await mirror.view else {
            throw MeshError(
                .unavailable, await notReadyReason() ?? "the agent has not told anything yet")
        }
        return view
    }

    func status() async throws -> StatusReport {
        var report = try await node.status()
        let view = await mirror.view
        report.datacenter = view?.datacenter.text ?? ""
        report.trustDomain = view?.roots.trustDomain.text ?? ""
        let reason = await notReadyReason()
        report.ready = reason == nil
        report.readyReason = reason
        return report
    }

    /// The service behind the sidecar, and those that it calls.
    func services() async throws -> [ServiceReport] {
        let view = try await view()
        let own = ServiceReport(
            name: view.service.text, protocol: view.serviceProtocol.rawValue, instances: 1,
            passing: 1, warning: 0, critical: 0, tags: view.registration.definition.tags,
            sidecar: true)
        var called: [ServiceName: ServiceReport] = [:]
        for (name, chain, endpoints) in Self.targets(view) where name != view.service {
            called[name] = ServiceReport(
                name: name.text, protocol: chain.rawValue,
                instances: (called[name]?.instances ?? 0) + endpoints.count,
                passing: (called[name]?.passing ?? 0) + endpoints.count, warning: 0, critical: 0,
                tags: [], sidecar: true)
        }
        return ([own] + called.values).sorted { $0.name < $1.name }
    }

    private static func targets(
        _ view: MeshView
    ) -> [(ServiceName, ServiceProtocol, [MeshEndpoint])] {
        view.knownWays.flatMap { way in
            way.chain.targets.sorted { $0.key < $1.key }.map {
                ($0.value.service, way.chain.serviceProtocol, way.endpoints[$0.key] ?? [])
            }
        }
    }

    func instances(service: String?) async throws -> [InstanceReport] {
        let wanted = try service.map { try ServiceName($0) }
        var seen: Set<String> = []
        return Self.targets(try await view()).flatMap { name, _, endpoints in
            endpoints.compactMap { endpoint -> InstanceReport? in
                guard wanted == nil || wanted == name,
                    seen.insert("\(endpoint.node)/\(endpoint.instance)").inserted
                else { return nil }
                let address =
                    endpoint.socketPath.map { "unix:\($0)" }
                    ?? HostPort(host: endpoint.host, port: endpoint.port).description
                return InstanceReport(
                    id: endpoint.instance, service: name.text, node: endpoint.node,
                    address: address, status: "passing", sidecar: address, tags: [], meta: [:],
                    checks: [], origin: "agent \(subject)")
            }
        }
    }

    /// Of one that the sidecar calls: the agent knows the others.
    func chain(service: String, datacenter: String?) async throws -> [UInt8] {
        let view = try await view()
        let name = try ServiceName(service)
        let wanted = try datacenter.map { try DatacenterName($0) }
        let chains = view.knownWays.map(\.chain)
        guard
            let chain = chains.first(where: {
                $0.service == name && (wanted == nil || $0.datacenter == wanted)
            })
        else {
            throw MeshError(
                .notFound,
                "the sidecar does not call \(service): ask the agent at \(subject) for its chain")
        }
        return chain.document(in: view.roots.trustDomain).bytes(pretty: true)
    }

    func checks() async throws -> [CheckStateReport] { [] }

    func intentions() async throws -> [IntentionReport] {
        try await view().intentions.map { intention in
            let (action, permissions) =
                switch intention.effect {
                case .action(let action): (action.rawValue, 0)
                case .permissions(let list): ("permissions", list.count)
                }
            return IntentionReport(
                source: "\(intention.source)", destination: "\(intention.destination)",
                action: action, permissions: permissions, precedence: intention.precedence,
                description: intention.description, origin: "agent \(subject)")
        }
    }

    func checkIntention(source: String, destination: String) async throws -> IntentionCheckReport {
        let view = try await view()
        let (caller, target) = (try ServiceName(source), try ServiceName(destination))
        try known(target, view)
        let matcher = IntentionMatcher(
            view.intentions, defaultAction: view.intentionsDefault,
            regex: { pattern, _, _ in
                throw MeshError(.invalid, "\(pattern) is about requests, not connections")
            })
        let decision = matcher.decide(source: caller, destination: target)
        return IntentionCheckReport(
            source: caller.text, destination: target.text, allowed: decision.verdict == .allow,
            dependsOnRequest: decision.verdict == .dependsOnRequest, reason: decision.reason,
            origin: decision.intention == nil ? nil : "agent \(subject)")
    }

    /// What asks for a token has been made a denial when the agent told it.
    func whyIntention(_ question: IntentionQuestion) async throws -> ExplainReport {
        let view = try await view()
        let asked = try AskedIntention(question)
        try known(asked.destination, view)
        let matcher = IntentionMatcher(
            view.intentions, defaultAction: view.intentionsDefault,
            regex: { pattern, ignoreCase, text in
                try CompiledRegex.compile(pattern, ignoreCase: ignoreCase).accepts(text.utf8)
            })
        return try asked.report(by: matcher, generation: await node.pipeline.built)
    }

    private func known(_ target: ServiceName, _ view: MeshView) throws {
        guard target == view.service else {
            throw MeshError(
                .notFound,
                "this sidecar knows the intentions towards \(view.service) only: ask the agent at "
                    + subject)
        }
    }

    /// The one sidecar that the node is.
    func proxies() async throws -> [ProxyReport] {
        let definition = try await view().registration.definition
        return [
            ProxyReport(
                id: definition.id.text,
                service: definition.proxy?.destinationServiceName?.text ?? "", kind: "sidecar",
                address: node.place(of: definition),
                upstreams: (definition.proxy?.upstreams ?? []).map { "\($0.destinationName)" },
                state: await node.pipeline.silence(of: definition.id.text) ?? "serving",
                process: nil, origin: "agent \(subject)")
        ]
    }

    func proxyLog(
        id: String, errors: Bool, from: UInt64?, bytes: Int
    ) async throws -> ProxyLogReport {
        throw MeshError(
            .invalid,
            "the sidecar is no process of its own: what concerns it is in the log of the node")
    }

    func certificates() async throws -> [CertificateReport] {
        let leaf = try await view().leaf
        return [
            CertificateReport(
                service: leaf.id.service.text, uri: leaf.id.uri, serial: leaf.serialText,
                notBefore: leaf.notBefore, notAfter: leaf.notAfter, renewAt: leaf.notAfter)
        ]
    }

    func roots() async throws -> [RootReport] {
        try await view().roots.roots.map { root in
            RootReport(
                id: root.id, name: root.name, active: root.isActive,
                notBefore: root.certificate.notBefore, notAfter: root.certificate.notAfter,
                pem: root.certificate.pem)
        }
    }

    func authority() async throws -> AuthorityReport {
        let view = try await view()
        return AuthorityReport(
            provider: "agent \(subject)", trustDomain: view.roots.trustDomain.text,
            leafTtlSeconds: Int(view.leaf.notAfter.timeIntervalSince(view.leaf.notBefore)),
            roots: view.roots.roots.map { root in
                AuthorityReport.Root(
                    id: root.id, active: root.isActive, notBefore: root.certificate.notBefore,
                    notAfter: root.certificate.notAfter, rotatedOutAt: nil, crossSigned: 0,
                    leaves: root.isActive ? 1 : 0)
            })
    }

    // MARK: - changes

    private func elsewhere() -> MeshError {
        MeshError(
            .conflict,
            "this is a sidecar of the Consul agent at \(subject): the mesh is changed there")
    }

    func registerService(document: [UInt8]) async throws -> ChangeReport { throw elsewhere() }
    func deregisterService(id: String) async throws -> ChangeReport { throw elsewhere() }
    func deregisterService(document: [UInt8]) async throws -> ChangeReport { throw elsewhere() }
    func reportCheck(id: String, _ update: CheckUpdate) async throws -> CheckStateReport {
        throw elsewhere()
    }
    func createIntention(_ request: IntentionRequest) async throws -> ChangeReport {
        throw elsewhere()
    }
    func deleteIntention(source: String, destination: String) async throws -> ChangeReport {
        throw elsewhere()
    }
    func rotateRoot() async throws -> ChangeReport { throw elsewhere() }
}
