import Foundation
import MeshAdmin
import MeshClient
import MeshConfig
import MeshConsul
import MeshHTTP
import MeshHealth
import MeshIdentity
import MeshModel
import MeshProcess
import MeshSidecar
import MeshStore
import MeshTelemetry
import MeshWorkers
import ServiceLifecycle
import UnixSignals

/// A node from start to end: its parts, in the order in which they start.
struct Node: Sendable {
    private let origin: ConfigurationSource
    private let configuration: Configuration
    private let folders: FolderContents
    private let logs: LogSystem
    /// nil: a node of our own mesh.
    private let sidecar: SidecarRole?
    private let board = ProblemBoard()
    private let registry = MetricsRegistry()

    /// Runs a node until SIGTERM or SIGINT; `ready` is told once when every worker serves.
    static func run(
        _ origin: ConfigurationSource, sidecar: SidecarRole? = nil,
        ready: (@Sendable (Configuration) async -> Void)? = nil
    ) async throws {
        let (loaded, folders) = try origin.load()
        let configuration = loaded.configuration
        let logs = LogSystem(filter: LogFilter(configuration.log))
        logs.bootstrap()
        let log = logs.logger("node")
        for warning in loaded.warnings + folders.problems { log.warning("\(warning)") }
        let node = Node(
            origin: origin, configuration: configuration, folders: folders, logs: logs,
            sidecar: sidecar)
        try await node.run(ready: ready)
    }

    private func run(ready: (@Sendable (Configuration) async -> Void)?) async throws {
        let process = try DataPlaneKeeper.process(configuration)
        let store = try await openStore()
        do {
            try await serve(store, process, ready)
        } catch {
            // The first error is the one to tell.
            try? await store.close()
            throw error
        }
        try await store.close()
        logs.logger("node").info("ended")
    }

    // MARK: - state

    private func openStore() async throws -> SQLiteStore {
        let store = configuration.store
        try Self.makeFolder(of: store.keyFile, "store.key_file")
        try Self.makeFolder(of: store.path, "store.path")
        try Self.makeFolder(of: configuration.dataplane.controlSocket, "dataplane.control_socket")
        var generator = SystemRandomNumberGenerator()
        let key = try SecretKeyFile.loadOrCreate(path: store.keyFile, using: &generator)
        return try await SQLiteStore.open(path: store.path, key: key)
    }

    private static func makeFolder(of path: String, _ key: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        guard !folder.isEmpty, !FileManager.default.fileExists(atPath: folder) else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw MeshError(folder: folder, of: key, cause: error)
        }
    }

    /// Who this installation is to its data plane: made with the database, kept as long as it.
    private static func installation(_ store: any StateStore) throws -> InstallationID {
        guard let id = UUID(uuidString: store.snapshot.installationID) else {
            throw MeshError(.corrupt, "the store's installation id is not one: restore a backup")
        }
        let bytes = withUnsafeBytes(of: id.uuid) { Array($0) }
        guard let installation = InstallationID(bytes: bytes) else {
            throw MeshError(.corrupt, "the store's installation id is empty: restore a backup")
        }
        return installation
    }

    // MARK: - life

    private func serve(
        _ store: SQLiteStore, _ process: DataPlaneProcess,
        _ ready: (@Sendable (Configuration) async -> Void)?
    ) async throws {
        let identity = try await IdentityKeeper.open(
            store: store, configuration: configuration, board: board, log: logs.logger("identity"))
        await identity.keepTickets()
        let names = HostNames()
        let issuers = try tokenKeeper(store)
        let source = try DesiredSource(
            store: store, identity: identity, configuration: configuration, folders: folders,
            names: names, tokens: issuers, board: board, log: logs.logger("pipeline"))
        try await source.take(configuration, folders: folders)
        let http = OutboundHTTP()
        let health = HealthMonitor(prober: NetworkProber(http: http), log: logs.logger("health"))
        let link = try link(store, issuers.desk)
        let archive = try GenerationArchive(store: store, board: board)
        let agent = sidecar.map {
            AgentParts($0, own: source, configuration, board: board, log: logs.logger("agent"))
        }
        let states: any DesiredStates = agent?.states ?? source
        let pipeline = try pipeline(link, states, health, archive, issuers.desk, store)
        let keeper = DataPlaneKeeper(
            process: process, isManaged: configuration.dataplane.managed, link: link,
            pipeline: pipeline, board: board, log: logs.logger("dataplane"))
        let (proxies, proxyTokens) = managed(store, source)
        let backend = NodeBackend(
            configuration: configuration, store: store, identity: identity, source: source,
            health: health, pipeline: pipeline, link: link, board: board, registry: registry,
            proxies: proxies)
        let nodeHealth = try NodeHealth(
            store: store, prober: NetworkProber(http: http), log: logs.logger("health"))
        let consul = NodeConsulBackend(
            store: store, node: configuration.node, source: source, health: health,
            nodeHealth: nodeHealth, pipeline: pipeline, identity: identity,
            leafTTL: configuration.mesh.leafTTL)
        let api =
            agent == nil
            ? try consulServers(
                consul, try await ConsulAccess.open(configuration, store), proxyTokens) : []
        let admin: any AdminBackend = agent?.backend(backend) ?? backend
        try await run(
            tracing(link) + [
                dataPlane(keeper),
                archiving(archive),
                publishing(pipeline, agent),
                NodeService(name: "identity") {
                    await identity.run { await pipeline.invalidate() }
                },
                NodeService(name: "node health") { await nodeHealth.run() },
                NodeService(name: "prepared queries") { await Self.follow(store, pipeline) },
                NodeService(name: "tokens") {
                    await issuers.run(http) { await pipeline.invalidate() }
                },
                NodeService(name: "names") { await names.run { await pipeline.invalidate() } },
            ] + healthServices(health, http, pipeline, store) + watcherServices(source, pipeline)
                + adminServers(admin) + api
                + (try agent?.services(pipeline) ?? managedProxies(proxies))
                + readiness(pipeline, ready) + serviceManager(pipeline))
    }

    private func tokenKeeper(_ store: SQLiteStore) throws -> TokenKeeper {
        try TokenKeeper(store: store, board: board, registry: registry, log: logs.logger("tokens"))
    }

    private func link(_ store: SQLiteStore, _ desk: TokenDesk) throws -> DataPlaneLink {
        DataPlaneLink(
            path: configuration.dataplane.controlSocket,
            installation: try Self.installation(store),
            judge: { desk.answer(check: $0, token: $1) }, log: logs.logger("dataplane"))
    }

    private func pipeline(
        _ link: DataPlaneLink, _ source: any DesiredStates, _ health: HealthMonitor,
        _ archive: GenerationArchive, _ desk: TokenDesk, _ store: SQLiteStore
    ) throws -> Pipeline {
        try Pipeline(
            publisher: link, source: source, health: health,
            generations: try GenerationKeeper(store: store, board: board), board: board,
            metrics: PipelineMetrics(registry), pins: PinKeeper(store: store), archive: archive,
            kept: try GenerationArchive.load(store), tokens: desk, log: logs.logger("pipeline"))
    }

    private func publishing(_ pipeline: Pipeline, _ agent: AgentParts?) -> NodeService {
        NodeService(name: "pipeline") {
            // What an adopted data plane runs stays until there is something better.
            await agent?.mirror.waitForView()
            await pipeline.run()
        }
    }

    private func archiving(_ archive: GenerationArchive) -> NodeService {
        NodeService(name: "generations") {
            await archive.run()
        } finish: { _ in
            await archive.flush()
        }
    }

    /// The proxies that the node starts, and those who have their tokens.
    private func managed(
        _ store: SQLiteStore, _ source: DesiredSource
    ) -> (keeper: ProxyKeeper, tokens: ProxyTokens) {
        let tokens = ProxyTokens(store: store)
        let keeper = ProxyKeeper(
            configuration, store: store, source: source, tokens: tokens, board: board,
            log: logs.logger("proxies"))
        return (keeper, tokens)
    }

    /// First of all, so that it ends last: what workers did in the end is sent too.
    private func tracing(_ link: DataPlaneLink) -> [NodeService] {
        let exporter = SpanExporter(
            configuration.tracing, node: configuration.node, version: Version.text,
            link: link, registry: registry, log: logs.logger("tracing"))
        guard let exporter else { return [] }
        return [
            NodeService(name: "tracing") {
                await exporter.run()
            } finish: { _ in
                await exporter.finish()
            }
        ]
    }

    /// Upstreams may lead to prepared queries.
    private static func follow(_ store: any StateStore, _ pipeline: Pipeline) async {
        let watch = Watch(.preparedQueries)
        for await _ in store.changes(on: watch, after: store.index(of: watch)) {
            await pipeline.invalidate("prepared queries changed")
        }
    }

    private func serviceManager(_ pipeline: Pipeline) -> [NodeService] {
        guard let manager = ServiceManager(log: logs.logger("lifecycle")) else { return [] }
        return [
            NodeService(name: "service manager") {
                await manager.run { await pipeline.notReadyReason }
            } finish: { _ in
                manager.stopping()
            }
        ]
    }

    private func healthServices(
        _ health: HealthMonitor, _ http: OutboundHTTP, _ pipeline: Pipeline, _ store: SQLiteStore
    ) -> [NodeService] {
        let bridge = HealthBridge(
            health: health, pipeline: pipeline, store: store, log: logs.logger("health"))
        let listening = ListeningBridge(news: pipeline.listening, store: store)
        return [
            NodeService(name: "health") {
                await health.run()
            } finish: { _ in
                // Nobody asks any more; what is left of connections goes with the process.
                try? await http.shutdown()
            },
            NodeService(name: "health events") { await bridge.run() },
            NodeService(name: "listening") { await listening.run() },
        ]
    }

    private func watcherServices(_ source: DesiredSource, _ pipeline: Pipeline) -> [NodeService] {
        let watchers = Watchers(
            origin: origin, configuration: configuration, source: source, pipeline: pipeline,
            logs: logs, board: board)
        return [
            NodeService(name: "watchers") { await watchers.watch() },
            NodeService(name: "signals") { await watchers.followSignals() },
        ]
    }

    private func readiness(
        _ pipeline: Pipeline, _ ready: (@Sendable (Configuration) async -> Void)?
    ) -> [NodeService] {
        guard let ready else { return [] }
        return [
            NodeService(name: "ready") { [configuration] in
                await pipeline.waitUntilReady()
                await ready(configuration)
                // The service lives as long as the node: its end would end the node.
                await WakeSignal().wait()
            }
        ]
    }

    private func dataPlane(_ keeper: DataPlaneKeeper) -> NodeService {
        let limit = configuration.dataplane.drainTimeout.duration + .seconds(5)
        return NodeService(name: "data plane") {
            try await keeper.run()
        } finish: { end in
            await keeper.stop(end, within: limit)
        }
    }

    /// Behind the API, which they ask: so they end before it.
    private func managedProxies(_ proxies: ProxyKeeper) -> [NodeService] {
        [
            NodeService(name: "managed proxies") {
                await proxies.run()
            } finish: { end in
                await proxies.finish(end)
            }
        ]
    }

    private func adminServers(_ backend: any AdminBackend) throws -> [NodeService] {
        let log = logs.logger("admin")
        let token = try configuration.admin.tokenFile.map { path in
            try String(contentsOfFile: path, encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        var services: [NodeService] = []
        if let path = configuration.admin.socket {
            let server = AdminServer(.unix(path: path), backend: backend, token: token, logger: log)
            services.append(
                NodeService(name: "admin socket") {
                    try await Self.listening(on: "admin.socket \(path)") { try await server.run() }
                })
        }
        if let address = configuration.admin.bindAddr {
            let host = address.host.isEmpty ? "::" : address.host
            let server = AdminServer(
                .tcp(host: host, port: Int(address.port)), backend: backend, token: token,
                logger: log)
            services.append(
                NodeService(name: "admin port") {
                    try await Self.listening(on: "admin.bind_addr \(address)") {
                        try await server.run()
                    }
                })
        }
        return services
    }

    private func consulServers(
        _ backend: NodeConsulBackend, _ control: ConsulAccess, _ tokens: ProxyTokens
    ) throws -> [NodeService] {
        let sessions = SessionKeeper(store: backend.store)
        let instances = CatalogInstances(backend: backend)
        let groups = ConsulGroups(
            configuration: configuration, backend: backend, control: control,
            sessions: sessions, instances: instances, proxies: tokens,
            log: logs.logger("consul"))
        let guarding = SessionGuard(store: backend.store, facts: instances)
        let names = NameServer(
            configuration: configuration, store: backend.store, source: instances,
            access: control.policy, log: logs.logger("dns"))
        return [
            NodeService(name: "sessions") { await sessions.run() },
            NodeService(name: "checks of sessions") { await guarding.run() },
        ] + [try names.service()].compactMap { $0 }
            + (try groups.servers()).map { name, server in
                NodeService(name: name) {
                    try await Self.listening(on: name) { try await server.run() }
                }
            }
    }

    /// Names the address in what a server throws.
    private static func listening(
        on address: String, _ serve: () async throws -> Void
    ) async throws {
        do {
            try await serve()
        } catch let error as MeshError {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch {
            throw MeshError(.system, "\(address) cannot be served", cause: error)
        }
    }

    private func run(_ services: [NodeService]) async throws {
        var group = ServiceGroupConfiguration(
            services: services.map(\.configuration),
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logs.logger("lifecycle"))
        let limit = configuration.server.gracefulShutdownTimeout
        if limit > .zero { group.maximumGracefulShutdownDuration = limit.duration }
        try await ServiceGroup(configuration: group).run()
    }
}
