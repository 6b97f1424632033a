import CMeshABI
import CMeshShm
import MeshHealth
import MeshModel
import MeshStore
import MeshTables
import MeshTelemetry

@testable import MeshWorkers
@testable import controlplane

/// A data plane that does what it is told to, and remembers what it was asked.
actor FakeDataPlane: SnapshotPublisher {
    nonisolated let overlay = OverlayWriter()
    private(set) var files: [DataPlaneLink.Files] = []
    /// Publications under way, and the most at a time.
    private var underWay = 0
    private(set) var most = 0
    private var outcomes: [PublishOutcome] = []
    /// Names of listeners whose addresses somebody else has.
    private var taken: Set<String> = []
    private var isHolding = false
    private var held: [CheckedContinuation<Void, Never>] = []

    init() throws {
        let size = MemoryLayout<abi_overlay>.size + 8 * Int(LIMIT_ENDPOINTS)
        let file = Descriptor(shm_create("overlay", size))
        let mapping = try SharedMapping(file, size: size, writable: true)
        var head = abi_overlay()
        head.magic = ABI_OVERLAY_MAGIC
        head.version = ABI_VERSION
        head.slots = LIMIT_ENDPOINTS
        mapping.withMutableBytes { $0.storeBytes(of: head, as: abi_overlay.self) }
        try overlay.attach(file)
    }

    /// How the next publications end; all others go live.
    func say(_ next: PublishOutcome...) { outcomes += next }

    func take(_ listeners: Set<String>) { taken = listeners }

    private func refusal(_ snapshot: Descriptor) throws -> PublishOutcome? {
        let reader = try SnapshotReader.open(snapshot)
        var record = 0
        while let name = reader.nameOfListener(record) {
            if taken.contains(name) {
                return .refused([
                    PublishRefusal(
                        worker: nil, reason: "listener \(name): in use", listener: record)
                ])
            }
            record += 1
        }
        return nil
    }

    /// Publications wait until `letGo`.
    func hold() { isHolding = true }

    func letGo() {
        isHolding = false
        for continuation in held { continuation.resume() }
        held = []
    }

    var workers: [WorkerStatus] { [] }

    func publish(_ files: DataPlaneLink.Files) async -> PublishOutcome {
        self.files.append(files)
        underWay += 1
        most = max(most, underWay)
        if isHolding { await withCheckedContinuation { held.append($0) } }
        underWay -= 1
        if let refusal = try? refusal(files.snapshot) { return refusal }
        return outcomes.isEmpty ? .live : outcomes.removeFirst()
    }

    func isReleased(through generation: UInt64) -> Bool { true }
}

/// States of a world that the test changes.
actor FakeSource: DesiredStates {
    private var world: World
    private let base: DesiredState
    private(set) var gathered: UInt64 = 0

    init(_ world: World) throws {
        self.world = world
        base = try world.state()
    }

    func change(_ change: @Sendable (inout World) throws -> Void) rethrows { try change(&world) }

    func gather() -> DesiredState {
        gathered += 1
        var state = base
        state.number = gathered
        state.inventory = world.inventory
        state.intentions = world.intentions
        state.listeners = world.listeners.map { ($0, .api) }
        return state
    }
}

/// A pipeline with everything around it that it sees.
struct Workbench {
    let dataPlane: FakeDataPlane
    let source: FakeSource
    let health = HealthMonitor(prober: NoProber(), log: testLogger())
    let board = ProblemBoard()
    let desk = TokenDesk(MetricsRegistry()) { _ in }
    let pipeline: Pipeline

    /// What a process before this one left in the store.
    struct Left {
        var pinned: UInt64 = 0
        var kept: [GenerationHistory.Entry] = []
    }

    private struct NoProber: CheckProber {
        func probe(_ check: CheckDefinition) async -> CheckResult { CheckResult(.passing, "") }
    }

    init(
        _ world: World, pause: Duration = .milliseconds(20), left: Left = Left()
    ) async throws {
        dataPlane = try FakeDataPlane()
        source = try FakeSource(world)
        let store = try await SQLiteStore.inMemory()
        let pins = PinKeeper(store: store)
        try await pins.save(left.pinned)
        pipeline = try Pipeline(
            publisher: dataPlane, source: source, health: health,
            generations: try GenerationKeeper(store: store, board: board), board: board,
            metrics: PipelineMetrics(MetricsRegistry()),
            pauses: Pipeline.Pauses(
                refused: pause, unknown: pause, silent: pause, mostSilent: pause),
            pins: pins, archive: try GenerationArchive(store: store, board: board),
            kept: left.kept, tokens: desk, log: testLogger())
    }

    /// Runs the pipeline, with a data plane unless it is to come later. What goes wrong is tried
    /// again after `pause`.
    static func run(
        _ world: World, isLinked: Bool = true, pause: Duration = .milliseconds(20),
        left: Left = Left(), _ body: (Workbench) async throws -> Void
    ) async throws {
        let bench = try await Workbench(world, pause: pause, left: left)
        let running = Task { await bench.pipeline.run() }
        do {
            if isLinked { await bench.link() }
            try await body(bench)
        } catch {
            running.cancel()
            await bench.dataPlane.letGo()
            await running.value
            throw error
        }
        running.cancel()
        await bench.dataPlane.letGo()
        await running.value
    }

    func link(generation: UInt64 = 0, snapshot: Descriptor? = nil) async {
        let welcome = DataPlaneWelcome(
            version: ABI_VERSION, pid: 1, workers: 1, generation: generation,
            secretsGeneration: generation, startedAtMilliseconds: 0, engine: "epoll",
            kernelTls: nil, program: "fake")
        await pipeline.follow(.linked(welcome, snapshot: snapshot))
    }

    /// What workers think of the only endpoint of an instance.
    func condition(of instance: String, port: UInt16) async throws -> EndpointCondition? {
        let key = try Self.key(instance, port)
        guard let slot = await pipeline.slots.overlay.current(key) else { return nil }
        return dataPlane.overlay.current(slot)
    }

    static func key(_ instance: String, _ port: UInt16) throws -> UInt64 {
        EndpointPlan(
            address: try AddressPlan(ip: "127.0.0.1", port: port), instance: instance, node: "n1"
        ).key
    }
}

/// Waits until something holds; false after a minute.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<12_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return try await condition()
}
