import Foundation
package import MeshModel
import Synchronization

/// The file of a unix socket: made for its owner only, never taken from somebody who uses it.
/// The server removes it when it ends.
struct SocketFile: Sendable {
    let path: String
    /// What the path is called in errors, for example `admin.socket`.
    let key: String

    /// Makes the folder and removes what a killed predecessor left.
    func prepare() throws {
        try makeFolder()
        var info = stat()
        guard lstat(path, &info) == 0 else { return }
        guard info.st_mode & S_IFMT == S_IFSOCK else {
            throw MeshError(
                .conflict, "\(path) exists and is no socket: set \(key) to another path")
        }
        if Self.isAnswered(path) {
            throw MeshError(.conflict, "\(path) is in use: another control plane is running")
        }
        unlink(path)
    }

    private func makeFolder() throws {
        let folder = (path as NSString).deletingLastPathComponent
        guard !folder.isEmpty else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw MeshError(folder: folder, of: key, cause: error)
        }
    }

    /// Called once the server listens.
    func restrict() {
        chmod(path, 0o600)
    }

    /// Whether somebody accepts connections there. Does not wait for him to do so.
    private static func isAnswered(_ path: String) -> Bool {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else { return false }
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            room.copyBytes(from: path.utf8)
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, length)
            }
        }
        // Anything but a refusal (a full queue, no permission) means that it is somebody's.
        return result == 0 || (errno != ECONNREFUSED && errno != ENOENT)
    }
}

extension MeshError {
    /// A folder that a key of the configuration needs and that cannot be made.
    package init(folder: String, of key: String, cause: any Error) {
        // The kernel's words, not the ten lines in which Foundation wraps them.
        let code = ((cause as? CocoaError)?.underlying as? POSIXError)?.code.rawValue
        let reason = code.map { String(cString: strerror($0)) } ?? "\(cause)"
        self.init(
            .system,
            "the folder of \(key), \(folder), cannot be made: \(reason): choose another path")
    }
}

/// A time in which new files of the process are their owner's only. The mask of a process is one
/// for all threads: overlapping times end with the last of them.
final class PrivateFiles: Sendable {
    private static let running = Mutex((count: 0, mask: mode_t(0)))
    private let hasEnded = Mutex(false)

    init() {
        Self.running.withLock { running in
            if running.count == 0 { running.mask = umask(0o077) }
            running.count += 1
        }
    }

    /// May be called more than once.
    func end() {
        let isFirst = hasEnded.withLock { ended in
            defer { ended = true }
            return !ended
        }
        guard isFirst else { return }
        Self.running.withLock { running in
            running.count -= 1
            if running.count == 0 { umask(running.mask) }
        }
    }
}
