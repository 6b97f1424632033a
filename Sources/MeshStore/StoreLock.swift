import Glibc
import MeshModel
import Synchronization

/// Keeps a second control plane away from the same database. The kernel lets go of the lock when
/// the process ends, however it ends.
final class StoreLock: Sendable {
    private let fd: Mutex<Int32?>

    init(path: String) throws {
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0 else {
            throw MeshError(
                .system, "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(fd, LOCK_EX | LOCK_NB) == 0 else {
            let holder = Self.holder(fd)
            close(fd)
            throw MeshError(
                .locked,
                "the store is in use by \(holder) (lock \(path)): stop that control plane first")
        }
        let pid = Array("\(getpid())\n".utf8)
        // For the message above only; the lock holds without it.
        if ftruncate(fd, 0) == 0 { _ = write(fd, pid, pid.count) }
        self.fd = Mutex(fd)
    }

    deinit { release() }

    func release() {
        fd.withLock { fd in
            guard let open = fd else { return }
            // Closing is not enough: a child that another thread is starting holds a copy of the
            // descriptor until it runs its program, and with it the lock.
            flock(open, LOCK_UN)
            close(open)
            fd = nil
        }
    }

    private static func holder(_ fd: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = max(0, pread(fd, &bytes, bytes.count, 0))
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return Int(text.trimmingPrefix(while: \.isWhitespace).prefix(while: \.isNumber))
            .map { "process \($0)" } ?? "another process"
    }
}
