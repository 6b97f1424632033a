import MeshConfig
import MeshConsul
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore

/// The node, as the Consul-compatible API asks for it.
struct NodeConsulBackend: ConsulBackend {
    let store: any StateStore
    let node: NodeInfo
    let source: DesiredSource
    let health: HealthMonitor
    let nodeHealth: NodeHealth
    let pipeline: Pipeline
    let identity: IdentityKeeper
    let leafTTL: MeshDuration

    // MARK: - instances

    func localInstances(_ selection: CatalogSelection) async -> [LocalInstance] {
        let state = store.snapshot
        let inventory = await source.inventory(state)
        var found: [LocalInstance] = []
        for service in inventory.candidates(selection) where !service.isRemote {
            let record = state.service(service.definition.id)
            let created = record?.createIndex ?? .zero
            let modified = record?.modifyIndex ?? .zero
            let isWanted = selection.covers(service.definition)
            let sidecar = service.sidecar.flatMap { selection.covers($0) ? $0 : nil }
            guard isWanted || sidecar != nil else { continue }
            let reports = await health.reports(of: service.definition.id)
            let checks = CheckViews(service, reports, created, modified)
            var silence: String?
            if let sidecar { silence = await pipeline.silence(of: sidecar.id.text) }
            if isWanted {
                found.append(
                    LocalInstance(
                        service.definition, createIndex: created, modifyIndex: modified,
                        checks: checks.own))
            }
            if let sidecar {
                found.append(
                    LocalInstance(
                        sidecar, parent: service.definition.id, createIndex: created,
                        modifyIndex: modified, checks: checks.sidecar(sidecar, silence)))
            }
        }
        return found
    }

    func settle(_ cause: String) async { _ = await pipeline.settle(cause) }

    // MARK: - identity and policy

    func connectRoots() async throws -> ConnectRoots { await identity.connectRoots }

    func connectLeaf(of service: ServiceName) async throws -> ConnectLeaf {
        try await identity.connectLeaf(of: service)
    }

    func hasLeaf(of service: ServiceName) async throws -> Bool {
        await identity.hasLeaf(of: service)
    }

    func authoritySettings() async -> AuthoritySettings {
        await identity.told ?? AuthoritySettings()
    }

    func configureAuthority(_ settings: AuthoritySettings, key: AuthorityKey?) async throws {
        try await identity.configure(settings, key: key)
        if key != nil { await settle("the mesh's root was set over the API") }
    }

    func intentionsDefault() async -> IntentionAction { await source.intentionsDefault }

    func configEntry(_ document: [UInt8]) throws -> ConfigEntry {
        let read = DocumentLoader.configEntries(document, source: "body")
        let errors = read.problems.filter { $0.severity == .error }
        guard errors.isEmpty, let entry = read.values.first else {
            throw EntryFailure(
                unknownKeys: errors.filter { $0.message.hasPrefix("unknown key") }.map(\.key),
                message: errors.first.map { "\($0.key): \($0.message)" } ?? "no entry")
        }
        return entry.value
    }

    // MARK: - checks

    func report(check id: String, _ status: CheckStatus, _ output: String) async throws {
        let result = CheckResult(status, output)
        if try await nodeHealth.report(check: id, result) { return }
        let report = try await health.reportTTL(check: id, result)
        await pipeline.healthChanged(report.spec.service)
    }

    func nodeChecks() async -> [CatalogCheck] {
        await nodeHealth.reports.map { CatalogCheck($0, Index(1), Index(1)) }
    }

    func putNodeCheck(_ check: CheckDefinition) async throws { try await nodeHealth.put(check) }

    func removeNodeCheck(_ id: String) async throws -> Bool { try await nodeHealth.remove(id) }
}

extension Inventory {
    /// The services among which a selection, or its sidecars, must be.
    fileprivate func candidates(_ selection: CatalogSelection) -> [LocalService] {
        switch selection {
        case .named(let name):
            guard let name = try? ServiceName(name) else { return [] }
            let own = instances(of: name)
            // A name of a proxy's is found with the services that have proxies.
            return own + services.filter { $0.concernsProxies && $0.definition.name != name }
        case .connect(let name):
            guard let name = try? ServiceName(name) else { return [] }
            let own = instances(of: name)
            return own + services.filter { $0.concernsProxies && $0.definition.name != name }
        case .id(let id):
            guard let known = (try? ServiceID(id)).flatMap({ self[$0] }) else {
                return services.filter { $0.sidecar?.id.text == id }
            }
            return [known]
        case .all: return services
        }
    }
}

/// The checks of a service and of its sidecar as the API shows them.
private struct CheckViews {
    let service: LocalService
    let reports: [CheckReport]
    let created: Index
    let modified: Index
    private let sidecarIDs: Set<String>

    init(_ service: LocalService, _ reports: [CheckReport], _ created: Index, _ modified: Index) {
        self.service = service
        self.reports = reports
        self.created = created
        self.modified = modified
        let checks = service.sidecar?.checks ?? []
        let id = service.sidecar?.id ?? service.definition.id.sidecar
        sidecarIDs = Set(
            checks.enumerated().map { index, check in
                check.identifier(service: id, index: index, count: checks.count)
            })
    }

    /// The service's own. A report that there is none of yet is the check's first status.
    var own: [CatalogCheck] {
        let definition = service.definition
        var shown = reports.filter { !sidecarIDs.contains($0.spec.id) }.map {
            CatalogCheck(
                $0, created, modified, of: definition,
                exposedPort: service.exposedPorts[$0.spec.id] ?? 0)
        }
        let known = Set(shown.map(\.id))
        for (index, check) in definition.checks.enumerated() {
            let id = check.identifier(
                service: definition.id, index: index, count: definition.checks.count)
            guard !known.contains(id) else { continue }
            shown.append(
                CatalogCheck(
                    id: id, name: check.name ?? "Service '\(definition.name)' check",
                    status: check.initialStatus, notes: check.notes ?? "",
                    type: check.kind?.rawValue ?? "", createIndex: created,
                    modifyIndex: modified, isProven: false,
                    exposedPort: service.exposedPorts[id] ?? 0))
        }
        return shown
    }

    /// A sidecar's own, else those that every sidecar has: its listener is one of this node's data
    /// plane, and it stands for its service.
    /// `silence`: why its listener takes no connections, if so.
    func sidecar(_ sidecar: ServiceDefinition, _ silence: String?) -> [CatalogCheck] {
        let named = reports.filter { sidecarIDs.contains($0.spec.id) }
        guard named.isEmpty else {
            return named.map { CatalogCheck($0, created, modified, of: sidecar) }
        }
        let behind = own
        let failing = behind.first { $0.status > .warning }
        return [
            CatalogCheck(
                id: "service:\(sidecar.id):1", name: "Connect Sidecar Listening",
                status: silence == nil ? .passing : .critical,
                output: silence ?? "a listener of this node's data plane", type: "tcp",
                createIndex: created, modifyIndex: modified),
            CatalogCheck(
                id: "service:\(sidecar.id):2",
                name: "Connect Sidecar Aliasing \(service.definition.id)",
                status: failing == nil ? .passing : .critical,
                output: failing.map { "Aliased check \"\($0.name)\" failing: \($0.output)" }
                    ?? "All checks passing.", type: "alias", createIndex: created,
                modifyIndex: modified),
        ]
    }
}

extension CatalogCheck {
    fileprivate init(
        _ report: CheckReport, _ created: Index, _ modified: Index,
        of service: ServiceDefinition? = nil, exposedPort: UInt16 = 0
    ) {
        let definition = report.spec.definition
        let isMaintenance = report.spec.id == service?.maintenanceCheckID
        self.init(
            id: report.spec.id,
            name: definition.name ?? service.map { "Service '\($0.name)' check" }
                ?? report.spec.id,
            status: report.status, notes: definition.notes ?? "", output: report.output,
            type: isMaintenance ? "maintenance" : definition.kind?.rawValue ?? "",
            createIndex: created, modifyIndex: modified, isProven: report.isProven,
            exposedPort: exposedPort)
    }
}
