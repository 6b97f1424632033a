import GRDB
import MeshIdentity
import MeshModel

/// Turns what SQLite says into errors for people.
enum StoreFailure {
    static func describe(_ error: any Error, name: String) -> MeshError {
        if let error = error as? MeshError { return describe(error, name: name) }
        guard let error = error as? DatabaseError else {
            return MeshError(.system, "the store \(name) failed", cause: error)
        }
        let detail = error.message.map { " (\($0))" } ?? ""
        switch error.resultCode {
        case .SQLITE_FULL:
            return MeshError(
                .diskFull,
                "the disk of \(name) is full, nothing was changed: free some space and try again")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return MeshError(
                .locked,
                "\(name) is locked by another process, nothing was changed: try again, or find the "
                    + "process with 'fuser \(name)'")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return MeshError(
                .corrupt,
                "\(name) is damaged\(detail): restore a backup, or move it away to start empty")
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
            return MeshError(
                .system,
                "\(name) cannot be written\(detail): its file and folder must belong to the user "
                    + "that the program runs as")
        case .SQLITE_IOERR:
            return MeshError(
                .system,
                "the disk of \(name) fails\(detail), nothing was changed: see the kernel's log")
        default:
            return MeshError(.system, "the store \(name) failed", cause: error)
        }
    }

    private static func describe(_ error: MeshError, name: String) -> MeshError {
        guard error.code == .wrongKey else { return error }
        return MeshError(
            .wrongKey,
            "\(name) belongs to another store key: point store.key_file to the key file that was "
                + "made with it (without it, certificates cannot be read: move the database away "
                + "to start with new ones)")
    }
}
