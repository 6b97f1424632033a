package import Foundation
import Glibc
import MeshModel
package import MeshTelemetry
import Synchronization

/// A foreign program that is to run for as long as it is wanted, also over the end of this process:
/// started again with back-off when it ends, found again by its number and the time of its start.
package final class Daemon: Sendable {
    /// What is started; another one where any of it is another.
    package struct Wanted: Sendable, Equatable {
        package var id: String
        package var command: [String]
        package var environment: [String: String]
        package var fingerprint: String

        package init(
            id: String, command: [String], environment: [String: String], fingerprint: String
        ) {
            self.id = id
            self.command = command
            self.environment = environment
            self.fingerprint = fingerprint
        }
    }

    /// What a start is given besides: variables with a secret, and what tells that secret again.
    package struct Credentials: Sendable {
        package var environment: [String: String]
        package var token: String

        package init(environment: [String: String], token: String) {
            self.environment = environment
            self.token = token
        }
    }

    /// How it is, for people.
    package struct Status: Sendable, Equatable {
        /// nil: it does not run.
        package var pid: Int32?
        package var starts = 0
        package var since: Date?
        /// Whether a control plane before this one has started it.
        package var isAdopted = false
        /// How it ended last, or why it could not be started.
        package var end: String?
    }

    private enum Runner {
        case child(ChildProcess, ProcessIdentity)
        case adopted(ProcessIdentity)

        var identity: ProcessIdentity {
            switch self {
            case .child(_, let identity), .adopted(let identity): identity
            }
        }

        /// How it ended; nil while it runs.
        func poll() -> String? {
            switch self {
            case .child(let child, _): child.poll().map { "ended with \($0)" }
            case .adopted(let identity): identity.isAlive ? nil : "ended"
            }
        }
    }

    private struct State {
        var status = Status()
        var runner: Runner?
        var isWanted = true
    }

    package let wanted: Wanted
    private let files: DaemonFiles
    private let grace: Duration
    private let log: Logger
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    /// `record` is that of the process that runs already, if one does and is what is wanted.
    package init(
        _ wanted: Wanted, files: DaemonFiles, adopting record: DaemonFiles.Record? = nil,
        grace: Duration = .seconds(5), log: Logger, now: @escaping @Sendable () -> Date
    ) {
        self.wanted = wanted
        self.files = files
        self.grace = grace
        self.log = log
        self.now = now
        guard let record, record.process.isAlive else { return }
        state.withLock { state in
            state.runner = .adopted(record.process)
            state.status = Status(pid: record.process.pid, isAdopted: true)
        }
        log.info(
            "adopted a proxy",
            metadata: ["proxy": "\(wanted.id)", LogKey.pid: "\(record.process.pid)"])
    }

    package var status: Status { state.withLock { $0.status } }

    private var isWanted: Bool { state.withLock { $0.isWanted } }

    /// Keeps it running until ``stop()``, or until the task is cancelled: then it runs on.
    package func run(_ credentials: @Sendable () async throws -> Credentials) async {
        var policy = RestartPolicy.daemon
        while !Task.isCancelled, isWanted {
            let start = ContinuousClock.now
            if state.withLock({ $0.runner == nil }) { await launch(credentials) }
            await watch()
            guard !Task.isCancelled, isWanted else { break }
            await pause(policy.ended(after: ContinuousClock.now - start))
        }
    }

    private func launch(_ credentials: @Sendable () async throws -> Credentials) async {
        do {
            let given = try await credentials()
            let (child, identity) = try start(given)
            state.withLock { state in
                state.runner = .child(child, identity)
                state.status = Status(
                    pid: child.pid, starts: state.status.starts + 1, since: now(),
                    end: state.status.end)
            }
            try files.write(
                DaemonFiles.Record(
                    process: identity, fingerprint: wanted.fingerprint, token: given.token),
                of: wanted.id)
            log.info(
                "proxy started", metadata: ["proxy": "\(wanted.id)", LogKey.pid: "\(child.pid)"])
        } catch {
            state.withLock { $0.status.end = "\(error)" }
            log.error(
                "proxy cannot be started",
                metadata: ["proxy": "\(wanted.id)", LogKey.error: "\(error)"])
        }
    }

    private func start(_ given: Credentials) throws -> (ChildProcess, ProcessIdentity) {
        guard let name = wanted.command.first else {
            throw MeshError(.invalid, "the command of proxy \(wanted.id) is empty")
        }
        let environment = wanted.environment.merging(given.environment) { _, new in new }
        let output = try files.openLog(wanted.id, .stdout)
        defer { close(output) }
        let errors = try files.openLog(wanted.id, .stderr)
        defer { close(errors) }
        let child = try ChildProcess(
            program: Self.path(of: name, environment["PATH"]),
            arguments: Array(wanted.command.dropFirst()), environment: environment,
            output: output, errors: errors, isSession: true)
        // It is not waited for here, so that its number stays its own even when it has ended.
        guard let identity = ProcessIdentity.of(child.pid) else {
            return (child, ProcessIdentity(pid: child.pid, start: 0, boot: ""))
        }
        return (child, identity)
    }

    /// Where a program without a path is found.
    private static func path(of name: String, _ folders: String?) -> String {
        if name.contains("/") { return name }
        for folder in (folders ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":") {
            let path = "\(folder)/\(name)"
            if access(path, X_OK) == 0 { return path }
        }
        return name
    }

    /// Returns when it has ended, is not wanted any more or the task is cancelled.
    private func watch() async {
        while !Task.isCancelled, isWanted {
            guard let runner = state.withLock({ $0.runner }) else { return }
            if let end = runner.poll() {
                state.withLock { state in
                    state.runner = nil
                    state.status.pid = nil
                    state.status.end = end
                }
                files.forget(wanted.id)
                log.warning(
                    "proxy \(end)",
                    metadata: [
                        "proxy": "\(wanted.id)", LogKey.pid: "\(runner.identity.pid)",
                    ])
                return
            }
            await pause(.milliseconds(100))
        }
    }

    /// Sleeps, but no longer than it is wanted.
    private func pause(_ time: Duration) async {
        let end = ContinuousClock.now + time
        while isWanted, !Task.isCancelled, ContinuousClock.now < end {
            let rest = end - ContinuousClock.now
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: min(rest, .milliseconds(100)))
        }
    }

    /// Ends it for good: asked first, killed when it takes too long.
    package func stop() async {
        let runner = state.withLock { state in
            state.isWanted = false
            return state.runner
        }
        guard let runner else { return files.forget(wanted.id) }
        signal(runner, SIGTERM)
        let deadline = ContinuousClock.now + grace
        var end = runner.poll()
        while end == nil, ContinuousClock.now < deadline {
            await ChildProcess.pause(.milliseconds(20))
            end = runner.poll()
        }
        if end == nil {
            log.warning(
                "proxy is killed",
                metadata: ["proxy": "\(wanted.id)", LogKey.pid: "\(runner.identity.pid)"])
            signal(runner, SIGKILL)
            while runner.poll() == nil { await ChildProcess.pause(.milliseconds(20)) }
        }
        state.withLock { state in
            state.runner = nil
            state.status.pid = nil
            state.status.end = "stopped"
        }
        files.forget(wanted.id)
    }

    /// To all of its session, which is its own: a shell has children.
    private func signal(_ runner: Runner, _ number: Int32) {
        if case .adopted(let identity) = runner, !identity.isAlive { return }
        if kill(-runner.identity.pid, number) != 0 { kill(runner.identity.pid, number) }
    }
}

extension Daemon {
    /// Ends a process that nobody wants any more and that a control plane before this one started.
    package static func end(
        _ id: String, _ record: DaemonFiles.Record, files: DaemonFiles, log: Logger
    ) async {
        let daemon = Daemon(
            Wanted(id: id, command: [], environment: [:], fingerprint: ""), files: files,
            adopting: record, log: log, now: { .distantPast })
        await daemon.stop()
    }
}
