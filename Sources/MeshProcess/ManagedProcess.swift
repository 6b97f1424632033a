import Glibc
package import MeshTelemetry

/// A foreign program that runs as long as this service does: started again with back-off when it
/// ends, told to end and then ended when the service is cancelled.
package struct ManagedProcess: Sendable {
    package var program: String
    package var arguments: [String]
    package var environment: [String: String]?
    package var policy = RestartPolicy()
    /// Between SIGTERM and SIGKILL.
    package var grace: Duration = .seconds(5)
    package var log: Logger

    package init(
        program: String, arguments: [String] = [], environment: [String: String]? = nil, log: Logger
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.log = log
    }

    /// Runs until the task is cancelled.
    package func run() async {
        var policy = policy
        while !Task.isCancelled {
            let start = ContinuousClock.now
            await runOnce()
            guard !Task.isCancelled else { return }
            try? await Task.sleep(for: policy.ended(after: ContinuousClock.now - start))
        }
    }

    private func runOnce() async {
        let child: ChildProcess
        do {
            child = try ChildProcess(
                program: program, arguments: arguments, environment: environment)
        } catch {
            log.error("process cannot be started", metadata: [LogKey.error: "\(error)"])
            return
        }
        log.info(
            "process started", metadata: [LogKey.pid: "\(child.pid)", "program": "\(program)"])
        while !Task.isCancelled {
            if let end = await child.wait(until: ContinuousClock.now + .milliseconds(100)) {
                log.warning(
                    "process ended", metadata: [LogKey.pid: "\(child.pid)", "end": "\(end)"])
                return
            }
        }
        await stop(child)
    }

    private func stop(_ child: ChildProcess) async {
        child.signal(SIGTERM)
        if await child.wait(until: ContinuousClock.now + grace) == nil {
            log.warning("process is killed", metadata: [LogKey.pid: "\(child.pid)"])
            child.signal(SIGKILL)
            _ = await child.wait()
        }
    }
}
