import GRDB

/// The tables, as a list of steps that is only ever added to. A database that has a step which this
/// list lacks was written by a newer version and is left alone.
enum Schema {
    /// "RMSH": tells our databases from others (`PRAGMA application_id`).
    static let applicationID: Int32 = 0x524D_5348

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("0001 catalog, policy, certificates, pairs") { db in
            for sql in first { try db.execute(sql: sql) }
        }
        migrator.registerMigration("0002 sessions hold pairs") { db in
            for sql in sessions { try db.execute(sql: sql) }
        }
        migrator.registerMigration("0003 prepared queries, policies, tokens") { db in
            for sql in access { try db.execute(sql: sql) }
        }
        migrator.registerMigration("0004 nodes of the catalog") { db in
            try db.execute(
                sql: table("catalog_nodes", "id TEXT PRIMARY KEY NOT NULL, node TEXT NOT NULL"))
        }
        migrator.registerMigration("0005 virtual addresses") { db in
            try db.execute(
                sql: "CREATE TABLE virtual_addresses (service TEXT PRIMARY KEY NOT NULL, "
                    + "address TEXT UNIQUE NOT NULL) STRICT")
        }
        return migrator
    }

    private static let first = [
        // What every object has: when it was made and last changed.
        table("services", "id TEXT PRIMARY KEY NOT NULL, definition TEXT NOT NULL"),
        table(
            "config_entries",
            "kind TEXT NOT NULL, name TEXT NOT NULL, entry TEXT NOT NULL",
            constraint: "PRIMARY KEY (kind, name)"),
        table(
            "intentions",
            "source TEXT NOT NULL, destination TEXT NOT NULL, intention TEXT NOT NULL",
            constraint: "PRIMARY KEY (source, destination)"),
        // Keys are any text, also with a zero byte, which SQLite's own texts cannot hold.
        table(
            "key_values",
            "key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, flags INTEGER NOT NULL"),
        table(
            "roots",
            "id TEXT PRIMARY KEY NOT NULL, certificate BLOB NOT NULL, cross_signed TEXT NOT NULL, "
                + "rotated_out_at REAL, sealed_key BLOB NOT NULL"),
        table(
            "leaves",
            "identity TEXT PRIMARY KEY NOT NULL, root_id TEXT NOT NULL, chain TEXT NOT NULL, "
                + "serial BLOB NOT NULL, not_before REAL NOT NULL, not_after REAL NOT NULL, "
                + "sealed_key BLOB NOT NULL"),
        table("secrets", "name TEXT PRIMARY KEY NOT NULL, sealed BLOB NOT NULL"),
        "CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT",
        // One row: no index up to this one is ever given again, also those that no row carries.
        """
        CREATE TABLE store_index (
            id INTEGER PRIMARY KEY CHECK (id = 1), reserved INTEGER NOT NULL) STRICT
        """,
        "INSERT INTO store_index (id, reserved) VALUES (1, 0)",
        // One row: a known text, sealed; opens only with the key that the database belongs to.
        "CREATE TABLE key_check (id INTEGER PRIMARY KEY CHECK (id = 1), "
            + "sealed BLOB NOT NULL) STRICT",
    ]

    private static let sessions = [
        "ALTER TABLE key_values ADD COLUMN lock_index INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE key_values ADD COLUMN session TEXT",
        table("sessions", "id TEXT PRIMARY KEY NOT NULL, session TEXT NOT NULL"),
    ]

    private static let access = [
        table("prepared_queries", "id TEXT PRIMARY KEY NOT NULL, query TEXT NOT NULL"),
        table("policies", "id TEXT PRIMARY KEY NOT NULL, policy TEXT NOT NULL"),
        table("tokens", "id TEXT PRIMARY KEY NOT NULL, token TEXT NOT NULL"),
    ]

    private static func table(
        _ name: String, _ columns: String, constraint: String? = nil
    ) -> String {
        "CREATE TABLE \(name) (\(columns), create_index INTEGER NOT NULL, "
            + "modify_index INTEGER NOT NULL" + (constraint.map { ", \($0)" } ?? "") + ") STRICT"
    }
}
