import Glibc
import MeshModel
import MeshTelemetry
import Testing

@testable import MeshProcess

/// A folder of its own for one test, removed with everything in it.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/ringmesh-test-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["c.sock", "c.sock.lock", "c.sock.pid", "log", "out"] {
            unlink("\(path)/\(name)")
        }
        rmdir(path)
    }

    /// Bytes of a file as text; empty when it is not there.
    func read(_ name: String) -> String {
        let file = open("\(path)/\(name)", O_RDONLY)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let length = Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes[..<max(0, length)], as: UTF8.self)
    }
}

/// Waits for a condition; false when it does not come.
func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<12_000 {
        if condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

@Suite(.timeLimit(.minutes(5)))
struct ChildProcessTests {
    @Test func itsEndIsTold() async throws {
        let done = try ChildProcess(program: "/bin/sh", arguments: ["-c", "exit 7"])
        #expect(await done.wait() == .exited(7))
        let killed = try ChildProcess(program: "/bin/sh", arguments: ["-c", "kill -9 $$"])
        #expect(await killed.wait() == .signalled(9))
    }

    @Test func aDeadlinePasses() async throws {
        let child = try ChildProcess(program: "/bin/sleep", arguments: ["60"])
        #expect(await child.wait(until: ContinuousClock.now + .milliseconds(50)) == nil)
        child.signal(SIGKILL)
        #expect(await child.wait() == .signalled(9))
    }

    @Test func itGetsItsEnvironmentAndNoForeignDescriptor() async throws {
        let folder = try TestFolder()
        let out = open("\(folder.path)/out", O_WRONLY | O_CREAT, 0o600)
        // Open and not close-on-exec: exactly what must not leak.
        let foreign = dup(out)
        let child = try ChildProcess(
            program: "/bin/sh",
            arguments: ["-c", "echo $COLOUR; test -e /proc/self/fd/\(foreign) && echo leaked"],
            environment: ["COLOUR": "blue", "PATH": "/bin:/usr/bin"], output: out)
        _ = await child.wait()
        close(out)
        close(foreign)
        #expect(folder.read("out") == "blue\n")
    }

    @Test func aProgramThatIsNotThereIsNamed() {
        #expect(throws: MeshError.self) {
            try ChildProcess(program: "/nonexistent/program", arguments: [])
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct ManagedProcessTests {
    @Test func itIsStartedAgainAndEndsWithItsService() async throws {
        let folder = try TestFolder()
        let script =
            "echo $$ >> \(folder.path)/out; test $(wc -l < \(folder.path)/out) -ge 3 || exit 1; exec sleep 60"
        var process = ManagedProcess(
            program: "/bin/sh", arguments: ["-c", script], log: LogSystem().logger("process.test"))
        process.policy = RestartPolicy(first: .milliseconds(1), most: .milliseconds(5))
        let service = process
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            let seen = try await eventually { folder.read("out").split(separator: "\n").count == 3 }
            #expect(seen)
            group.cancelAll()
        }
        let last = try #require(folder.read("out").split(separator: "\n").last)
        let pid = try #require(pid_t(last))
        #expect(kill(pid, 0) == -1)  // gone, and waited for
    }

    @Test func aProcessThatIgnoresSIGTERMIsKilled() async throws {
        let folder = try TestFolder()
        let script = "trap '' TERM; echo $$ >> \(folder.path)/out; while :; do sleep 0.05; done"
        var process = ManagedProcess(
            program: "/bin/sh", arguments: ["-c", script], log: LogSystem().logger("process.test"))
        process.grace = .milliseconds(100)
        let service = process
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            let seen = try await eventually { !folder.read("out").isEmpty }
            #expect(seen)
            group.cancelAll()
        }
        let pid = try #require(pid_t(folder.read("out").dropLast()))
        #expect(kill(pid, 0) == -1)
    }
}

@Suite(.serialized, .timeLimit(.minutes(5)))
struct DataPlaneProcessTests {
    private func options(_ folder: TestFolder) throws -> DataPlaneProcess.Options {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        try #require(length > 0)
        let own = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let slash = try #require(own.lastIndex(of: "/"))
        var options = DataPlaneProcess.Options(
            program: String(own[..<slash]) + "/dataplane", controlSocket: "\(folder.path)/c.sock")
        try #require(access(options.program, X_OK) == 0, "build the product dataplane first")
        options.workers = 1
        options.drainTimeout = .milliseconds(100)
        options.logFile = "\(folder.path)/log"
        return options
    }

    @Test func itIsStartedFoundAdoptedAndStopped() async throws {
        let folder = try TestFolder()
        let process = DataPlaneProcess(try options(folder))
        #expect(!process.isRunning())
        #expect(process.pid() == nil)
        #expect(try await process.ensureRunning() == .started)
        #expect(process.isRunning())
        let pid = try #require(process.pid())
        #expect(getsid(pid) == pid)  // of its own session: it outlives this process
        #expect(try await process.ensureRunning() == .adopted)
        #expect(process.pid() == pid)
        #expect(await process.stop(within: .seconds(30)))
        #expect(!process.isRunning())
        #expect(access("\(folder.path)/c.sock", F_OK) == -1)
        #expect(process.pid() == nil)
    }

    /// A node that fails cancels the task in which it ends its data plane.
    @Test func theEndIsWaitedForInACancelledTask() async throws {
        let folder = try TestFolder()
        let process = DataPlaneProcess(try options(folder))
        #expect(try await process.ensureRunning() == .started)
        let stop = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await process.stop(within: .seconds(30))
        }
        #expect(await stop.value)
        #expect(!process.isRunning())
    }

    @Test func aKilledOneLeavesNoLockBehind() async throws {
        let folder = try TestFolder()
        let process = DataPlaneProcess(try options(folder))
        #expect(try await process.ensureRunning() == .started)
        kill(try #require(process.pid()), SIGKILL)
        #expect(await process.waitUntilGone(within: .seconds(30)))
        #expect(try await process.ensureRunning() == .started)
        #expect(await process.stop(within: .seconds(30)))
    }

    @Test func whatKeepsItFromStartingIsSaid() async throws {
        let folder = try TestFolder()
        var options = try options(folder)
        options.engine = "kqueue"
        await expectFailure(options, "arguments")
        options.engine = nil
        options.controlSocket = "\(folder.path)/missing/c.sock"
        await expectFailure(options, "cannot make")
        options.program = "/nonexistent/dataplane"
        await expectFailure(options, "/nonexistent/dataplane")
    }

    private func expectFailure(_ options: DataPlaneProcess.Options, _ expected: String) async {
        do {
            _ = try await DataPlaneProcess(options).ensureRunning()
            Issue.record("it has started")
        } catch {
            #expect("\(error)".contains(expected))
        }
    }
}
