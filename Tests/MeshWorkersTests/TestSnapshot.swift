import CMeshABI

/// The smallest snapshots that do something: L7 listeners on loopback that answer everything with
/// one text each. Written by hand, so that this room's tests need no other room.
struct TestSnapshot {
    var generation: UInt64
    var version: UInt32 = ABI_VERSION
    /// Port and answer.
    var listeners: [(port: UInt16, body: String)]

    private var text: [UInt8] = []

    init(generation: UInt64, listeners: [(port: UInt16, body: String)]) {
        self.generation = generation
        self.listeners = listeners
    }

    private mutating func put(_ string: String) -> abi_text {
        defer { text += string.utf8 }
        return abi_text(at: UInt32(text.count), len: UInt32(string.utf8.count))
    }

    private static func raw<Record: BitwiseCopyable>(_ records: [Record]) -> [UInt8] {
        records.withUnsafeBytes { Array($0) }
    }

    private mutating func listener(_ index: Int) -> abi_listener {
        var record = abi_listener()
        record.key = UInt64(listeners[index].port)
        record.name = put("test-\(listeners[index].port)")
        record.address.family = UInt8(ABI_FAMILY_IP4.rawValue)
        record.address.port = listeners[index].port
        withUnsafeMutableBytes(of: &record.address.ip) { $0.copyBytes(from: [127, 0, 0, 1]) }
        record.kind = UInt8(ABI_LISTENER_L7.rawValue)
        record.stats_slot = UInt16(index)
        record.tls = ABI_NONE
        record.identity = ABI_NONE
        record.policy = ABI_NONE
        record.route_table = UInt32(index)
        record.log = UInt32.max
        record.hops = UInt32.max
        record.compression = UInt32.max
        record.head_timeout_ms = 10000
        record.idle_timeout_ms = 60000
        record.handshake_timeout_ms = 5000
        return record
    }

    private mutating func route(_ index: Int) -> abi_route {
        var record = abi_route()
        record.action = UInt8(ABI_ACTION_RESPOND.rawValue)
        record.status = 200
        record.path_dfa = ABI_NONE
        record.traffic = ABI_NONE
        record.body = put(listeners[index].body)
        record.content_type = put("text/plain")
        record.rule = put("listener test, route \(index)")
        record.origin = put("TestSnapshot.swift")
        return record
    }

    /// The whole file.
    func bytes() -> [UInt8] {
        var copy = self
        copy.listeners.sort { $0.port < $1.port }
        let range = copy.listeners.indices
        let listenerRecords = range.map { copy.listener($0) }
        let routes = range.map { copy.route($0) }
        let tables = range.map { index in
            var table = abi_route_table()
            table.routes = abi_ref(at: UInt32(index), count: 1)
            return table
        }
        let sections: [UInt32: [UInt8]] = [
            UInt32(ABI_SECTION_TEXT.rawValue): copy.text,
            UInt32(ABI_SECTION_LISTENER.rawValue): Self.raw(listenerRecords),
            UInt32(ABI_SECTION_ROUTE_TABLE.rawValue): Self.raw(tables),
            UInt32(ABI_SECTION_ROUTE_LIST.rawValue): Self.raw(range.map { UInt32($0) }),
            UInt32(ABI_SECTION_ROUTE.rawValue): Self.raw(routes),
        ]
        return assemble(sections)
    }

    private func assemble(_ sections: [UInt32: [UInt8]]) -> [UInt8] {
        let headSize = MemoryLayout<abi_snapshot>.size
        var places: [abi_section_place] = []
        var body: [UInt8] = []
        for section in 0..<UInt32(ABI_SECTION_COUNT.rawValue) {
            let records = sections[section] ?? []
            let size = abi_record_size(section)
            places.append(
                abi_section_place(
                    at: UInt64(headSize + body.count), count: UInt32(records.count) / size,
                    record_size: size))
            body += records
            body += [UInt8](repeating: 0, count: -body.count & 15)
        }
        var head = abi_snapshot()
        head.magic = ABI_SNAPSHOT_MAGIC
        head.version = version
        head.header_size = UInt32(headSize)
        head.size = UInt64(headSize + body.count)
        head.generation = generation
        head.checksum = abi_checksum(body, body.count)
        withUnsafeMutableBytes(of: &head.sections) { target in
            places.withUnsafeBytes { target.copyBytes(from: $0) }
        }
        return withUnsafeBytes(of: head) { Array($0) } + body
    }
}
