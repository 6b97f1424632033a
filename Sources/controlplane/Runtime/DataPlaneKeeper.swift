import Foundation
import MeshConfig
import MeshModel
import MeshProcess
import MeshTelemetry
import MeshWorkers

/// Sees to it that there is a data plane, if it is this installation's to start, and that the
/// pipeline knows what happens with it.
struct DataPlaneKeeper: Sendable {
    let process: DataPlaneProcess
    let isManaged: Bool
    let link: DataPlaneLink
    let pipeline: Pipeline
    let board: ProblemBoard
    let log: Logger

    /// The program beside this one, unless the configuration names another.
    static func process(_ configuration: Configuration) throws -> DataPlaneProcess {
        let program = configuration.dataplane.path ?? Self.beside()
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
        options.drainTimeout = configuration.dataplane.drainTimeout.duration
        options.logLevel = configuration.log.level.rawValue
        options.logFile = configuration.dataplane.logFile
        return DataPlaneProcess(options)
    }

    private static func beside() -> String {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        return (own.map { ($0 as NSString).deletingLastPathComponent } ?? ".") + "/dataplane"
    }

    /// Runs until the task is cancelled. Throws when a data plane cannot even be started once.
    func run() async throws {
        if isManaged {
            let start = try await process.ensureRunning()
            log.info(start == .adopted ? "found a running data plane" : "started the data plane")
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
            if case .linked = event { board.clear(.dataplane, "link") }
            await pipeline.follow(event)
        }
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

    /// Ends the data plane after a drain, if it is this installation's to end.
    func stop(within limit: Duration) async {
        guard isManaged, process.isRunning() else { return }
        log.info("stopping the data plane")
        if await !process.stop(within: limit) {
            log.warning("the data plane has not ended in time")
        }
    }
}
