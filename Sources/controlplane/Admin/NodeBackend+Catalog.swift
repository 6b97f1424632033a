import MeshAdminAPI
import MeshConfig
import MeshDiscovery
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore

/// Services, intentions and certificates, and changes to them.
extension NodeBackend {
    func services() async throws -> [ServiceReport] {
        let state = store.snapshot
        let inventory = await source.inventory(state)
        let overlay = HealthOverlay(await health.reports)
        let entries = ChainEntries(
            [ConfigEntry.Kind.serviceDefaults, .proxyDefaults].flatMap {
                state.configEntries(kind: $0.rawValue).map(\.entry)
            })
        let groups = Dictionary(grouping: inventory.instances) { $0.definition.name }
        return groups.sorted { $0.key < $1.key }.map { name, instances in
            let statuses = instances.map { overlay[$0.definition.id].status }
            return ServiceReport(
                name: name.text, protocol: entries.serviceProtocol(of: name).rawValue,
                instances: instances.count, passing: statuses.count { $0 == .passing },
                warning: statuses.count { $0 == .warning },
                critical: statuses.count { $0 > .warning },
                tags: Set(instances.flatMap(\.definition.tags)).sorted(),
                sidecar: instances.contains { inventory.proxy(of: $0.definition) != nil })
        }
    }

    func instances(service: String?) async throws -> [InstanceReport] {
        let wanted = try service.map { try ServiceName($0) }
        let inventory = await source.inventory(store.snapshot)
        let reports = await health.reports
        let overlay = HealthOverlay(reports)
        let found = wanted.map { inventory.instances(of: $0) } ?? inventory.instances
        if let wanted, found.isEmpty {
            throw MeshError(.notFound, "there is no service \(wanted)")
        }
        return found.map { instance in
            let definition = instance.definition
            let proxy = inventory.proxy(of: definition)
            return InstanceReport(
                id: definition.id.text, service: definition.name.text,
                node: (inventory.node(of: instance) ?? configuration.node).name.text,
                address: address(of: definition),
                status: overlay[definition.id].status.rawValue,
                sidecar: proxy.map { address(of: $0) }, tags: definition.tags,
                meta: definition.meta,
                checks: reports.filter { $0.spec.service == definition.id }.map(Self.check),
                origin: "\(instance.origin)")
        }
    }

    private func address(of definition: ServiceDefinition) -> String {
        if let path = definition.socketPath { return "unix:\(path)" }
        let host = definition.address.isEmpty ? configuration.node.address : definition.address
        return HostPort(host: host, port: definition.port).description
    }

    private static func check(_ report: CheckReport) -> InstanceReport.Check {
        let definition = report.spec.definition
        return InstanceReport.Check(
            id: report.spec.id, name: definition.name ?? report.spec.id,
            kind: definition.kind?.rawValue ?? "", status: report.status.rawValue,
            output: report.output)
    }

    func intentions() async throws -> [IntentionReport] {
        store.snapshot.intentions.map { intention in
            let (action, permissions) =
                switch intention.effect {
                case .action(let action): (action.rawValue, 0)
                case .permissions(let list): ("permissions", list.count)
                }
            return IntentionReport(
                source: "\(intention.source)", destination: "\(intention.destination)",
                action: action, permissions: permissions, precedence: intention.precedence,
                description: intention.description, origin: "\(intention.origin)")
        }
    }

    // MARK: - certificates

    func certificates() async throws -> [CertificateReport] {
        await identity.leaves.map { leaf, renewal in
            CertificateReport(
                service: leaf.id.service.text, uri: leaf.id.uri, serial: leaf.serialText,
                notBefore: leaf.notBefore, notAfter: leaf.notAfter, renewAt: renewal)
        }
    }

    func roots() async throws -> [RootReport] {
        let authority = await identity.authority
        return authority.roots.map { root in
            RootReport(
                id: root.id, name: AuthorityRoot.name, active: root.id == authority.active.id,
                notBefore: root.notBefore, notAfter: root.notAfter,
                pem: PEM.certificates([root.certificateDER]))
        }
    }

    // MARK: - changes

    func registerService(document: [UInt8]) async throws -> ChangeReport {
        let definition = try Self.service(document)
        guard definition.connect.managedProxy == nil else {
            throw MeshError(
                .invalid,
                "\(ManagedProxy.disallowed) Write the service in the configuration file or in "
                    + "services_dir.")
        }
        return try await change("service \(definition.name) registered over the API") {
            try $0.putService(definition)
        }
    }

    private static func service(_ document: [UInt8]) throws -> ServiceDefinition {
        do {
            return try DocumentLoader.services(document, source: "request body").single()
        } catch let problems as ConfigProblems {
            throw MeshError(.invalid, "\(problems)")
        }
    }

    func deregisterService(document: [UInt8]) async throws -> ChangeReport {
        let id = try Self.service(document).id
        return try await change("service \(id) deregistered over the API") {
            try $0.removeService(id)
        }
    }

    func deregisterService(id: String) async throws -> ChangeReport {
        let id = try ServiceID(id)
        return try await change("service \(id) deregistered over the API") {
            try $0.removeService(id)
        }
    }

    func createIntention(_ request: IntentionRequest) async throws -> ChangeReport {
        guard let action = IntentionAction(rawValue: request.action) else {
            throw MeshError(.invalid, "\(request.action.debugDescription) is not allow or deny")
        }
        let intention = Intention(
            source: try NamePattern(request.source),
            destination: try NamePattern(request.destination), effect: .action(action),
            description: request.description ?? "")
        let replace = request.replace ?? false
        let pair = "\(intention.source) to \(intention.destination)"
        return try await change("intention \(pair): \(action.rawValue)") {
            try $0.putIntention(intention, replace: replace)
        }
    }

    func deleteIntention(source: String, destination: String) async throws -> ChangeReport {
        let key = IntentionKey(
            source: try NamePattern(source), destination: try NamePattern(destination))
        return try await change("intention \(key.source) to \(key.destination) removed") {
            try $0.removeIntention(key)
        }
    }

    /// Stores a change and sees it through to the workers.
    private func change(
        _ cause: String, _ body: @escaping @Sendable (inout StoreDraft) throws -> Void
    ) async throws -> ChangeReport {
        do {
            try await store.write(body)
        } catch let error as MeshError where Self.isTrouble(error.code) {
            board.set(.store, "write", "a change was not stored: \(error)")
            throw error
        }
        board.clear(.store, "write")
        return await pipeline.settle(cause)
    }

    /// Whether an error speaks of the store rather than of the change.
    private static func isTrouble(_ code: MeshError.Code) -> Bool {
        [.diskFull, .locked, .system, .unavailable, .corrupt].contains(code)
    }
}
