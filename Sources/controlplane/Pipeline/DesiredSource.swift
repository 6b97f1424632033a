import MeshAuthz
import MeshConfig
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry

/// Gathers the desired state of the node: configuration and folders, the store, identities, names.
actor DesiredSource {
    private let store: any StateStore
    private let identity: IdentityKeeper
    private let board: ProblemBoard
    private let log: Logger
    private let names: HostNames
    private let tokens: TokenKeeper
    private var configuration: Configuration
    private var folders: FolderContents
    private var certificates: [String: ListenerCertificate] = [:]
    /// Lists of revoked certificates of the mesh, DER, one behind the other.
    private var revoked: [UInt8] = []
    private var certificateReader = ListenerCertificates()
    private var gatewayFiles = GatewayFiles()
    private var gatewayCache = CertificateCache()
    private var ports: SidecarPorts
    private var kept = KeptObjects()
    /// The services that are others than those of the last gathering; nil: all may be.
    private var changed: InventoryChange?
    /// Of the state that was gathered last.
    private var number: UInt64 = 0
    /// How long the inventory was worked on for others since the last gathering.
    private var ahead = Duration.zero

    init(
        store: any StateStore, identity: IdentityKeeper, configuration: Configuration,
        folders: FolderContents, names: HostNames, tokens: TokenKeeper, board: ProblemBoard,
        log: Logger
    ) throws {
        self.store = store
        self.identity = identity
        self.configuration = configuration
        self.folders = folders
        self.names = names
        self.tokens = tokens
        self.board = board
        self.log = log
        ports = SidecarPorts(try NodeRecord.sidecarPorts.load(store.snapshot) ?? [:])
    }

    /// Takes another configuration: the objects in it, not what was fixed at the start.
    func take(_ new: Configuration, folders: FolderContents) async throws {
        let layer = try Self.layer(new, folders)
        // Without its lists the mesh would let in whom they name.
        let lists = try new.mesh.revocations.map { try CertificateFiles.revocations($0) } ?? []
        try await store.write { $0.setFileLayer(layer) }
        revoked = lists
        configuration = new
        kept.forget()
        self.folders = folders
        readCertificates()
    }

    /// Reads the folders again; what is faulty stays as it was.
    func takeFolders(_ found: FolderContents) async throws {
        board.replace(.config, kind: "folder", found.problems.map(\.description))
        let merged = found.keeping(folders)
        let layer = try Self.layer(configuration, merged)
        try await store.write { $0.setFileLayer(layer) }
        folders = merged
    }

    private static func layer(
        _ configuration: Configuration, _ folders: FolderContents
    ) throws -> FileLayer {
        try FileLayer(
            services: (configuration.services + folders.services).map {
                ($0.value.over(configuration.managedProxies.defaults), $0.origin)
            },
            entries: (configuration.configEntries + folders.entries).map { ($0.value, $0.origin) })
    }

    /// Reads certificate files again; says whether any is another one now.
    @discardableResult
    func readCertificates() -> Bool {
        let found = certificateReader.load(configuration.listeners)
        board.replace(
            .config, kind: "certificate", certificateReader.problems.map(\.description))
        // Files that are half replaced at this moment: the certificate of before goes on.
        let merged = found.merging(
            certificates.filter { name, _ in
                configuration.listeners.contains { $0.value.name == name && $0.value.tls != nil }
            }
        ) { new, _ in new }
        let before = (certificates, gatewayFiles, revoked)
        readRevocations()
        certificates = merged
        readGatewayFiles()
        return before != (certificates, gatewayFiles, revoked)
    }

    /// Whether a file with an issuer's keys holds something else than when it was taken.
    func haveKeyFilesChanged() async -> Bool { await tokens.haveFilesChanged() }

    /// A list that cannot be read leaves the one before in force.
    private func readRevocations() {
        guard let path = configuration.mesh.revocations else { return }
        do {
            revoked = try CertificateFiles.revocations(path)
            board.clear(.config, "mesh.crl")
        } catch {
            board.set(.config, "mesh.crl", "mesh.crl: \(error); the lists of before go on")
        }
    }

    /// Reads the files that the entries of this node's gateways name.
    private func readGatewayFiles() {
        let own = Set(kept.inventory.gateways.map(\.name))
        let entries =
            own.isEmpty
            ? []
            : kept.entries.map(\.entry).filter { entry in
                switch entry {
                case .ingressGateway(let gateway): own.contains(gateway.name)
                case .terminatingGateway(let gateway): own.contains(gateway.name)
                default: false
                }
            }
        gatewayFiles = GatewayFiles.read(entries, &gatewayCache)
    }

    /// Everything that the next snapshot follows from, and what of it has changed since the last
    /// time: for one caller.
    func gather() async -> DesiredState {
        let stored = store.snapshot
        reportVirtualAddresses(stored)
        await renew(stored)
        // What is looked at from here on is of one moment.
        let (inventory, change, ahead) = (kept.inventory, changed, ahead)
        let (intentions, entries) = (kept.intentions, kept.entries)
        let virtual = kept.virtualAddresses
        changed = InventoryChange()
        self.ahead = .zero
        number += 1
        let number = number
        let listeners = configuration.listeners.map { ($0.value, $0.origin) }
        let written = entries.map(\.entry)
        let services = DesiredState.identities(
            inventory: inventory, listeners: listeners.map(\.0), entries: written)
        readGatewayFiles()
        var materials = await identity.materials(
            for: services,
            names: GatewayLinks.serverNames(
                written, inventory, in: configuration.node.datacenter))
        materials.trust += revoked
        return DesiredState(
            number: number, settings: settings, inventory: inventory, change: change,
            entries: entries,
            intentions: intentions, listeners: listeners, mesh: materials,
            certificates: certificates, addresses: await names.addresses(of: inventory),
            virtualAddresses: virtual, queries: kept.queries, gatewayFiles: gatewayFiles,
            ahead: ahead,
            tokenProviders: await tokens.take(entries, intentions))
    }

    private func reportVirtualAddresses(_ stored: StoreState) {
        let without = stored.withoutVirtualAddress
        guard without > 0 else { return board.clear(.store, "virtual addresses") }
        board.set(
            .store, "virtual addresses",
            "\(without) services of the mesh have no virtual address: \(VirtualAddress.most) are "
                + "the limit")
    }

    private var settings: DesiredState.Settings {
        DesiredState.Settings(
            node: configuration.node, congestion: configuration.dataplane.tcpCongestion,
            accessLog: configuration.accessLog, tracing: configuration.tracing,
            intentionsDefault: configuration.mesh.intentionsDefault,
            leafTTL: configuration.mesh.leafTTL)
    }

    /// Who judges tokens.
    var tokenDesk: TokenDesk { tokens.desk }

    /// Whether a request with these fields has the tokens that are asked for.
    func tokenJudge(
        _ headers: [RequestFacts.Field], query: String
    ) async -> IntentionMatcher.TokenTest {
        await tokens.judge(headers, query: query)
    }

    /// What holds where no intention covers a call.
    var intentionsDefault: IntentionAction { configuration.mesh.intentionsDefault }

    /// The services of the node, their sidecars expanded.
    func inventory(_ stored: StoreState) async -> Inventory {
        let begun = ContinuousClock.now
        await renew(stored)
        ahead += ContinuousClock.now - begun
        return kept.inventory
    }

    /// Brings the inventory up to date.
    private func renew(_ stored: StoreState) async {
        let before = ports
        if let change = kept.take(stored, ports: ports) {
            changed?.formUnion(change)
        } else {
            let local = stored.unorderedServices
            let nodes = stored.allCatalogNodes
            // There are many, and mostly nobody speaks for other nodes.
            let records = nodes.isEmpty ? local : local + RemoteServices.records(nodes)
            let owners = local.filter(\.wantsSidecar)
            ports.exposing = ExposeDefaults(stored.plainEntries.lazy.map(\.entry))
            let wanting = [
                SidecarPorts.Wanted(
                    ids: Inventory.withoutPort(owners), range: configuration.mesh.sidecarPorts),
                SidecarPorts.Wanted(
                    ids: Inventory.withoutPort(owners, managed: true),
                    range: configuration.managedProxies.ports),
                SidecarPorts.Wanted(
                    ids: Inventory.exposedChecks(local, ports.exposing),
                    range: configuration.mesh.exposePorts),
            ]
            _ = ports.assign(
                wanting, taken: wanting.allSatisfy(\.ids.isEmpty) ? [] : taken(local),
                isFree: FreePorts.isFree)
            kept.take(
                records, of: stored, ports: ports,
                nodes: nodes.map {
                    RemoteServices.info($0.value, datacenter: configuration.node.datacenter)
                })
            changed = nil
        }
        if ports.ports != before.ports { await keepPorts() }
    }

    private func keepPorts() async {
        let plain = ports.plain
        do {
            try await store.write { try NodeRecord.sidecarPorts.save(plain, &$0) }
            board.clear(.store, "sidecar ports")
        } catch {
            log.error("sidecar ports are not stored", metadata: [LogKey.error: "\(error)"])
            board.set(.store, "sidecar ports", "ports of sidecars are not stored: \(error)")
        }
    }

    /// The ports that something on this node claims by itself.
    private func taken(_ records: [ServiceRecord]) -> Set<UInt16> {
        var taken = Set(configuration.listeners.map(\.value.bindAddr.port))
        taken.formUnion(
            [configuration.admin.bindAddr, configuration.api.bindAddr].compactMap { $0?.port })
        for record in records { taken.formUnion(LocalService.claims(record.definition)) }
        return taken
    }
}
