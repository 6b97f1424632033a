import Foundation
import Glibc
import MeshModel

/// Files that a user names on the command line.
enum InputFile {
    /// All of a file; throws why it cannot be had in the words of the system.
    static func bytes(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw unreadable(path) }
        defer { close(file) }
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(file, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw unreadable(path) }
            if count == 0 { return all }
            all += piece[..<count]
        }
    }

    private static func unreadable(_ path: String) -> MeshError {
        MeshError(
            .invalid, "\(Printable.text(path)) cannot be read: \(String(cString: strerror(errno)))")
    }
}
