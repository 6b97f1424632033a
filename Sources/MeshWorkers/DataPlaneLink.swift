import CMeshABI
import Glibc
import MeshModel
package import MeshTelemetry

/// What happens with the data plane.
package enum DataPlaneEvent: Sendable {
    /// A data plane is connected. `snapshot` is what it runs now: to be adopted.
    case linked(DataPlaneWelcome, snapshot: Descriptor?)
    case unlinked(reason: String)
    /// The data plane was upgraded: another process runs what the one before ran.
    case moved(DataPlaneWelcome)
    case worker(WorkerStatus)
    /// No request of this worker uses this generation any more.
    case released(worker: Int, generation: UInt64)
}

/// The data plane as it was last heard of.
package struct DataPlaneStatus: Sendable {
    /// nil: none is connected.
    package var welcome: DataPlaneWelcome?
    package var workers: [WorkerStatus] = []
    /// Data planes of before an upgrade that still drain.
    package var elders: [ElderStatus] = []
    /// Live snapshot; 0: none.
    package var generation: UInt64 = 0
}

/// The control plane's end of the control channel: connects, adopts what runs, publishes, and tells
/// what happens. Lives as long as the control plane; data planes come and go.
package actor DataPlaneLink {
    /// What is published: sealed files, each greater in generation than the one before.
    package struct Files: Sendable {
        package var generation: UInt64
        package var snapshot: Descriptor
        package var secretsGeneration: UInt64
        /// nil: the secrets that were published before go on.
        package var secrets: Descriptor?

        package init(
            generation: UInt64, snapshot: Descriptor, secretsGeneration: UInt64 = 0,
            secrets: Descriptor? = nil
        ) {
            self.generation = generation
            self.snapshot = snapshot
            self.secretsGeneration = secretsGeneration
            self.secrets = secrets
        }
    }

    private struct Pending {
        var publication: Publication
        var outcome: PublishOutcome?
        var waiter: CheckedContinuation<PublishOutcome, Never>?
    }

    /// The supervisor ends a publication within 2.5 s, and may have another one before.
    package static let publishDeadline: Duration = .seconds(6)
    /// Regions of data planes of before that still count; beyond that the oldest are let go, and
    /// totals fall.
    private static let retiredLimit = 32 * Int(LIMIT_WORKERS)

    /// Versions of the control channel that this control plane speaks.
    package static let spokenVersions = ABI_VERSION_OLDEST...ABI_VERSION

    /// For one reader; a reader that falls far behind loses the oldest.
    package nonisolated let events: AsyncStream<DataPlaneEvent>
    /// Health and weights of endpoints.
    package nonisolated let overlay: OverlayWriter
    private let report: AsyncStream<DataPlaneEvent>.Continuation
    private let path: String
    private let installation: InstallationID
    private let log: Logger

    private var channel: ControlChannel?
    private var pending: [UInt64: Pending] = [:]
    private var ledger = GenerationLedger()
    private var welcome: DataPlaneWelcome?
    private var workers: [Int: WorkerStatus] = [:]
    private var regions: [Int: WorkerStatsRegion] = [:]
    private let judge: TokenJudge
    private var questions: [Int: QuestionSocket] = [:]
    /// Of data planes of before an upgrade, which may still ask.
    private var retiredQuestions: [QuestionSocket] = []
    private var live: UInt64 = 0
    private var elders: [UInt32: ElderStatus] = [:]
    /// What the slots of data planes of before have counted, which may still grow.
    private var retired: [WorkerStatsRegion] = []
    private var upgrading: CheckedContinuation<DataPlaneUpgrade, Never>?
    private var isUpgrading = false
    /// Upgraded: the next connection is to the process with this number.
    private var moving: UInt32?

    package init(
        path: String, installation: InstallationID, overlay: OverlayWriter = OverlayWriter(),
        judge: @escaping TokenJudge = { _, _ in .none }, log: Logger
    ) {
        self.path = path
        self.installation = installation
        self.overlay = overlay
        self.judge = judge
        self.log = log
        (self.events, self.report) = AsyncStream.makeStream(
            of: DataPlaneEvent.self, bufferingPolicy: .bufferingNewest(4096))
    }

    /// What the data plane was last heard to be.
    package var status: DataPlaneStatus {
        DataPlaneStatus(
            welcome: welcome, workers: workers.values.sorted { $0.id < $1.id },
            elders: elders.values.sorted { $0.pid < $1.pid }, generation: live)
    }

    /// Statistics of every worker slot; they stay readable while the data plane is lost.
    package var statistics: [WorkerStatsRegion] {
        regions.values.sorted { $0.worker < $1.worker }
    }

    /// Statistics of the slots of data planes that an upgrade has replaced, the oldest first: what
    /// they counted belongs to the totals.
    package var retiredStatistics: [WorkerStatsRegion] { retired }

    /// Whether no worker may use `generation` or an older one any more.
    package func isReleased(through generation: UInt64) -> Bool {
        // Those that drain hold what they ran; which older ones besides is not known.
        guard elders.isEmpty else { return false }
        for worker in ledger.uncertain {
            if let region = regions[worker], region.counters().viewsLive == 1 {
                ledger.holdsOne(worker)
            }
        }
        return ledger.isReleased(through: generation)
    }

    // MARK: Connection

    /// Keeps a connection to whatever data plane there is, until the task is cancelled.
    package func run() async {
        var backOff = BackOff(first: .milliseconds(20), most: .seconds(1))
        while !Task.isCancelled {
            do {
                let channel = try ControlChannel(path: path)
                try await withTaskCancellationHandler {
                    try await converse(channel)
                } onCancel: {
                    channel.close()
                }
                if welcome != nil { backOff.succeeded() }
                unlink("the data plane closed the connection")
                if moving != nil { continue }
            } catch let error as MeshError {
                if welcome != nil { backOff.succeeded() }
                unlink(error.message)
            } catch {
                unlink("\(error)")
            }
            try? await Task.sleep(for: backOff.failed())
        }
        report.finish()
    }

    private func converse(_ channel: ControlChannel) async throws {
        try channel.send(
            ControlPlaneMessage.hello(installation: installation, pid: UInt32(getpid())))
        for try await message in channel.messages {
            if case .welcome(let welcome, let overlay, let snapshot) = message {
                try greet(channel, welcome, overlay, snapshot)
            } else {
                try hear(message)
            }
        }
    }

    private func greet(
        _ channel: ControlChannel, _ welcome: DataPlaneWelcome, _ overlay: Descriptor,
        _ snapshot: Descriptor?
    ) throws {
        guard self.welcome == nil else {
            throw MeshError(.invalid, "the data plane greeted twice")
        }
        try self.overlay.attach(overlay)
        self.channel = channel
        self.welcome = welcome
        live = welcome.generation
        ledger = GenerationLedger()
        workers = [:]
        let isMove = moving == welcome.pid
        moving = nil
        retired = isMove ? Array((retired + statistics).suffix(Self.retiredLimit)) : []
        regions = [:]
        retiredQuestions =
            isMove
            ? Array((retiredQuestions + questions.values).suffix(2 * Int(LIMIT_WORKERS))) : []
        questions = [:]
        elders = [:]
        log.info(
            "data plane is connected",
            metadata: [
                LogKey.pid: "\(welcome.pid)", LogKey.generation: "\(welcome.generation)",
                "workers": "\(welcome.workers)", "engine": "\(welcome.engine)",
            ])
        report.yield(isMove ? .moved(welcome) : .linked(welcome, snapshot: snapshot))
    }

    private func unlink(_ reason: String) {
        channel = nil
        for generation in pending.keys.sorted() {
            finish(generation, .unknown(reason: "the data plane was lost: \(reason)"))
        }
        endUpgrade(.failed(reason: "the data plane was lost: \(reason)"))
        guard welcome != nil else {
            if moving != nil { return lostOnTheWay(reason) }
            log.debug("no data plane", metadata: [LogKey.error: "\(reason)"])
            return
        }
        welcome = nil
        // At the end of this process it is not the data plane that has gone.
        guard !Task.isCancelled else { return log.debug("data plane is let go") }
        if let moving {
            return log.info(
                "data plane is upgraded", metadata: [LogKey.pid: "\(moving)"])
        }
        log.warning("data plane is lost", metadata: [LogKey.error: "\(reason)"])
        report.yield(.unlinked(reason: reason))
    }

    // MARK: What the data plane says

    private func hear(_ message: SupervisorMessage) throws {
        switch message {
        case .welcome:
            break  // greet() has it
        case .refuse(let version, let reason):
            log.error(
                "data plane refuses this control plane",
                metadata: [LogKey.error: "\(reason)", "version": "\(version)"])
            throw MeshError(.conflict, "the data plane at \(path) refuses: \(reason)")
        case .worker(let worker, let stats, let questions):
            try heardWorker(worker, stats)
            if let questions {
                self.questions[worker.worker] = try QuestionSocket(questions, judge: judge)
            }
        case .phase(let phase):
            heardPhase(phase)
        case .published(let end):
            if end.outcome != .refused { live = end.generation }
            if let outcome = pending[end.generation]?.publication.ended(end) {
                finish(end.generation, outcome)
            }
        case .released(let worker, let generation):
            ledger.released(worker, generation: generation)
            report.yield(.released(worker: worker, generation: generation))
        case .ready, .drained:
            break  // the state of the worker says so too
        case .upgraded(let end):
            if case .done(let pid) = end { moving = pid }
            endUpgrade(end)
        case .elder(let elder, let ended):
            elders[elder.pid] = ended ? nil : elder
        }
    }

    private func heardWorker(_ message: WorkerReport, _ stats: Descriptor?) throws {
        let status = WorkerStatus(message)
        if let stats {
            regions[status.id] = try WorkerStatsRegion(stats, worker: status.id)
            ledger.adopted(status.id, generation: status.generation)
        } else if status.pid != workers[status.id]?.pid {
            ledger.replaced(status.id)
        }
        workers[status.id] = status
        report.yield(.worker(status))
    }

    private func heardPhase(_ phase: PhaseReport) {
        pending[phase.generation]?.publication.heard(phase)
        guard let worker = phase.worker else { return }
        switch phase.phase {
        case .committed:
            ledger.committed(worker, generation: phase.generation)
            workers[worker]?.generation = phase.generation
            if let status = workers[worker] { report.yield(.worker(status)) }
        case .refused(let reason, _):
            log.warning(
                "a worker refuses a snapshot",
                metadata: [
                    LogKey.worker: "\(worker)", LogKey.generation: "\(phase.generation)",
                    LogKey.error: "\(reason)",
                ])
        case .prepared, .timedOut:
            break
        }
    }

    // MARK: What it is told

    /// Lets another program take over from the data plane that runs. Until it has, publications
    /// wait.
    package func upgrade(to program: String) async throws -> DataPlaneUpgrade {
        guard let channel else { throw MeshError(.unavailable, "no data plane is connected") }
        guard !isUpgrading else { return .busy(reason: "an upgrade is under way") }
        guard let message = ControlPlaneMessage.upgrade(program: program) else {
            throw MeshError(.invalid, "the path \(program) is too long")
        }
        isUpgrading = true
        defer { isUpgrading = false }
        try channel.send(message)
        let end = await withCheckedContinuation { upgrading = $0 }
        await waitWhile(within: .seconds(10)) { moving != nil }
        return end
    }

    private func endUpgrade(_ end: DataPlaneUpgrade) {
        upgrading?.resume(returning: end)
        upgrading = nil
    }

    /// The data plane that has taken over cannot be reached.
    private func lostOnTheWay(_ reason: String) {
        moving = nil
        log.warning("data plane is lost", metadata: [LogKey.error: "\(reason)"])
        report.yield(.unlinked(reason: reason))
    }

    private func waitWhile(within limit: Duration, _ holds: () -> Bool) async {
        let end = ContinuousClock.now + limit
        while holds(), ContinuousClock.now < end, !Task.isCancelled {
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Publishes a generation and waits until it is live in every worker, or is known not to be.
    package func publish(_ files: Files) async -> PublishOutcome {
        await waitWhile(within: .seconds(40)) { isUpgrading || moving != nil }
        guard let channel else { return .unknown(reason: "no data plane is connected") }
        guard pending[files.generation] == nil else {
            return .unknown(reason: "generation \(files.generation) is being published already")
        }
        pending[files.generation] = Pending(
            publication: Publication(generation: files.generation))
        do {
            try channel.send(
                ControlPlaneMessage.publish(
                    generation: files.generation, secretsGeneration: files.secretsGeneration,
                    hasSecrets: files.secrets != nil),
                [files.snapshot] + (files.secrets.map { [$0] } ?? []))
        } catch {
            pending[files.generation] = nil
            return .unknown(reason: "\(error)")
        }
        return await withTaskGroup(of: PublishOutcome?.self) { group in
            group.addTask { await self.outcome(of: files.generation) }
            group.addTask {
                // Ends early when the outcome is there; then nobody waits any more.
                try? await Task.sleep(for: Self.publishDeadline)
                await self.finish(
                    files.generation, .unknown(reason: "the data plane did not answer in time"))
                return nil
            }
            var result: PublishOutcome?
            for await outcome in group where outcome != nil {
                result = outcome
                group.cancelAll()
            }
            return result ?? .unknown(reason: "the wait was cancelled")
        }
    }

    /// Tells the data plane to finish what is in flight and end.
    package func shutDown(grace: Duration) throws {
        guard let channel else { throw MeshError(.unavailable, "no data plane is connected") }
        let (seconds, attoseconds) = grace.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        try channel.send(
            ControlPlaneMessage.shutdown(graceMilliseconds: UInt64(max(0, milliseconds))))
    }

    /// Tells the data plane to open the files of access logs by their names again.
    package func reopenLogs() throws {
        guard let channel else { throw MeshError(.unavailable, "no data plane is connected") }
        try channel.send(ControlPlaneMessage.reopen())
    }

    private func outcome(of generation: UInt64) async -> PublishOutcome {
        await withCheckedContinuation { waiter in
            guard let outcome = pending[generation]?.outcome else {
                pending[generation]?.waiter = waiter
                return
            }
            pending[generation] = nil
            waiter.resume(returning: outcome)
        }
    }

    /// The first outcome counts; later ones find nobody waiting.
    private func finish(_ generation: UInt64, _ outcome: PublishOutcome) {
        guard let entry = pending[generation], entry.outcome == nil else { return }
        if let waiter = entry.waiter {
            pending[generation] = nil
            waiter.resume(returning: outcome)
        } else {
            pending[generation]?.outcome = outcome
        }
    }
}
