import CMeshShm
import Glibc
import MeshModel

/// How a process ended.
package enum ProcessEnd: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    init(waitStatus status: Int32) {
        let signal = status & 0x7f
        self = signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal)
    }

    package var description: String {
        switch self {
        case .exited(let status): "status \(status)"
        case .signalled(let signal): "signal \(signal)"
        }
    }
}

/// A program of another kind that this process has started.
///
/// It gets standard input from nowhere, standard output and error as told, and no other
/// descriptor.
package struct ChildProcess: Sendable {
    package let pid: Int32

    /// POSIX_SPAWN_SETSID of glibc, which its header shows to GNU sources only.
    private static let setsid: Int16 = 0x80

    /// Starts `program` (a path) with `arguments` behind its name. `errors` is its standard error
    /// when that is not `output`; a descriptor that is neither 0 nor 1. `isSession`: it leads a
    /// session of its own, which no signal to ours reaches.
    package init(
        program: String, arguments: [String], environment: [String: String]? = nil,
        output: Int32 = STDERR_FILENO, errors: Int32? = nil, isSession: Bool = false
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors ?? output, STDERR_FILENO)
        guard shm_spawn_close_from(&actions, STDERR_FILENO + 1) == 0 else {
            throw MeshError(.system, "cannot start \(program): no memory")
        }

        // Signals that this process ignores or blocks are as they are by default in the child.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        var flags = Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK)
        if isSession { flags |= Self.setsid }
        posix_spawnattr_setflags(&attributes, flags)

        var pid: pid_t = 0
        let result = Self.withStrings([program] + arguments) { argv in
            guard let environment else {
                return posix_spawn(&pid, program, &actions, &attributes, argv, environ)
            }
            return Self.withStrings(environment.map { "\($0.key)=\($0.value)" }.sorted()) { envp in
                posix_spawn(&pid, program, &actions, &attributes, argv, envp)
            }
        }
        guard result == 0 else {
            throw MeshError(
                .system, "cannot start \(program): \(String(cString: strerror(result)))")
        }
        self.pid = pid
    }

    /// Lends C strings and the NULL that ends their list.
    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { pointers.forEach { free($0) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                fatalError("the list holds its NULL at least")
            }
            return body(base)
        }
    }

    /// How it ended, or nil while it runs. Once it has told, the process is forgotten: ask no more.
    func poll() -> ProcessEnd? {
        var status: Int32 = 0
        let found = waitpid(pid, &status, WNOHANG)
        if found == pid { return ProcessEnd(waitStatus: status) }
        // Nobody can tell any more: somebody else has waited for it.
        return found < 0 && errno == ECHILD ? .exited(0) : nil
    }

    /// Waits until it has ended; nil when `deadline` has passed before.
    package func wait(until deadline: ContinuousClock.Instant? = nil) async -> ProcessEnd? {
        var pause = Duration.milliseconds(1)
        while true {
            if let end = poll() { return end }
            if let deadline, ContinuousClock.now >= deadline { return nil }
            await Self.pause(pause)
            pause = min(pause * 2, .milliseconds(50))
        }
    }

    /// Sleeps in a cancelled task too: a process that was told to end is waited for all the same,
    /// and not by asking without a pause.
    static func pause(_ time: Duration) async {
        // Not structured, so that the cancellation does not reach the sleep; nothing cancels this
        // task, so that the sleep does not throw.
        await Task { try? await Task.sleep(for: time) }.value
    }

    package func signal(_ number: Int32) {
        kill(pid, number)
    }
}
