import Foundation
import MeshAdminAPI
import MeshConfig
import MeshModel
import MeshProcess
import MeshWorkers

/// Lets another program take over from the running data plane, after a look at it.
struct DataPlaneUpgrader: Sendable {
    let configuration: Configuration
    let link: DataPlaneLink

    /// What a program says of itself when asked for its version.
    struct Introduction: Equatable {
        /// Name and version.
        var text: String
        /// Version of the control channel that it speaks.
        var abi: UInt32

        /// Reads `dataplane 1.2.3 (abi 4)`; nil for anything else.
        init?(_ line: String) {
            guard let match = line.wholeMatch(of: /(dataplane \S+) \(abi (\d{1,9})\)\s*/),
                let abi = UInt32(match.2)
            else { return nil }
            text = String(match.1)
            self.abi = abi
        }
    }

    func upgrade(_ request: UpgradeRequest) async throws -> UpgradeReport {
        let path = request.path ?? DataPlaneKeeper.program(configuration)
        let version: String
        do {
            version = try await Self.look(at: path)
        } catch let error as MeshError {
            return UpgradeReport(
                outcome: .failed, path: path, pid: await pid(), reason: error.message)
        }
        switch try await link.upgrade(to: path) {
        case .done(let pid):
            return UpgradeReport(
                outcome: .done, path: path, version: version, pid: Int(pid), notes: notes(path))
        case .failed(let reason):
            return UpgradeReport(
                outcome: .failed, path: path, version: version, pid: await pid(), reason: reason)
        case .busy(let reason):
            return UpgradeReport(
                outcome: .busy, path: path, version: version, pid: await pid(), reason: reason)
        }
    }

    private func pid() async -> Int? { await link.status.welcome.map { Int($0.pid) } }

    /// What will not be as it is now when the data plane is started the next time.
    private func notes(_ path: String) -> [String] {
        let usual = DataPlaneKeeper.program(configuration)
        guard path != usual else { return [] }
        return [
            configuration.dataplane.managed
                ? "after a restart of the data plane \(usual) runs again: set dataplane.path"
                : "after a restart of the data plane its service manager starts what its unit names"
        ]
    }

    // MARK: - the program

    /// Version text of the program, if it is one that may take over. Nothing has happened when this
    /// throws.
    private static func look(at path: String) async throws -> String {
        guard path.hasPrefix("/") else {
            throw MeshError(.invalid, "\(path) is not an absolute path")
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
            !isFolder.boolValue
        else { throw MeshError(.notFound, "there is no program \(path)") }
        guard access(path, X_OK) == 0 else {
            throw MeshError(.denied, "\(path) may not be executed")
        }
        let line = try await ask(path)
        guard let introduction = Introduction(line) else {
            throw MeshError(.invalid, "\(path) is not a data plane: it does not say its version")
        }
        guard DataPlaneLink.spokenVersions.contains(introduction.abi) else {
            let spoken = DataPlaneLink.spokenVersions
            throw MeshError(
                .invalid,
                "\(introduction.text) speaks version \(introduction.abi) of the control channel, "
                    + "this control plane "
                    + (spoken.count == 1
                        ? "\(spoken.upperBound)" : "\(spoken.lowerBound) to \(spoken.upperBound)")
                    + ": upgrade the control plane first")
        }
        return introduction.text
    }

    /// What `path --version` prints.
    private static func ask(_ path: String) async throws -> String {
        let pipe = Pipe()
        let child: ChildProcess
        do {
            child = try ChildProcess(
                program: path, arguments: ["--version"],
                output: pipe.fileHandleForWriting.fileDescriptor, errors: STDERR_FILENO)
        } catch let error as MeshError {
            throw MeshError(.invalid, "\(path) cannot be executed: \(error.message)")
        }
        // Its end of the pipe is the only one: what it printed ends with it.
        try? pipe.fileHandleForWriting.close()
        guard let end = await child.wait(until: ContinuousClock.now + .seconds(5)) else {
            child.signal(SIGKILL)
            _ = await child.wait()
            throw MeshError(.timeout, "\(path) does not say its version within 5 s")
        }
        guard end == .exited(0) else {
            throw MeshError(.invalid, "\(path) is not a data plane: --version ended with \(end)")
        }
        let data = try pipe.fileHandleForReading.read(upToCount: 256) ?? Data()
        return String(decoding: data, as: UTF8.self)
    }
}
