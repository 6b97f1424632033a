import Foundation
import GRDB
import MeshIdentity
import MeshModel

/// Values as columns.
enum Column {
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func value<Value: Decodable>(_ text: String) throws -> Value {
        try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }

    static func text(_ list: [[UInt8]]) throws -> String { try text(list.map { Data($0) }) }

    static func list(_ text: String) throws -> [[UInt8]] {
        let list: [Data] = try value(text)
        return list.map { Array($0) }
    }

    static func bytes(_ row: Row, _ name: String) -> [UInt8] { Array(row[name] as Data) }

    static func index(_ row: Row, _ name: String) -> Index {
        Index(UInt64(bitPattern: row[name] as Int64))
    }

    static func stored<Value: Decodable & Sendable & Hashable>(
        _ row: Row, _ column: String
    ) throws -> Stored<Value> {
        Stored(
            try value(row[column]), createIndex: index(row, "create_index"),
            modifyIndex: index(row, "modify_index"))
    }

    static func number(_ index: Index) -> Int64 { Int64(bitPattern: index.value) }
}

extension Change {
    /// Writes the change to its table. Volatile changes have none.
    func persist(_ db: Database) throws {
        switch self {
        case .service(let id, _, let new):
            guard let new else { return try Self.delete(db, "services WHERE id = ?", [id.text]) }
            try Self.put(
                db, "services (id, definition", [id.text, Column.text(new.definition)],
                new.createIndex, new.modifyIndex)
        case .entry(let key, _, let new):
            guard let new else {
                return try Self.delete(
                    db, "config_entries WHERE kind = ? AND name = ?", [key.kind, key.name])
            }
            try Self.put(
                db, "config_entries (kind, name, entry",
                [key.kind, key.name, Column.text(new.entry)], new.createIndex, new.modifyIndex)
        case .intention(let key, _, let new):
            try Self.persist(db, key, new)
        case .keyValue(let key, _, let new):
            try Self.persist(db, key, new)
        case .session(let id, _, let new):
            try Self.persist(db, "sessions", column: "session", id, new)
        case .query(let id, _, let new):
            try Self.persist(db, "prepared_queries", column: "query", id, new)
        case .policy(let id, _, let new):
            try Self.persist(db, "policies", column: "policy", id, new)
        case .token(let id, _, let new):
            try Self.persist(db, "tokens", column: "token", id, new)
        case .catalogNode(let key, _, let new):
            try Self.persist(db, "catalog_nodes", column: "node", key, new)
        case .virtualAddress(let name, _, let new): try Self.persist(db, name, new)
        case .root(let id, _, let new): try Self.persist(db, id, new)
        case .leaf(let id, _, let new): try Self.persist(db, id, new)
        case .secret(let name, _, let new):
            guard let new else { return try Self.delete(db, "secrets WHERE name = ?", [name]) }
            try Self.put(
                db, "secrets (name, sealed", [name, Data(new.sealed)], new.createIndex,
                new.modifyIndex)
        case .fact(let name, _, let new):
            guard let new else { return try Self.delete(db, "facts WHERE name = ?", [name]) }
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)")
                .execute(arguments: [name, new])
        case .fileLayer, .note, .lockDelay: break
        }
    }

    private static func persist(_ db: Database, _ key: IntentionKey, _ new: Intention?) throws {
        let names = [IntentionKey.column(key.source), IntentionKey.column(key.destination)]
        guard let new else {
            return try delete(db, "intentions WHERE source = ? AND destination = ?", names)
        }
        try put(
            db, "intentions (source, destination, intention",
            [names[0], names[1], Column.text(new)], new.createIndex, new.modifyIndex)
    }

    private static func persist(
        _ db: Database, _ key: KeyName, _ new: KeyValueRecord?
    ) throws {
        let bytes = Data(key.text.utf8)
        guard let new else { return try delete(db, "key_values WHERE key = ?", [bytes]) }
        try put(
            db, "key_values (key, value, flags, lock_index, session",
            [
                bytes, Data(new.value), Int64(bitPattern: new.flags),
                Int64(bitPattern: new.lockIndex), new.session,
            ], new.createIndex, new.modifyIndex)
    }

    /// An object of a table with an id and one document.
    private static func persist<Value: Encodable>(
        _ db: Database, _ table: String, column: String, _ id: String, _ new: Stored<Value>?
    ) throws {
        guard let new else { return try delete(db, "\(table) WHERE id = ?", [id]) }
        try put(
            db, "\(table) (id, \(column)", [id, Column.text(new.value)], new.createIndex,
            new.modifyIndex)
    }

    private static func persist(
        _ db: Database, _ name: String, _ new: VirtualAddress?
    ) throws {
        guard let new else { return try delete(db, "virtual_addresses WHERE service = ?", [name]) }
        // Never in place of another service's row: what two services have is an error.
        try db.cachedStatement(
            sql: "INSERT INTO virtual_addresses (service, address) VALUES (?, ?) "
                + "ON CONFLICT (service) DO UPDATE SET address = excluded.address"
        )
        .execute(arguments: [name, new.description])
    }

    private static func persist(_ db: Database, _ id: String, _ new: RootRecord?) throws {
        guard let new else { return try delete(db, "roots WHERE id = ?", [id]) }
        try put(
            db, "roots (id, certificate, cross_signed, rotated_out_at, sealed_key",
            [
                id, Data(new.certificateDER), Column.text(new.crossSignedDER),
                new.rotatedOutAt?.timeIntervalSinceReferenceDate, Data(new.sealedKey),
            ], new.createIndex, new.modifyIndex)
    }

    private static func persist(_ db: Database, _ id: SpiffeID, _ new: LeafRecord?) throws {
        guard let new else { return try delete(db, "leaves WHERE identity = ?", [id.uri]) }
        try put(
            db, "leaves (identity, root_id, chain, serial, not_before, not_after, sealed_key",
            [
                id.uri, new.rootID, Column.text(new.chainDER), Data(new.serial),
                new.notBefore.timeIntervalSinceReferenceDate,
                new.notAfter.timeIntervalSinceReferenceDate, Data(new.sealedKey),
            ], new.createIndex, new.modifyIndex)
    }

    private static func put(
        _ db: Database, _ head: String, _ values: [(any DatabaseValueConvertible)?],
        _ created: Index, _ modified: Index
    ) throws {
        let marks = Array(repeating: "?", count: values.count + 2).joined(separator: ", ")
        let arguments = values + [Column.number(created), Column.number(modified)]
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(head), create_index, modify_index) VALUES (\(marks))"
        )
        .execute(arguments: StatementArguments(arguments))
    }

    private static func delete(
        _ db: Database, _ what: String, _ key: [any DatabaseValueConvertible]
    ) throws {
        try db.cachedStatement(sql: "DELETE FROM \(what)")
            .execute(arguments: StatementArguments(key))
    }
}

extension StoreState {
    /// Everything that the database holds. Throws when a row cannot be read.
    static func load(_ db: Database, box: SecretBox) throws -> StoreState {
        let reserved = try Int64.fetchOne(db, sql: "SELECT reserved FROM store_index") ?? 0
        var state = StoreState(index: Index(UInt64(bitPattern: reserved)), box: box)
        try state.loadPolicy(db)
        try state.loadCertificates(db)
        try state.loadState(db)
        try state.loadVirtualAddresses(db)
        try state.each(db, "facts") { state, row in
            state.facts[row["name"]] = row["value"] as String
        }
        return state
    }

    private mutating func loadState(_ db: Database) throws {
        try each(db, "key_values") { state, row in
            let record = KeyValueRecord(
                key: String(decoding: Column.bytes(row, "key"), as: UTF8.self),
                value: Column.bytes(row, "value"),
                flags: UInt64(bitPattern: row["flags"] as Int64),
                lockIndex: UInt64(bitPattern: row["lock_index"] as Int64),
                session: row["session"] as String?,
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.setKeyValue(KeyName(record.key), from: nil, to: record)
        }
        try each(db, "catalog_nodes") { state, row in
            state.catalogNodes[row["id"]] = try Column.stored(row, "node")
        }
        try each(db, "sessions") { state, row in
            state.sessionRecords[row["id"]] = try Column.stored(row, "session")
        }
        try each(db, "prepared_queries") { state, row in
            state.queryRecords[row["id"]] = try Column.stored(row, "query")
        }
        try each(db, "policies") { state, row in
            state.policyRecords[row["id"]] = try Column.stored(row, "policy")
        }
        try each(db, "tokens") { state, row in
            state.setToken(row["id"], from: nil, to: try Column.stored(row, "token"))
        }
    }

    private mutating func loadVirtualAddresses(_ db: Database) throws {
        try each(db, "virtual_addresses") { state, row in
            guard let address = VirtualAddress(row["address"] as String),
                state.addressHolders[address] == nil
            else { throw MeshError(.corrupt, "a virtual address cannot be, or is there twice") }
            state.setVirtualAddress(row["service"], address)
        }
        for record in storedServices.values { noteService(from: nil, to: record) }
        for record in storedEntries.values { noteEntry(from: nil, to: record) }
        for node in catalogNodes.values { noteNode(from: nil, to: node.value) }
    }

    private mutating func loadPolicy(_ db: Database) throws {
        try each(db, "services") { state, row in
            let record = ServiceRecord(
                definition: try Column.value(row["definition"]), origin: .api,
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.storedServices[record.definition.id] = record
        }
        try each(db, "config_entries") { state, row in
            let record = ConfigEntryRecord(
                entry: try Column.value(row["entry"]), origin: .api,
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.storedEntries[record.entry.key] = record
        }
        try each(db, "intentions") { state, row in
            var intention: Intention = try Column.value(row["intention"])
            intention.createIndex = Column.index(row, "create_index")
            intention.modifyIndex = Column.index(row, "modify_index")
            let key = IntentionKey(source: intention.source, destination: intention.destination)
            state.setIntention(key, intention)
        }
    }

    private mutating func loadCertificates(_ db: Database) throws {
        try each(db, "roots") { state, row in
            let record = RootRecord(
                id: row["id"], certificateDER: Column.bytes(row, "certificate"),
                crossSignedDER: try Column.list(row["cross_signed"]),
                rotatedOutAt: (row["rotated_out_at"] as Double?).map(
                    Date.init(timeIntervalSinceReferenceDate:)),
                sealedKey: Column.bytes(row, "sealed_key"),
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.rootRecords[record.id] = record
        }
        try each(db, "leaves") { state, row in
            let record = LeafRecord(
                id: try SpiffeID(row["identity"]), rootID: row["root_id"],
                chainDER: try Column.list(row["chain"]), serial: Column.bytes(row, "serial"),
                notBefore: Date(timeIntervalSinceReferenceDate: row["not_before"]),
                notAfter: Date(timeIntervalSinceReferenceDate: row["not_after"]),
                sealedKey: Column.bytes(row, "sealed_key"),
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.leafRecords[record.id] = record
        }
        try each(db, "secrets") { state, row in
            let record = SecretRecord(
                name: row["name"], sealed: Column.bytes(row, "sealed"),
                createIndex: Column.index(row, "create_index"),
                modifyIndex: Column.index(row, "modify_index"))
            state.secretRecords[record.name] = record
        }
    }

    private mutating func each(
        _ db: Database, _ table: String, _ body: (inout StoreState, Row) throws -> Void
    ) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM \(table)")
        while let row = try rows.next() {
            do {
                try body(&self, row)
            } catch let error as DatabaseError {
                throw error
            } catch {
                throw MeshError(
                    .corrupt, "a row of the table \(table) cannot be read", cause: error)
            }
        }
    }
}
