import Foundation
import Glibc
import MeshModel

/// The file that holds the key of the store's secrets: one line, `ringmesh-store-key-1 <base64>`.
///
/// It is made once with mode 0600. A file that others may read or write is refused.
package enum SecretKeyFile {
    private static let mark = "ringmesh-store-key-1"
    private static let keyBytes = 32
    private static let maximumBytes = 4096

    /// The key in the file; makes the file with a new key if there is none.
    package static func loadOrCreate(
        path: String, using generator: inout some RandomNumberGenerator
    ) throws -> SecretBytes {
        do {
            return try load(path: path)
        } catch let error as MeshError where error.code == .notFound {
            try create(path: path, key: SecretBytes(generator.bytes(keyBytes)))
            // Another process may have been faster: what the file says counts.
            return try load(path: path)
        }
    }

    /// The key in the file.
    package static func load(path: String) throws -> SecretBytes {
        let fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard fd >= 0 else {
            let code: MeshError.Code = errno == ENOENT ? .notFound : .system
            throw failure(code, "cannot read the store key \(path)", errno)
        }
        defer { close(fd) }
        try refuseIfExposed(fd, path: path)
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        let count = read(fd, &bytes, bytes.count)
        guard count >= 0 else { throw failure(.system, "cannot read the store key \(path)", errno) }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, words[0] == mark, let key = Data(base64Encoded: String(words[1])),
            key.count == keyBytes
        else {
            throw MeshError(
                .corrupt,
                "\(path) is not a store key: it must be one line '\(mark) <base64 of 32 bytes>'. "
                    + "Restore it from a backup; a new key cannot open the old secrets")
        }
        return SecretBytes(key)
    }

    private static func refuseIfExposed(_ fd: Int32, path: String) throws {
        var status = stat()
        guard fstat(fd, &status) == 0 else {
            throw failure(.system, "cannot examine the store key \(path)", errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw MeshError(.invalid, "the store key \(path) is not a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw MeshError(
                .invalid,
                "the store key \(path) has mode 0\(mode), so others can reach it: "
                    + "chmod 600 \(path), and replace the key if it may have been read")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw MeshError(
                .invalid,
                "the store key \(path) belongs to user \(status.st_uid): it must belong to the "
                    + "user that the program runs as (\(geteuid())) or to root")
        }
    }

    /// Writes the whole file under another name and then links it: it is never seen half written,
    /// and an existing one is never replaced.
    private static func create(path: String, key: SecretBytes) throws {
        let temporary = "\(path).new-\(getpid())"
        let text = "\(mark) \(Data(key.exposed).base64EncodedString())\n"
        let fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard fd >= 0 else { throw failure(.system, "cannot make the store key \(path)", errno) }
        defer { unlink(temporary) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(fd, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                let reason = errno
                close(fd)
                throw failure(.system, "cannot write the store key \(path)", reason)
            }
        }
        let synced = fsync(fd) == 0
        let reason = errno
        close(fd)
        guard synced else { throw failure(.system, "cannot write the store key \(path)", reason) }
        if link(temporary, path) != 0, errno != EEXIST {
            throw failure(.system, "cannot make the store key \(path)", errno)
        }
        try syncFolder(of: path)
    }

    private static func syncFolder(of path: String) throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw failure(.system, "cannot open \(folder)", errno) }
        defer { close(fd) }
        guard fsync(fd) == 0 else { throw failure(.system, "cannot write \(folder)", errno) }
    }

    private static func failure(
        _ code: MeshError.Code, _ what: String, _ reason: Int32
    ) -> MeshError {
        MeshError(code, "\(what): \(String(cString: strerror(reason)))")
    }
}
