import CMeshABI
import Glibc
import Testing

@testable import MeshWorkers

/// What the supervisor says is read as it was written, or not at all.
struct MessageTests {
    /// A message with its head filled in.
    private static func bytes<Message: BitwiseCopyable>(
        _ type: abi_control_type, _ message: Message
    ) -> [UInt8] {
        let head = abi_control_head(
            type: UInt32(type.rawValue), length: UInt32(MemoryLayout<Message>.size))
        var bytes = withUnsafeBytes(of: message) { Array($0) }
        withUnsafeBytes(of: head) { bytes.replaceSubrange(0..<8, with: $0) }
        return bytes
    }

    private static func read(_ bytes: [UInt8], descriptors: Int = 0) throws -> SupervisorMessage {
        try bytes.withUnsafeBytes {
            try SupervisorMessage(
                bytes: $0, descriptors: (0..<descriptors).map { _ in Descriptor(dup(0)) })
        }
    }

    private static func welcome(generation: UInt64 = 0, workers: UInt32 = 2) -> abi_control_welcome
    {
        var message = abi_control_welcome()
        message.version = 1
        message.pid = 77
        message.workers = workers
        message.has_snapshot = generation == 0 ? 0 : 1
        message.generation = generation
        withUnsafeMutableBytes(of: &message.engine) { $0.copyBytes(from: "io_uring".utf8) }
        return message
    }

    private static func phase(_ phase: abi_phase, worker: UInt32, reason: String = "")
        -> abi_control_phase
    {
        var message = abi_control_phase()
        message.worker = worker
        message.phase = UInt32(phase.rawValue)
        message.generation = 9
        withUnsafeMutableBytes(of: &message.reason) { $0.copyBytes(from: reason.utf8) }
        return message
    }

    @Test func welcomeWithoutSnapshot() throws {
        guard
            case .welcome(let welcome, _, let snapshot) = try Self.read(
                Self.bytes(ABI_CONTROL_WELCOME, Self.welcome()), descriptors: 1)
        else { throw Unexpected() }
        #expect(welcome.pid == 77)
        #expect(welcome.workers == 2)
        #expect(welcome.engine == "io_uring")
        #expect(welcome.kernelTls == nil)
        #expect(welcome.generation == 0)
        #expect(snapshot == nil)
    }

    @Test(arguments: [(ABI_KERNEL_TLS_NO, false), (ABI_KERNEL_TLS_YES, true)])
    func welcomeTellsOfTheKernel(said: abi_kernel_tls, meant: Bool) throws {
        var message = Self.welcome()
        message.kernel_tls = said.rawValue
        guard
            case .welcome(let welcome, _, _) = try Self.read(
                Self.bytes(ABI_CONTROL_WELCOME, message), descriptors: 1)
        else { throw Unexpected() }
        #expect(welcome.kernelTls == meant)
    }

    @Test func upgradesAndThoseOfBefore() throws {
        var end = abi_control_upgraded()
        end.pid = 99
        guard case .upgraded(.done(pid: 99)) = try Self.read(Self.bytes(ABI_CONTROL_UPGRADED, end))
        else { throw Unexpected() }
        end.outcome = UInt32(ABI_UPGRADED_BUSY.rawValue)
        withUnsafeMutableBytes(of: &end.reason) { $0.copyBytes(from: "two drain".utf8) }
        guard
            case .upgraded(.busy(reason: "two drain")) = try Self.read(
                Self.bytes(ABI_CONTROL_UPGRADED, end))
        else { throw Unexpected() }
        end.outcome = UInt32(ABI_UPGRADED_COUNT.rawValue)
        #expect(throws: (any Error).self) { try Self.read(Self.bytes(ABI_CONTROL_UPGRADED, end)) }

        var elder = abi_control_elder()
        elder.pid = 98
        elder.connections = 3
        elder.ended = 1
        guard
            case .elder(let told, ended: true) = try Self.read(
                Self.bytes(ABI_CONTROL_ELDER, elder))
        else { throw Unexpected() }
        #expect(told.pid == 98 && told.connections == 3 && told.program.isEmpty)
        elder.ended = 2
        #expect(throws: (any Error).self) { try Self.read(Self.bytes(ABI_CONTROL_ELDER, elder)) }
    }

    @Test func theProgramOfAnUpgradeHasRoomForItsEnd() {
        let longest = "/" + String(repeating: "x", count: Int(LIMIT_PROGRAM_PATH) - 2)
        #expect(ControlPlaneMessage.upgrade(program: longest)?.count == 8 + Int(LIMIT_PROGRAM_PATH))
        #expect(ControlPlaneMessage.upgrade(program: longest + "x") == nil)
    }

    @Test func welcomeWithSnapshot() throws {
        guard
            case .welcome(let welcome, _, let snapshot) = try Self.read(
                Self.bytes(ABI_CONTROL_WELCOME, Self.welcome(generation: 5)), descriptors: 2)
        else { throw Unexpected() }
        #expect(welcome.generation == 5)
        #expect(snapshot != nil)
    }

    @Test(arguments: [0, 2, 3]) func welcomeWithWrongDescriptors(count: Int) {
        #expect(throws: (any Error).self) {
            try Self.read(Self.bytes(ABI_CONTROL_WELCOME, Self.welcome()), descriptors: count)
        }
    }

    @Test(arguments: [0, 65, UInt32.max]) func welcomeWithImpossibleWorkers(workers: UInt32) {
        #expect(throws: (any Error).self) {
            try Self.read(
                Self.bytes(ABI_CONTROL_WELCOME, Self.welcome(workers: workers)), descriptors: 1)
        }
    }

    @Test func phases() throws {
        let cases: [(abi_phase, PhaseReport.Phase)] = [
            (ABI_PHASE_PREPARED, .prepared), (ABI_PHASE_COMMITTED, .committed),
            (ABI_PHASE_TIMED_OUT, .timedOut), (ABI_PHASE_REFUSED, .refused(reason: "no room")),
        ]
        for (raw, expected) in cases {
            let message = Self.phase(raw, worker: 3, reason: "no room")
            guard case .phase(let report) = try Self.read(Self.bytes(ABI_CONTROL_PHASE, message))
            else { throw Unexpected() }
            #expect(report == PhaseReport(worker: 3, generation: 9, phase: expected))
        }
        let own = Self.phase(ABI_PHASE_REFUSED, worker: ABI_WORKER_SUPERVISOR, reason: "x")
        guard case .phase(let report) = try Self.read(Self.bytes(ABI_CONTROL_PHASE, own)) else {
            throw Unexpected()
        }
        #expect(report.worker == nil)
    }

    @Test func aTextMustEndInsideItsField() {
        let endless = String(repeating: "x", count: Int(LIMIT_REASON))
        #expect(throws: (any Error).self) {
            try Self.read(
                Self.bytes(
                    ABI_CONTROL_PHASE, Self.phase(ABI_PHASE_REFUSED, worker: 0, reason: endless)))
        }
    }

    @Test func publishedNamesItsLaggards() throws {
        var message = abi_control_published()
        message.generation = 4
        message.outcome = UInt32(ABI_PUBLISHED_PARTIAL.rawValue)
        message.laggards = 1 << 63 | 0b101
        guard case .published(let end) = try Self.read(Self.bytes(ABI_CONTROL_PUBLISHED, message))
        else { throw Unexpected() }
        #expect(end == Publication.End(generation: 4, outcome: .partial, laggards: [0, 2, 63]))
    }

    @Test func workersAndTheirExits() throws {
        var message = abi_control_worker()
        message.worker = 1
        message.pid = 8
        message.state = UInt32(ABI_WORKER_DEAD.rawValue)
        message.exit_status = 11
        guard
            case .worker(let report, let stats, _) = try Self.read(
                Self.bytes(ABI_CONTROL_WORKER, message))
        else { throw Unexpected() }
        #expect(stats == nil)
        let status = WorkerStatus(report)
        #expect(status.state == .dead)
        #expect(status.lastExit == "signal 11")
        message.exit_status = 69 << 8
        guard case .worker(let other, _, _) = try Self.read(Self.bytes(ABI_CONTROL_WORKER, message))
        else { throw Unexpected() }
        #expect(WorkerStatus(other).lastExit == "status 69")
    }

    @Test func everyTruncationAndEveryOtherLengthIsRefused() {
        let whole: [([UInt8], Int)] = [
            (Self.bytes(ABI_CONTROL_WELCOME, Self.welcome()), 1),
            (Self.bytes(ABI_CONTROL_REFUSE, abi_control_refuse()), 0),
            (Self.bytes(ABI_CONTROL_WORKER, abi_control_worker()), 2),
            (Self.bytes(ABI_CONTROL_PUBLISHED, abi_control_published()), 0),
            (Self.bytes(ABI_CONTROL_PHASE, abi_control_phase()), 0),
            (Self.bytes(ABI_CONTROL_RELEASED, abi_control_generation()), 0),
        ]
        for (message, descriptors) in whole {
            #expect(throws: Never.self) { try Self.read(message, descriptors: descriptors) }
            for length in 0..<message.count {
                var cut = Array(message.prefix(length))
                #expect(throws: (any Error).self) { try Self.read(cut, descriptors: descriptors) }
                guard length >= 8 else { continue }
                withUnsafeBytes(of: UInt32(length)) { cut.replaceSubrange(4..<8, with: $0) }
                #expect(throws: (any Error).self) { try Self.read(cut, descriptors: descriptors) }
            }
            #expect(throws: (any Error).self) {
                try Self.read(message + [0], descriptors: descriptors)
            }
        }
    }

    @Test func whatOnlyOthersSayIsRefused() {
        for type in [
            ABI_CONTROL_HELLO, ABI_CONTROL_PUBLISH, ABI_CONTROL_PREPARE, ABI_CONTROL_COMMIT,
            ABI_CONTROL_LISTENER,
        ] {
            #expect(throws: (any Error).self) {
                try Self.read(Self.bytes(type, abi_control_generation()))
            }
        }
    }

    @Test func numbersOutOfRange() {
        var worker = abi_control_worker()
        worker.state = UInt32(ABI_WORKER_STATE_COUNT.rawValue)
        #expect(throws: (any Error).self) { try Self.read(Self.bytes(ABI_CONTROL_WORKER, worker)) }
        worker.state = 0
        worker.worker = LIMIT_WORKERS
        #expect(throws: (any Error).self) { try Self.read(Self.bytes(ABI_CONTROL_WORKER, worker)) }
        var published = abi_control_published()
        published.outcome = UInt32(ABI_PUBLISHED_COUNT.rawValue)
        #expect(throws: (any Error).self) {
            try Self.read(Self.bytes(ABI_CONTROL_PUBLISHED, published))
        }
        let phase = Self.phase(ABI_PHASE_PREPARED, worker: LIMIT_WORKERS)
        #expect(throws: (any Error).self) { try Self.read(Self.bytes(ABI_CONTROL_PHASE, phase)) }
    }

    @Test func whatTheControlPlaneSays() throws {
        let installation = try #require(InstallationID(bytes: Array(1...16)))
        let hello = ControlPlaneMessage.hello(installation: installation, pid: 5)
        #expect(hello.count == MemoryLayout<abi_control_hello>.size)
        let message = hello.withUnsafeBytes { $0.loadUnaligned(as: abi_control_hello.self) }
        #expect(message.head.type == UInt32(ABI_CONTROL_HELLO.rawValue))
        #expect(message.head.length == 32)
        #expect(message.version == ABI_VERSION)
        #expect(Array(hello[16...]) == Array(1...16))
        let publish = ControlPlaneMessage.publish(
            generation: 3, secretsGeneration: 2, hasSecrets: true)
        let sent = publish.withUnsafeBytes { $0.loadUnaligned(as: abi_control_publish.self) }
        #expect(sent.generation == 3)
        #expect(sent.secrets_generation == 2)
        #expect(sent.has_secrets == 1)
        #expect(ControlPlaneMessage.shutdown(graceMilliseconds: 9).count == 16)
    }

    @Test func installationsAreSixteenBytesAndNotZero() {
        #expect(InstallationID(bytes: Array(repeating: 0, count: 16)) == nil)
        #expect(InstallationID(bytes: Array(repeating: 1, count: 15)) == nil)
        #expect(InstallationID(bytes: Array(repeating: 1, count: 17)) == nil)
        #expect(InstallationID.random() != InstallationID.random())
        #expect(InstallationID(bytes: InstallationID.random().bytes) != nil)
    }
}

/// A value of another case than expected.
struct Unexpected: Error {}
