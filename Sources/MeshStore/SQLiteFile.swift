import Foundation
import GRDB
import MeshIdentity
import MeshModel

/// The database: opening with every check, and the writing of batches.
final class SQLiteFile: Sendable {
    private let queue: DatabaseQueue
    private let lock: StoreLock?
    private let name: String
    /// Indexes are reserved in advance in steps of this size, so that what never reaches the disk
    /// can have indexes too, and none is given twice after a crash.
    private static let indexesPerReservation: UInt64 = 1000

    /// Opens or makes the database at a path. The folder must be there.
    init(path: String, busyTimeout: Duration) throws {
        name = path
        lock = try StoreLock(path: path + ".lock")
        do {
            try Self.makePrivate(path)
            queue = try DatabaseQueue(
                path: path, configuration: Self.configuration(busyTimeout: busyTimeout))
            try queue.writeWithoutTransaction { db in try Self.prepare(db, path: path) }
            try Schema.migrator.migrate(queue)
        } catch {
            throw StoreFailure.describe(error, name: path)
        }
    }

    /// A database that lives in memory and is gone when it is closed.
    init() throws {
        name = "the store in memory"
        lock = nil
        queue = try DatabaseQueue(configuration: Self.configuration(busyTimeout: .zero))
        try Schema.migrator.migrate(queue)
    }

    private static func configuration(busyTimeout: Duration) -> GRDB.Configuration {
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(busyTimeout / .seconds(1))
        configuration.label = "store"
        return configuration
    }

    /// SQLite gives its other files the mode of this one.
    private static func makePrivate(_ path: String) throws {
        let fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard fd >= 0 else {
            let reason = String(cString: strerror(errno))
            throw MeshError(.system, "cannot open the store \(path): \(reason)")
        }
        Foundation.close(fd)
    }

    private static func prepare(_ db: Database, path: String) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM sqlite_master") ?? 0
        guard application == Schema.applicationID || (application == 0 && tables == 0) else {
            throw MeshError(
                .corrupt, "\(path) is a database of another program: point store.path elsewhere")
        }
        if try Schema.migrator.hasBeenSuperseded(db) {
            throw MeshError(
                .newerSchema,
                "\(path) was written by a newer version: run that version, or restore a backup "
                    + "made before the upgrade")
        }
        let findings = try String.fetchAll(db, sql: "PRAGMA quick_check(3)")
        guard findings == ["ok"] else {
            throw MeshError(
                .corrupt,
                "\(path) is damaged (\(findings.joined(separator: "; "))): restore a backup, or "
                    + "move it away to start empty")
        }
        let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
        guard mode == "wal" else {
            throw MeshError(.system, "\(path) is on a file system without shared memory files")
        }
        // What is acknowledged is on disk, also when the power fails.
        try db.execute(sql: "PRAGMA synchronous = FULL")
        if application != Schema.applicationID {
            try db.execute(sql: "PRAGMA application_id = \(Schema.applicationID)")
        }
    }

    /// Reads everything, after the key has been found to be the right one.
    func load(box: SecretBox) throws -> (state: StoreState, reserved: UInt64) {
        do {
            return try queue.write { db in
                try Self.checkKey(db, box: box)
                let state = try StoreState.load(db, box: box)
                return (state, state.index.value)
            }
        } catch {
            throw StoreFailure.describe(error, name: name)
        }
    }

    private static func checkKey(_ db: Database, box: SecretBox) throws {
        let secretName = "key check"
        if let sealed = try Data.fetchOne(db, sql: "SELECT sealed FROM key_check") {
            _ = try box.open(Array(sealed), name: secretName)
            return
        }
        let sealed = try box.seal(SecretBytes("ringmesh".utf8), name: secretName)
        try db.execute(
            sql: "INSERT INTO key_check (id, sealed) VALUES (1, ?)", arguments: [Data(sealed)])
    }

    /// Writes changes in one transaction, which is on disk when this returns. Gives the indexes
    /// reserved afterwards.
    func persist(_ changes: [Change], upTo index: Index, reserved: UInt64) async throws -> UInt64 {
        let rows = changes.filter { !$0.isVolatile }
        let next =
            index.value > reserved ? index.value + Self.indexesPerReservation : reserved
        guard !rows.isEmpty || next != reserved else { return reserved }
        do {
            // Not GRDB's async functions: those give up when the caller's task is cancelled, and
            // this caller stores the writes of others too.
            try await withCheckedThrowingContinuation { continuation in
                queue.asyncWriteWithoutTransaction { db in
                    continuation.resume(
                        with: Result {
                            try Self.write(db, rows, reserved: next == reserved ? nil : next)
                        })
                }
            }
        } catch {
            throw StoreFailure.describe(error, name: name)
        }
        return next
    }

    private static func write(_ db: Database, _ rows: [Change], reserved: UInt64?) throws {
        try db.inTransaction(.immediate) {
            for row in rows { try row.persist(db) }
            if let reserved {
                try db.cachedStatement(sql: "UPDATE store_index SET reserved = ?")
                    .execute(arguments: [Int64(bitPattern: reserved)])
            }
            return .commit
        }
    }

    func close() throws {
        do {
            try queue.close()
        } catch {
            throw StoreFailure.describe(error, name: name)
        }
        lock?.release()
    }
}
