import Foundation
import Glibc
package import MeshModel

extension MeshError.Code {
    /// The kernel lacks or forbids what the data plane needs.
    package static let kernel = Self(rawValue: "kernel")
}

/// The data plane as a process: starts one that outlives this process, unless one runs already.
///
/// The supervisor holds `<control socket>.lock`: who holds it is the data plane of that socket,
/// whoever started it.
package struct DataPlaneProcess: Sendable {
    /// What the program is told; members that are nil leave its defaults.
    package struct Options: Sendable, Equatable {
        package var program: String
        package var controlSocket: String
        package var workers: Int?
        package var cpus: String?
        package var engine: String?
        package var drainTimeout: Duration?
        package var logLevel: String?
        /// Appended to; nil: the log goes where this process' standard error goes.
        package var logFile: String?

        package init(program: String, controlSocket: String) {
            self.program = program
            self.controlSocket = controlSocket
        }

        /// Where the supervisor writes its process number.
        package var pidFile: String { controlSocket + ".pid" }

        var lockFile: String { controlSocket + ".lock" }

        var arguments: [String] {
            var result = ["--control-socket", controlSocket, "--pid-file", pidFile, "--detach"]
            if let workers { result += ["--workers", "\(workers)"] }
            if let cpus { result += ["--cpus", cpus] }
            if let engine { result += ["--engine", engine] }
            if let drainTimeout { result += ["--drain-timeout", "\(drainTimeout.milliseconds)"] }
            if let logLevel { result += ["--log-level", logLevel] }
            return result
        }
    }

    /// What ensureRunning() found or did.
    package enum Start: Sendable, Equatable {
        /// A data plane ran already, from an earlier control plane.
        case adopted
        case started
    }

    package let options: Options

    package init(_ options: Options) {
        self.options = options
    }

    /// Whether a data plane runs on the control socket.
    package func isRunning() -> Bool {
        let file = open(options.lockFile, O_RDWR | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        // The lock, if it is had, is given back with the descriptor; a supervisor that starts in
        // this instant tries for half a second.
        return flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// Process number of the supervisor, from its file; nil without a running data plane.
    package func pid() -> Int32? {
        guard isRunning() else { return nil }
        let file = open(options.pidFile, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 16)
        let length = read(file, &bytes, bytes.count)
        guard length > 1, bytes[length - 1] == UInt8(ascii: "\n") else { return nil }
        let number = Int32(String(decoding: bytes[..<(length - 1)], as: UTF8.self))
        return number.flatMap { $0 > 1 ? $0 : nil }
    }

    /// A service manager that waits for this process does not wait for what it starts.
    private static var environment: [String: String] {
        ProcessInfo.processInfo.environment.filter {
            !["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"].contains($0.key)
        }
    }

    /// Starts a data plane unless one runs; returns when its control socket can be connected to.
    package func ensureRunning(within limit: Duration = .seconds(10)) async throws -> Start {
        if isRunning() { return .adopted }
        let output = try openLog()
        defer { if output != STDERR_FILENO { close(output) } }
        let child = try ChildProcess(
            program: options.program, arguments: options.arguments,
            environment: Self.environment, output: STDOUT_FILENO, errors: output)
        // The program returns once the data plane is up: its child lives on by itself.
        guard let end = await child.wait(until: ContinuousClock.now + limit) else {
            child.signal(SIGKILL)
            _ = await child.wait()
            throw MeshError(.timeout, "the data plane was not up after \(limit)")
        }
        switch end {
        case .exited(0): return .started
        case .exited(75) where isRunning(): return .adopted  // another start was faster
        case .exited(69): throw MeshError(.kernel, Self.explain(end, options))
        default: throw MeshError(.unavailable, Self.explain(end, options))
        }
    }

    /// Tells the data plane to drain and end, and waits for it. false: it still runs.
    package func stop(within limit: Duration) async -> Bool {
        guard let pid = pid() else { return !isRunning() }
        kill(pid, SIGTERM)
        return await waitUntilGone(within: limit)
    }

    /// Waits until no data plane runs; false: the time is over.
    package func waitUntilGone(within limit: Duration) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while isRunning() {
            if ContinuousClock.now >= deadline { return false }
            await ChildProcess.pause(.milliseconds(10))
        }
        return true
    }

    private func openLog() throws -> Int32 {
        guard let path = options.logFile else { return STDERR_FILENO }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard file >= 0 else {
            throw MeshError(.system, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        return file
    }

    private static func explain(_ end: ProcessEnd, _ options: Options) -> String {
        let why =
            switch end {
            case .exited(64):
                "it does not know its arguments: \(options.program) is of another version"
            case .exited(69): "the kernel lacks or forbids something it needs; its log says what"
            case .exited(75): "another data plane holds \(options.lockFile)"
            case .exited(78): "it cannot make \(options.controlSocket); its log says why"
            case .exited, .signalled: "it ended with \(end)"
            }
        return "the data plane cannot be started: \(why)"
    }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
