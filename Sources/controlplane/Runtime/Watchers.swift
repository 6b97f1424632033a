import MeshConfig
import MeshModel
import MeshTelemetry
import ServiceLifecycle
import UnixSignals

/// Brings changes of files to the running node: folders of documents, certificates, keys of
/// issuers, and at SIGHUP the configuration itself.
actor Watchers {
    private static let interval: Duration = .seconds(1)

    private let origin: ConfigurationSource
    private let source: DesiredSource
    private let pipeline: Pipeline
    private let logs: LogSystem
    private let board: ProblemBoard
    private let log: Logger
    private var configuration: Configuration
    private var stamps: [FolderStamp] = []

    init(
        origin: ConfigurationSource, configuration: Configuration, source: DesiredSource,
        pipeline: Pipeline, logs: LogSystem, board: ProblemBoard
    ) {
        self.origin = origin
        self.configuration = configuration
        self.source = source
        self.pipeline = pipeline
        self.logs = logs
        self.board = board
        log = logs.logger("config")
        stamps = Self.stamps(configuration)
    }

    private static func stamps(_ configuration: Configuration) -> [FolderStamp] {
        [configuration.servicesDir, configuration.configEntriesDir].map { FolderStamp(of: $0) }
    }

    /// Looks at folders, certificates and keys until the task is cancelled.
    func watch() async {
        let clock = ContinuousClock()
        var pace = LookPace()
        while !Task.isCancelled {
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: Self.interval)
            guard !Task.isCancelled else { return }
            let found = Self.stamps(configuration)
            if found != stamps { await readFolders(found) }
            let begun = clock.now
            guard pace.isDue(now: begun) else { continue }
            if await source.readCertificates() {
                log.info("certificates of listeners have changed")
                await pipeline.invalidate()
            }
            if await source.haveKeyFilesChanged() { await pipeline.invalidate() }
            pace.looked(from: begun, to: clock.now)
        }
    }

    private func readFolders(_ found: [FolderStamp]) async {
        let contents = FolderContents.read(configuration)
        for problem in contents.problems { log.error("\(problem)") }
        do {
            try await source.takeFolders(contents)
            stamps = found
            board.clear(.config, "folders")
            log.info("documents have changed")
            await pipeline.invalidate("documents of the watched folders")
        } catch {
            board.set(.config, "folders", "\(error)")
            log.error("changed documents are not taken", metadata: [LogKey.error: "\(error)"])
            stamps = found
        }
    }

    /// Reads the configuration again at every SIGHUP.
    func followSignals() async {
        for await _ in await UnixSignalsSequence(trapping: .sighup) { await reload() }
    }

    private func reload() async {
        do {
            let (loaded, folders) = try origin.load()
            for warning in loaded.warnings { log.warning("\(warning)") }
            let new = loaded.configuration
            try await source.take(new, folders: folders)
            stamps = Self.stamps(new)
            logs.setFilter(LogFilter(new.log))
            if new.isStartedDifferently(from: configuration) {
                log.warning("changes of node, admin, store, dataplane and mesh wait for a restart")
            }
            configuration = new
            board.clear(.config, "reload")
            log.info("configuration is read again")
            await pipeline.reconfigured()
        } catch {
            board.set(.config, "reload", "the changed configuration is not taken: \(error)")
            log.error(
                "the changed configuration is not taken", metadata: [LogKey.error: "\(error)"])
        }
    }
}

extension Configuration {
    /// Whether something differs that is fixed when a node starts.
    func isStartedDifferently(from other: Configuration) -> Bool {
        node != other.node || admin != other.admin || api != other.api || store != other.store
            || dataplane != other.dataplane || mesh.trustDomain != other.mesh.trustDomain
            || mesh.leafTTL != other.mesh.leafTTL
    }
}

extension LogFilter {
    init(_ log: Configuration.Log) {
        let level = LogLevel(rawValue: log.level.rawValue) ?? .info
        self.init(level: level, subsystems: log.subsystems)
    }
}
