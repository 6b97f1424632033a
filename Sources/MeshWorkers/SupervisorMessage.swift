import CMeshABI
import MeshModel

/// What the supervisor says first: who it is and what is live.
package struct DataPlaneWelcome: Sendable, Equatable {
    /// ABI version of the data plane.
    package var version: UInt32
    package var pid: UInt32
    /// Worker slots.
    package var workers: Int
    /// Live snapshot; 0: none was ever published.
    package var generation: UInt64
    package var secretsGeneration: UInt64
    /// Unix time of its start, milliseconds.
    package var startedAtMilliseconds: UInt64
    /// How its workers wait for the network: `io_uring` or `epoll`.
    package var engine: String
    /// Whether its kernel can make TLS records; nil: not known.
    package var kernelTls: Bool?
    /// Name and version of the program.
    package var program: String
}

/// One checked message of the supervisor.
enum SupervisorMessage {
    case welcome(DataPlaneWelcome, overlay: Descriptor, snapshot: Descriptor?)
    case refuse(version: UInt32, reason: String)
    case worker(WorkerReport, stats: Descriptor?, questions: Descriptor?)
    case published(Publication.End)
    case phase(PhaseReport)
    case ready(worker: Int)
    case drained(worker: Int)
    case released(worker: Int, generation: UInt64)
    case upgraded(DataPlaneUpgrade)
    case elder(ElderStatus, ended: Bool)
}

/// How an upgrade of the data plane has ended.
package enum DataPlaneUpgrade: Sendable, Equatable {
    /// This process serves now.
    case done(pid: UInt32)
    /// Nothing has changed.
    case failed(reason: String)
    /// Not begun: worth another try later.
    case busy(reason: String)
}

/// A data plane of before an upgrade, which finishes what clients have with it.
package struct ElderStatus: Sendable, Equatable {
    package var pid: UInt32
    /// What its workers run to their end.
    package var generation: UInt64
    package var connections: UInt64
    /// Until what is left is cut, as of when it was told.
    package var leftMilliseconds: UInt64
    /// Name and version of its program; empty until it has said so.
    package var program: String
}

/// What the supervisor says about a worker slot.
struct WorkerReport: Equatable {
    var worker: Int
    var pid: UInt32
    var state: WorkerState
    var exitStatus: UInt32
    var generation: UInt64
}

/// A step of one worker, or of the supervisor itself, with a generation.
struct PhaseReport: Equatable {
    enum Phase: Equatable {
        case prepared
        /// `listener`: the record of the snapshot whose address cannot be had, when it is that.
        case refused(reason: String, listener: Int? = nil)
        case committed
        case timedOut
    }
    /// nil: the supervisor itself.
    var worker: Int?
    var generation: UInt64
    var phase: Phase
}

extension SupervisorMessage {
    /// Reads one packet; throws when anything about it is wrong: a data plane that is not ours.
    init(bytes: UnsafeRawBufferPointer, descriptors: [Descriptor]) throws {
        let head = try Self.load(abi_control_head.self, bytes)
        guard Int(head.length) == bytes.count else {
            throw Self.wrong("another length than it says")
        }
        switch abi_control_type(rawValue: head.type) {
        case ABI_CONTROL_WELCOME:
            self = try Self.welcome(Self.exactly(bytes), descriptors)
        case ABI_CONTROL_REFUSE:
            let message: abi_control_refuse = try Self.exactly(bytes)
            let reason = try Self.text(message.reason)
            self = .refuse(version: message.version, reason: reason)
        case ABI_CONTROL_WORKER:
            self = try Self.worker(Self.exactly(bytes), descriptors)
        case ABI_CONTROL_PUBLISHED:
            self = try Self.published(Self.exactly(bytes))
        case ABI_CONTROL_PHASE:
            self = .phase(try Self.phase(Self.exactly(bytes)))
        case ABI_CONTROL_READY:
            self = .ready(worker: try Self.generation(Self.exactly(bytes)).0)
        case ABI_CONTROL_DRAINED:
            self = .drained(worker: try Self.generation(Self.exactly(bytes)).0)
        case ABI_CONTROL_RELEASED:
            let (worker, generation) = try Self.generation(Self.exactly(bytes))
            self = .released(worker: worker, generation: generation)
        case ABI_CONTROL_UPGRADED:
            self = .upgraded(try Self.upgraded(Self.exactly(bytes)))
        case ABI_CONTROL_ELDER:
            self = try Self.elder(Self.exactly(bytes))
        default:
            throw Self.wrong("type \(head.type)")
        }
    }

    private static func wrong(_ what: String) -> MeshError {
        MeshError(.invalid, "the data plane sent a message that cannot be read: \(what)")
    }

    private static func load<Message: BitwiseCopyable>(
        _ type: Message.Type, _ bytes: UnsafeRawBufferPointer
    ) throws -> Message {
        guard bytes.count >= MemoryLayout<Message>.size else { throw wrong("too short") }
        return bytes.loadUnaligned(as: Message.self)
    }

    private static func exactly<Message: BitwiseCopyable>(_ bytes: UnsafeRawBufferPointer) throws
        -> Message
    {
        guard bytes.count == MemoryLayout<Message>.size else {
            throw wrong("another length than its type has")
        }
        return try load(Message.self, bytes)
    }

    /// The text of a C array of characters, which must end inside it.
    private static func text<Field>(_ field: Field) throws -> String {
        try withUnsafeBytes(of: field) { bytes in
            guard let end = bytes.firstIndex(of: 0) else { throw wrong("a text does not end") }
            return String(decoding: bytes[..<end], as: UTF8.self)
        }
    }

    private static func slot(_ worker: UInt32) throws -> Int {
        guard worker < LIMIT_WORKERS else { throw wrong("worker \(worker)") }
        return Int(worker)
    }

    private static func welcome(_ message: abi_control_welcome, _ descriptors: [Descriptor]) throws
        -> Self
    {
        let hasSnapshot = message.has_snapshot == 1
        guard message.has_snapshot <= 1, (message.generation != 0) == hasSnapshot,
            message.kernel_tls < ABI_KERNEL_TLS_COUNT.rawValue,
            descriptors.count == (hasSnapshot ? 2 : 1),
            (1...LIMIT_WORKERS).contains(message.workers)
        else { throw wrong("a WELCOME that contradicts itself") }
        let welcome = DataPlaneWelcome(
            version: message.version, pid: message.pid, workers: Int(message.workers),
            generation: message.generation, secretsGeneration: message.secrets_generation,
            startedAtMilliseconds: message.started_at_ms, engine: try text(message.engine),
            kernelTls: message.kernel_tls == ABI_KERNEL_TLS_UNKNOWN.rawValue
                ? nil : message.kernel_tls == ABI_KERNEL_TLS_YES.rawValue,
            program: try text(message.program))
        return .welcome(
            welcome, overlay: descriptors[0], snapshot: hasSnapshot ? descriptors[1] : nil)
    }

    private static func worker(_ message: abi_control_worker, _ descriptors: [Descriptor]) throws
        -> Self
    {
        guard let state = WorkerState(abi_worker_state(rawValue: message.state)),
            descriptors.isEmpty || descriptors.count == 2
        else { throw wrong("worker state \(message.state)") }
        return .worker(
            WorkerReport(
                worker: try slot(message.worker), pid: message.pid, state: state,
                exitStatus: message.exit_status, generation: message.generation),
            stats: descriptors.first, questions: descriptors.last)
    }

    private static func published(_ message: abi_control_published) throws -> Self {
        let outcome: Publication.End.Outcome
        switch abi_published(rawValue: message.outcome) {
        case ABI_PUBLISHED_LIVE: outcome = .live
        case ABI_PUBLISHED_PARTIAL: outcome = .partial
        case ABI_PUBLISHED_REFUSED: outcome = .refused
        default: throw wrong("outcome \(message.outcome)")
        }
        let laggards = (0..<Int(LIMIT_WORKERS)).filter { message.laggards >> UInt64($0) & 1 != 0 }
        return .published(
            Publication.End(generation: message.generation, outcome: outcome, laggards: laggards))
    }

    private static func phase(_ message: abi_control_phase) throws -> PhaseReport {
        let phase: PhaseReport.Phase
        switch abi_phase(rawValue: message.phase) {
        case ABI_PHASE_PREPARED: phase = .prepared
        case ABI_PHASE_REFUSED:
            let isListener =
                message.code == ABI_REFUSAL_LISTENER.rawValue
                && message.listener != ABI_LISTENER_UNKNOWN
            phase = .refused(
                reason: try text(message.reason),
                listener: isListener ? Int(message.listener) : nil)
        case ABI_PHASE_COMMITTED: phase = .committed
        case ABI_PHASE_TIMED_OUT: phase = .timedOut
        default: throw wrong("phase \(message.phase)")
        }
        let worker = message.worker == ABI_WORKER_SUPERVISOR ? nil : try slot(message.worker)
        return PhaseReport(worker: worker, generation: message.generation, phase: phase)
    }

    private static func upgraded(_ message: abi_control_upgraded) throws -> DataPlaneUpgrade {
        switch abi_upgraded(rawValue: message.outcome) {
        case ABI_UPGRADED_DONE: return .done(pid: message.pid)
        case ABI_UPGRADED_FAILED: return .failed(reason: try text(message.reason))
        case ABI_UPGRADED_BUSY: return .busy(reason: try text(message.reason))
        default: throw wrong("outcome \(message.outcome) of an upgrade")
        }
    }

    private static func elder(_ message: abi_control_elder) throws -> Self {
        guard message.ended <= 1 else { throw wrong("an ELDER that contradicts itself") }
        let elder = ElderStatus(
            pid: message.pid, generation: message.generation, connections: message.connections,
            leftMilliseconds: message.left_ms, program: try text(message.program))
        return .elder(elder, ended: message.ended == 1)
    }

    private static func generation(_ message: abi_control_generation) throws -> (Int, UInt64) {
        (try slot(message.worker), message.generation)
    }
}
