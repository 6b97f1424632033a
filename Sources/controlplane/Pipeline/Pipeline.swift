import Foundation
import MeshAdminAPI
import MeshHealth
import MeshIdentity
import MeshLanes
import MeshModel
import MeshTables
import MeshTelemetry
import MeshWorkers

/// Desired → compiled → published → acknowledged.
///
/// Changes are counted; one publication is under way at a time and takes in everything that was
/// changed before it began. Health does not come this way: it goes into the overlay at once.
actor Pipeline {
    private let publisher: any SnapshotPublisher
    private let source: any DesiredStates
    let health: HealthMonitor
    private let generations: GenerationKeeper
    private let board: ProblemBoard
    private let metrics: PipelineMetrics
    private let pauses: Pauses
    private let pins: PinKeeper
    private let archive: GenerationArchive
    private let tokens: TokenDesk?
    private let log: Logger
    private let signal = WakeSignal()
    private let lanes = Lanes.machine

    private var changes: UInt64 = 0
    private var settled: UInt64 = 0
    private var waiters: [Waiter] = []
    private var compiler = NodeCompiler()
    private var builder = SnapshotBuilder()
    private var endpoints = EndpointBook()
    private(set) var slots = SlotTables()
    /// Endpoints that an adopted data plane knew: what it was told of them holds until a check
    /// knows better.
    private var adopted: Set<UInt64> = []
    private(set) var published: PublishedNode?
    private var reader: SnapshotReader?
    /// What a data plane runs that this control plane has not published: 0 is nothing.
    private var running: UInt64 = 0
    private var secretsGeneration: UInt64 = 0
    private var isLinked = false
    /// Who waits for ``silence(of:)`` to be another one.
    nonisolated let listening = ListeningNews()
    /// How often a data plane was linked: another one may know other slots.
    private var links = 0
    private var mustPublish = false
    private var isAcknowledged = false
    private var silent: SilentListeners
    private var configuredNames: Set<String> = []
    private var wereConfiguredOpen = false
    private(set) var built: UInt64 = 0
    private var retry: ContinuousClock.Instant?
    private var isOver = false
    private var causes = ChangeCauses()
    private(set) var history: GenerationHistory
    /// nil: the workers run what is wanted.
    private(set) var pin: Pin?
    /// Pinned before this process was started; 0: nothing was.
    private var pinnedBefore: UInt64 = 0
    /// Secrets that were published with a file that is held.
    private var heldSecrets: [SecretPlan]?

    init(
        publisher: any SnapshotPublisher, source: any DesiredStates, health: HealthMonitor,
        generations: GenerationKeeper, board: ProblemBoard, metrics: PipelineMetrics,
        pauses: Pauses = Pauses(), pins: PinKeeper, archive: GenerationArchive,
        kept: [GenerationHistory.Entry] = [], tokens: TokenDesk? = nil, log: Logger
    ) throws {
        self.publisher = publisher
        self.source = source
        self.health = health
        self.generations = generations
        self.board = board
        self.metrics = metrics
        self.pauses = pauses
        silent = SilentListeners(first: pauses.silent, most: pauses.mostSilent)
        self.pins = pins
        self.archive = archive
        self.tokens = tokens
        history = GenerationHistory(kept)
        self.log = log
        pinnedBefore = try pins.load() ?? 0
    }

    /// Something that the snapshot follows from has changed. `cause` says what somebody has
    /// changed; nil: upkeep, as of certificates, which goes on while a generation is pinned.
    func invalidate(_ cause: String? = nil) {
        if let cause { causes.add(cause) }
        changes += 1
        signal.wake()
    }

    /// The configuration was read again: listeners without an address are tried at once.
    func reconfigured() {
        silent.mayHaveRoom = true
        invalidate("the configuration was read again")
    }

    /// Something has changed; returns when every worker runs it, or it is known how far it came.
    func settle(_ cause: String? = nil) async -> ChangeReport {
        await settle(cause, isPin: false)
    }

    private func settle(_ cause: String?, isPin: Bool) async -> ChangeReport {
        if isOver { return stored }
        invalidate(cause)
        let change = changes
        return await withCheckedContinuation { continuation in
            waiters.append(Waiter(change: change, isPin: isPin, continuation: continuation))
        }
    }

    /// How many wait for the outcome of their change.
    var waiting: Int { waiters.count }

    // MARK: - pins

    /// Publishes what a generation held as a new one; changes wait until ``resume()``.
    func rollBack(to generation: UInt64) async throws -> ChangeReport {
        guard let entry = history[generation] else {
            throw MeshError(
                .notFound,
                "generation \(generation) is not kept: meshctl generations list shows those that "
                    + "are")
        }
        let before = pin
        try await pins.save(generation)
        pin = Pin(
            generation: generation, held: .plan(entry.plan), secrets: entry.secrets,
            waiting: before?.waiting ?? ChangeCauses())
        var report = await settle("went back to generation \(generation)", isPin: true)
        if report.outcome == .refused {
            pin = before
            try await pins.save(before?.generation)
            invalidate()
            report.pinned = before?.generation
        }
        return report
    }

    /// The workers run what is wanted again.
    func resume() async throws -> ChangeReport {
        guard let ended = pin else { throw MeshError(.conflict, "no generation is pinned") }
        try await pins.save(nil)
        pin = nil
        pinnedBefore = 0
        heldSecrets = nil
        board.clear(.pipeline, "pinned tokens")
        for cause in ended.waiting.all { causes.add(cause) }
        return await settle("resumed from generation \(ended.generation)")
    }

    /// Why the listener with this name does not take connections; nil: it does, as far as is known.
    func silence(of listener: String) -> String? {
        if !isLinked { return "the data plane is not connected" }
        if let reason = silent[listener] { return reason }
        // A data plane that was adopted keeps what it has.
        guard let published else { return running == 0 ? "nothing is published yet" : nil }
        return published.listeners.contains(listener)
            ? nil : "no generation with the listener is live"
    }

    /// nil when every worker has acknowledged the first snapshot.
    var notReadyReason: String? {
        if !isLinked { return "the data plane is not connected" }
        if !isAcknowledged { return "no snapshot has been acknowledged by every worker yet" }
        return wereConfiguredOpen
            ? nil : configuredNames.sorted().lazy.compactMap { [silent] in silent[$0] }.first
    }

    /// Returns when every worker has acknowledged a snapshot, or the task is cancelled.
    func waitUntilReady() async {
        while notReadyReason != nil, !Task.isCancelled {
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// The snapshot that was published last, opened with the lookups of the workers.
    func snapshotReader() throws -> SnapshotReader? {
        if let reader { return reader }
        if case .file(let bytes)? = pin?.held, published == nil {
            reader = try bytes.withUnsafeBytes { try SnapshotReader($0) }
        }
        guard let published else { return reader }
        reader = try published.reader()
        return reader
    }

    // MARK: - life

    /// Publishes what changes until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            await signal.wait(until: retry)
            if let due = retry, due <= ContinuousClock.now {
                retry = nil
                if silent.isDue(.now) { silent.tryAgain() } else { mustPublish = true }
                changes += 1
            }
            while settled < changes, !Task.isCancelled { await step() }
        }
        isOver = true
        for waiter in waiters { waiter.continuation.resume(returning: stored) }
        waiters = []
    }

    private var stored: ChangeReport {
        ChangeReport(outcome: .stored, generation: published?.generation ?? running)
    }

    private func step() async {
        let change = changes
        if silent.mayHaveRoom { silent.tryAtOnce() }
        let begun = causes.take()
        var watch = PipelineMetrics.Watch()
        async let reserved: Void = generations.reserve()
        let state = await source.gather()
        metrics.gather.observe(watch.lap() + state.ahead / .seconds(1))
        async let configured: Void = configure(state)
        let plan = compiler.compile(state)
        configuredNames = Set(state.listeners.map(\.definition.name))
        endpoints.take(plan.endpoints)
        metrics.compile.observe(watch.lap())
        board.replace(.pipeline, kind: "plan", plan.problems.map(\.description))
        let link = links
        await reserved
        var prepared = await prepare(plan, begun)
        // Checks are known before workers meet the endpoints that they are about.
        await configured
        if links != link { prepared = await prepare(plan, begun) }
        var outcome = await publish(prepared, &watch)
        while outcome == nil {
            prepared = await prepare(plan, begun)
            outcome = await publish(prepared, &watch)
        }
        var report = outcome ?? stored
        report.refusals += silent.tell().map { .init(worker: nil, reason: $0) }
        settled = change
        let done = waiters.filter { $0.change <= change }
        waiters.removeAll { $0.change <= change }
        for waiter in done {
            waiter.continuation.resume(returning: waiter.isPin ? report : told(report))
        }
    }

    /// What somebody is told whose change waits for the end of a pin.
    private func told(_ report: ChangeReport) -> ChangeReport {
        guard let pin else { return report }
        return ChangeReport(
            outcome: .stored, generation: report.generation, pinned: pin.generation)
    }

    /// What is about to be published.
    private enum Prepared {
        /// Nothing can be, or this could not be built.
        case nothing(ChangeReport)
        /// It runs already.
        case same(generation: UInt64)
        /// The file that was pinned before a restart.
        case file([UInt8], wanted: NodePlan)
        case node(PublishedNode, DataPlaneLink.Files, causes: [String])
    }

    private func prepare(_ wanted: NodePlan, _ begun: [String]) async -> Prepared {
        let isRollback = begun.contains { $0.hasPrefix("went back to") }
        if pin != nil, !isRollback { for cause in begun { pin?.waiting.add(cause) } }
        guard isLinked else { return .nothing(stored) }
        if case .file(let bytes)? = pin?.held { return .file(bytes, wanted: wanted) }
        var plan = pin?.plan(renewedBy: wanted) ?? wanted
        if !silent.isEmpty { plan.compiled.listeners = silent.spare(plan.compiled.listeners) }
        if !mustPublish, let published, published.plan.compiled == plan.compiled,
            published.plan.secrets == plan.secrets
        {
            return .same(generation: published.generation)
        }
        let generation = await generations.next(above: max(running, built))
        built = generation
        do {
            let (node, files) = try build(plan, generation)
            return .node(node, files, causes: pin != nil && !isRollback ? [] : begun)
        } catch {
            // Nothing was sent: the snapshot of before goes on.
            log.error(
                "the snapshot cannot be built",
                metadata: [LogKey.generation: "\(generation)", LogKey.error: "\(error)"])
            board.set(.pipeline, "build", "the snapshot cannot be built: \(error)")
            let refusal = ChangeReport.Refusal(worker: nil, reason: "\(error)")
            return .nothing(
                ChangeReport(outcome: .refused, generation: generation, refusals: [refusal]))
        }
    }

    /// nil: to be prepared again, without a listener that is known now to have no address.
    private func publish(
        _ prepared: Prepared, _ watch: inout PipelineMetrics.Watch
    ) async -> ChangeReport? {
        switch prepared {
        case .nothing(let report): return report
        case .file(let bytes, let wanted): return await publish(held: bytes, wanted)
        case .same(let generation):
            // Also after something that could not be built or was refused: it has been taken back.
            show(endpoints.unsettled)
            nothingIsLeftToDo()
            return ChangeReport(outcome: .live, generation: generation)
        case .node(let node, let files, let causes):
            // Workers know about the health of endpoints before they meet them.
            show(endpoints.unsettled)
            metrics.build.observe(watch.lap())
            tokens?.offer(node.plan.compiled)
            let outcome = await publisher.publish(files)
            metrics.published(outcome, took: watch.lap())
            if silent.leaveOut(outcome, of: node, log) { return nil }
            note(outcome, node, causes)
            archive.keep(history)
            return await take(outcome, node, files)
        }
    }

    private func note(_ outcome: PublishOutcome, _ node: PublishedNode, _ begun: [String]) {
        history.add(
            GenerationHistory.Entry(
                generation: node.generation, at: Date(),
                causes: begun.isEmpty ? ["upkeep: certificates, keys, names"] : begun,
                copyOf: pin?.generation, plan: node.plan.compiled, secrets: node.plan.secrets,
                size: (try? SharedMemory.size(of: node.snapshot)) ?? 0,
                outcome: GenerationHistory.Outcome(outcome)))
    }

    /// Keeps the file that was pinned before a restart live, with renewed secrets.
    private func publish(held bytes: [UInt8], _ wanted: NodePlan) async -> ChangeReport {
        show(endpoints.unsettled)
        endpoints.settle()
        tellUnjudged()
        guard mustPublish || heldSecrets != wanted.secrets else {
            return ChangeReport(outcome: .live, generation: running)
        }
        let generation = await generations.next(above: max(running, built))
        built = generation
        do {
            let outcome = await publisher.publish(
                try DataPlaneLink.Files(again: bytes, generation, wanted.secrets))
            return takeHeld(outcome, generation, wanted.secrets)
        } catch {
            board.set(.pipeline, "build", "the pinned snapshot cannot be published: \(error)")
            return ChangeReport(
                outcome: .refused, generation: generation,
                refusals: [ChangeReport.Refusal(worker: nil, reason: "\(error)")])
        }
    }

    /// A file has the keys by which workers ask, not what they ask about: that was lost with the
    /// plan, and only what has not changed since can be judged.
    private func tellUnjudged() {
        guard let tokens, let pin, let reader = try? snapshotReader() else { return }
        if tokens.knows(reader.tokenQuestions) {
            board.clear(.pipeline, "pinned tokens")
        } else {
            board.set(.pipeline, "pinned tokens", pin.unjudgedTokens)
        }
    }

    private func takeHeld(
        _ outcome: PublishOutcome, _ generation: UInt64, _ secrets: [SecretPlan]
    ) -> ChangeReport {
        switch outcome {
        case .live, .partial:
            running = generation
            secretsGeneration = generation
            heldSecrets = secrets
            mustPublish = false
            isAcknowledged = true
            nothingIsLeftToDo()
            return ChangeReport(outcome: .live, generation: generation)
        case .refused(let refusals):
            // It runs as it is; only its secrets are not renewed.
            let reasons = refusals.map(\.reason).joined(separator: "; ")
            board.set(
                .pipeline, "publication",
                "the pinned generation is refused with renewed secrets: \(reasons)")
            isAcknowledged = true
            again(after: pauses.refused)
            return ChangeReport(
                outcome: .refused, generation: generation,
                refusals: refusals.map { .init(worker: $0.worker, reason: $0.reason) })
        case .unknown:
            again(after: pauses.unknown)
            return ChangeReport(outcome: .stored, generation: generation)
        }
    }

    private func build(
        _ plan: NodePlan, _ generation: UInt64
    ) throws -> (PublishedNode, DataPlaneLink.Files) {
        var secrets: Descriptor?
        var secretsGeneration = secretsGeneration
        if mustPublish || published?.plan.secrets != plan.secrets {
            secretsGeneration = generation
            secrets = try SharedMemory.sealed(plan.secrets, generation)
        }
        // The image is given up at once: the builder's next one is written in its place.
        let image = try builder.build(
            plan.compiled,
            stamp: SnapshotBuilder.Stamp(
                generation: generation, secretsGeneration: secretsGeneration,
                writtenAtMilliseconds: Date().milliseconds), slots: &slots)
        let snapshot = try SharedMemory.sealed(name: "ringmesh-snapshot", size: image.size) {
            image.write(into: $0)
        }
        return (
            PublishedNode(plan: plan, generation: generation, snapshot: snapshot),
            DataPlaneLink.Files(
                generation: generation, snapshot: snapshot, secretsGeneration: secretsGeneration,
                secrets: secrets)
        )
    }

    private func take(
        _ outcome: PublishOutcome, _ node: PublishedNode, _ files: DataPlaneLink.Files
    ) async -> ChangeReport {
        let generation = node.generation
        switch outcome {
        case .live, .partial:
            published = node
            tokens?.offerIsTaken()
            listening.tell(node.listeners)
            reader = nil
            running = generation
            secretsGeneration = files.secretsGeneration
            mustPublish = false
            nothingIsLeftToDo()
            await releaseSlots()
            guard case .partial(let laggards) = outcome else {
                isAcknowledged = true
                log.info("snapshot is live", metadata: [LogKey.generation: "\(generation)"])
                return ChangeReport(outcome: .live, generation: generation)
            }
            log.warning(
                "workers are late with a snapshot",
                metadata: [LogKey.generation: "\(generation)", "workers": "\(laggards)"])
            return ChangeReport(outcome: .partial, generation: generation, laggards: laggards)
        case .refused(let refusals):
            let reasons = refusals.map { refusal in
                (refusal.worker.map { "worker \($0): " } ?? "") + refusal.reason
            }.joined(separator: "; ")
            log.error(
                "snapshot is refused",
                metadata: [LogKey.generation: "\(generation)", LogKey.error: "\(reasons)"])
            board.set(
                .pipeline, "publication", "generation \(generation) is refused: \(reasons)")
            again(after: pauses.refused)
            return ChangeReport(
                outcome: .refused, generation: generation,
                refusals: refusals.map { .init(worker: $0.worker, reason: $0.reason) })
        case .unknown(let reason):
            log.warning(
                "snapshot went nowhere",
                metadata: [LogKey.generation: "\(generation)", LogKey.error: "\(reason)"])
            board.set(.pipeline, "publication", "generation \(generation): \(reason)")
            mustPublish = true
            again(after: pauses.unknown)
            return ChangeReport(outcome: .stored, generation: generation)
        }
    }

    /// The workers run what is wanted: what went wrong before is over.
    private func nothingIsLeftToDo() {
        endpoints.settle()
        silent.settle(log)
        retry = silent.due
        board.replace(.pipeline, kind: "listener", silent.problems)
        if configuredNames.allSatisfy({ silent[$0] == nil }) { wereConfiguredOpen = true }
        board.clear(.pipeline, "build")
        board.clear(.pipeline, "publication")
    }

    /// What was refused or lost is tried again: a port may be free by then.
    private func again(after pause: Duration) {
        retry = ContinuousClock.now + pause
        signal.wake()
    }

    // MARK: - health

    /// Tells the workers what is known of the endpoints of instances.
    private func show(_ instances: [InstanceEndpoints]) {
        let standings = health.standings.all
        let (slots, adopted, book) = (slots.overlay, adopted, endpoints)
        let pieces = lanes.map(instances.count, grain: 2048) { range in
            OverlayWords(
                instances[range], standings, slots, adopted, isNew: { book.isNew($0, of: $1) })
        }
        for piece in pieces { tell(piece) }
    }

    /// The checks of a service say something else now. Read and written in one go: of two that
    /// come close together the later one holds.
    func healthChanged(_ service: ServiceID) {
        let standing = health.standings[service]
        var words = OverlayWords()
        for instance in endpoints[service] {
            words.add(instance, standing, slots.overlay, adopted) { [endpoints] in
                endpoints.isNew($0, of: instance.id)
            }
        }
        tell(words)
    }

    private func tell(_ words: OverlayWords) {
        if !words.proven.isEmpty { adopted.subtract(words.proven) }
        publisher.overlay.set(words.entries)
    }

    // MARK: - the data plane

    /// Takes what happens with the data plane.
    func follow(_ event: DataPlaneEvent) async {
        switch event {
        case .linked(let welcome, let snapshot):
            isLinked = true
            links += 1
            running = max(running, welcome.generation)
            if published == nil, let snapshot { adopt(snapshot) }
            if published == nil, snapshot == nil, pinnedBefore != 0, pin == nil { pinAgain() }
            isAcknowledged = false
            mustPublish = true
            invalidate()
        case .unlinked:
            isLinked = false
            listening.tell([])
            isAcknowledged = false
        case .worker:
            guard !isAcknowledged, published != nil else { return }
            let workers = await publisher.workers
            isAcknowledged = !workers.isEmpty && workers.allSatisfy { $0.generation == running }
        case .released, .moved: break
        }
    }

    /// What was pinned before a restart, as far as it is kept: it is published anew, so that keys
    /// of certificates and issuers are renewed in it.
    private func keptPin() -> Pin? {
        history.content(of: pinnedBefore).map {
            Pin(generation: pinnedBefore, held: .plan($0.plan), secrets: $0.secrets)
        }
    }

    /// The data plane was started again as well: it has nothing to go on with.
    private func pinAgain() {
        pin = keptPin()
        if pin != nil { return }
        board.set(
            .pipeline, "pin",
            "generation \(pinnedBefore) was pinned, but is not kept, and the data plane was "
                + "started again: what is wanted is published")
        pinnedBefore = 0
    }

    /// Takes over the slots of the snapshot that is running, so that nothing changes its meaning.
    private func adopt(_ snapshot: Descriptor) {
        do {
            let reader = try SnapshotReader.open(snapshot)
            slots = SlotTables(recovering: reader)
            adopted = Set(reader.endpointKeys)
            if let entry = history[reader.generation] {
                tokens?.offer(entry.plan)
                tokens?.offerIsTaken()
            }
            if pinnedBefore != 0, pin == nil { pin = keptPin() }
            if pinnedBefore != 0, pin == nil {
                let mapping = try SharedMapping(snapshot, size: SharedMemory.size(of: snapshot))
                pin = Pin(
                    generation: pinnedBefore, held: .file(mapping.withBytes { Array($0) }),
                    secrets: [])
            }
            log.info(
                "adopted a running data plane",
                metadata: [LogKey.generation: "\(reader.generation)"])
        } catch {
            // It serves what it has; from the next snapshot on it is ours.
            log.warning(
                "the snapshot of the running data plane cannot be read",
                metadata: [LogKey.error: "\(error)"])
        }
    }

    /// Frees the slots of what no worker knows any more.
    private func releaseSlots() async {
        guard running > 1, await publisher.isReleased(through: running - 1) else { return }
        for slot in slots.release(before: running).overlay {
            publisher.overlay.clear(slot)
        }
    }
}
