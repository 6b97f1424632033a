import Foundation
import MeshConfig
import MeshModel
import MeshProcess
import MeshTelemetry
import MeshWorkers
import Synchronization

/// Sees to it that there is a data plane, if it is this installation's to start, and that the
/// pipeline knows what happens with it.
struct DataPlaneKeeper: Sendable {
    let process: DataPlaneProcess
    let isManaged: Bool
    let link: DataPlaneLink
    let pipeline: Pipeline
    let board: ProblemBoard
    let log: Logger
    private let start = StartMemory()

    init(
        process: DataPlaneProcess, isManaged: Bool, link: DataPlaneLink, pipeline: Pipeline,
        board: ProblemBoard, log: Logger
    ) {
        self.process = process
        self.isManaged = isManaged
        self.link = link
        self.pipeline = pipeline
        self.board = board
        self.log = log
    }

    /// The program beside this one, unless the configuration names another.
    static func process(_ configuration: Configuration) throws -> DataPlaneProcess {
        let program = Self.program(configuration)
        if configuration.dataplane.managed, access(program, X_OK) != 0 {
            throw MeshError(
                .system,
                "there is no data plane at \(program): set dataplane.path, or dataplane.managed to "
                    + "false when a service manager starts it")
        }
        var options = DataPlaneProcess.Options(
            program: program, controlSocket: configuration.dataplane.controlSocket)
        options.workers = configuration.dataplane.workers
        options.cpus = configuration.dataplane.cpus.isEmpty ? nil : configuration.dataplane.cpus
        options.engine = configuration.dataplane.engine.rawValue
        options.drainTimeout = configuration.dataplane.drainTimeout.duration
        options.logLevel = configuration.log.level.rawValue
        options.logFile = configuration.dataplane.logFile
        return DataPlaneProcess(options)
    }

    /// Where data planes of this node are started from.
    static func program(_ configuration: Configuration) -> String {
        configuration.dataplane.path ?? Self.beside()
    }

    private static func beside() -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        return (own.map { ($0 as NSString).deletingLastPathComponent } ?? ".") + "/dataplane"
    }

    /// Runs until the task is cancelled. Throws when a data plane cannot even be started once.
    func run() async throws {
        if isManaged {
            let found = try await process.ensureRunning()
            start.remember(found)
            log.info(found == .adopted ? "found a running data plane" : "started the data plane")
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await link.run() }
            group.addTask { await follow() }
            if isManaged { group.addTask { await restart() } }
        }
    }

    private func follow() async {
        for await event in link.events {
            if case .unlinked(let reason) = event {
                board.set(.dataplane, "link", "the data plane is lost: \(reason)")
            }
            if case .linked(let welcome, _) = event {
                board.clear(.dataplane, "link")
                compareEngine(welcome)
            }
            if case .moved(let welcome) = event { compareEngine(welcome) }
            await pipeline.follow(event)
        }
    }

    /// A running data plane keeps the engine that it was started with.
    private func compareEngine(_ welcome: DataPlaneWelcome) {
        guard isManaged, let wanted = process.options.engine, wanted != "auto",
            wanted != welcome.engine
        else {
            board.clear(.dataplane, "engine")
            return
        }
        board.set(
            .dataplane, "engine",
            "the data plane runs on \(welcome.engine), not on \(wanted) as configured: it was "
                + "started before; restart it to change that")
    }

    /// Starts a data plane again when there is none any more.
    private func restart() async {
        var pause = Duration.milliseconds(200)
        while !Task.isCancelled {
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: pause)
            guard !Task.isCancelled, !process.isRunning() else {
                pause = .milliseconds(200)
                continue
            }
            do {
                _ = try await process.ensureRunning()
                log.warning("started the data plane again")
                board.clear(.dataplane, "start")
                pause = .milliseconds(200)
            } catch {
                log.error("the data plane cannot be started", metadata: [LogKey.error: "\(error)"])
                board.set(.dataplane, "start", "\(error)")
                pause = min(pause * 2, .seconds(10))
            }
        }
    }

    /// Ends the data plane after a drain, if it is this installation's to end. A node that fails
    /// ends only what it has started itself: traffic that was there before must not suffer.
    func stop(_ end: NodeService.End, within limit: Duration) async {
        guard isManaged, end == .shutdown || start.isOwn, process.isRunning() else { return }
        log.info("stopping the data plane")
        if await !process.stop(within: limit) {
            log.warning("the data plane has not ended in time")
        }
    }
}

/// Whether this process has started the data plane.
private final class StartMemory: Sendable {
    private let own = Mutex(false)

    var isOwn: Bool { own.withLock { $0 } }

    func remember(_ start: DataPlaneProcess.Start) {
        own.withLock { $0 = start == .started }
    }
}
