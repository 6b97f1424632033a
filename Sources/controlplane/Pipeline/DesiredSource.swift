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
    private var configuration: Configuration
    private var folders: FolderContents
    private var certificates: [String: ListenerCertificate] = [:]
    private var certificateReader = ListenerCertificates()
    private var ports: SidecarPorts
    /// Made anew only when services, or intentions, have changed.
    private var cachedInventory: (index: Index, value: Inventory)?
    private var cachedIntentions: (index: Index, value: [Intention])?

    init(
        store: any StateStore, identity: IdentityKeeper, configuration: Configuration,
        folders: FolderContents, names: HostNames, board: ProblemBoard, log: Logger
    ) throws {
        self.store = store
        self.identity = identity
        self.configuration = configuration
        self.folders = folders
        self.names = names
        self.board = board
        self.log = log
        ports = SidecarPorts(try NodeRecord.sidecarPorts.load(store.snapshot) ?? [:])
    }

    /// Takes another configuration: the objects in it, not what was fixed at the start.
    func take(_ new: Configuration, folders: FolderContents) async throws {
        let layer = try Self.layer(new, folders)
        try await store.write { $0.setFileLayer(layer) }
        configuration = new
        cachedInventory = nil
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
            services: (configuration.services + folders.services).map { ($0.value, $0.origin) },
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
        defer { certificates = merged }
        return merged != certificates
    }

    /// Everything that the next snapshot follows from.
    func gather() async -> DesiredState {
        let stored = store.snapshot
        let inventory = await inventory(stored)
        let listeners = configuration.listeners.map { ($0.value, $0.origin) }
        let services = DesiredState.identities(
            inventory: inventory, listeners: listeners.map(\.0))
        let materials = await identity.materials(for: services)
        return DesiredState(
            settings: settings, inventory: inventory, entries: entries(stored),
            intentions: intentions(stored), listeners: listeners, mesh: materials,
            certificates: certificates, addresses: await names.addresses(of: inventory))
    }

    private var settings: DesiredState.Settings {
        DesiredState.Settings(
            node: configuration.node, congestion: configuration.dataplane.tcpCongestion,
            accessLog: configuration.accessLog,
            intentionsDefault: configuration.mesh.intentionsDefault,
            leafTTL: configuration.mesh.leafTTL)
    }

    /// What holds where no intention covers a call.
    var intentionsDefault: IntentionAction { configuration.mesh.intentionsDefault }

    /// The services of the node, their sidecars expanded.
    func inventory(_ stored: StoreState) async -> Inventory {
        let index = store.index(of: Watch(.services))
        if let (known, value) = cachedInventory, known == index, stored.index >= index {
            return value
        }
        let records = stored.services
        let before = ports
        _ = ports.assign(
            Inventory.withoutPort(records), range: configuration.mesh.sidecarPorts,
            taken: taken(records))
        if ports != before { await keepPorts() }
        let inventory = Inventory(records, ports: ports)
        cachedInventory = stored.index >= index ? (index, inventory) : nil
        return inventory
    }

    /// The entries that the compiler looks at. Intentions stand for themselves.
    private func entries(_ stored: StoreState) -> [ConfigEntryRecord] {
        ConfigEntry.Kind.allCases.filter { $0 != .serviceIntentions }.flatMap {
            stored.configEntries(kind: $0.rawValue)
        }
    }

    private func intentions(_ stored: StoreState) -> [Intention] {
        let index = store.index(of: Watch(.intentions))
        if let (known, value) = cachedIntentions, known == index, stored.index >= index {
            return value
        }
        let value = stored.intentions
        cachedIntentions = stored.index >= index ? (index, value) : nil
        return value
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
        for definition in records.map(\.definition) {
            taken.insert(definition.port)
            let sidecar = definition.connect.sidecarService
            taken.formUnion([sidecar?.port].compactMap { $0 })
            let upstreams = sidecar?.proxy.upstreams ?? definition.proxy?.upstreams ?? []
            taken.formUnion(upstreams.map(\.localBindPort))
        }
        return taken
    }
}
