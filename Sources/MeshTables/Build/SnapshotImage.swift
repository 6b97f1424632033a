import CMeshABI
package import MeshLanes

/// A finished snapshot, ready to be copied into the memory file that is shipped.
package struct SnapshotImage: Sendable {
    package let generation: UInt64
    package let secretsGeneration: UInt64
    /// Bytes of the whole file.
    package let size: Int

    private let head: abi_snapshot
    private let sections: Sections

    /// The sections as they are written, in the order of `enum abi_section`.
    struct Sections: Sendable {
        var text: [UInt8] = []
        var blob: [UInt8] = []
        var listeners: [abi_listener] = []
        var routeTables: [abi_route_table] = []
        var hosts: [abi_host] = []
        var routeList: [UInt32] = []
        var routes: [abi_route] = []
        var matches: [abi_match] = []
        var headerOps: [abi_header_op] = []
        var dfas: [abi_dfa] = []
        var splits: [abi_split] = []
        var targets: [abi_target] = []
        var targetList: [UInt32] = []
        var endpoints: [abi_endpoint] = []
        var policies: [abi_policy] = []
        var intentions: [abi_intention] = []
        var permissions: [abi_permission] = []
        var identities: [abi_identity] = []
        var tls: [abi_tls] = []
        var secretList: [UInt64] = []
        var logs: [abi_log] = []
        var logOps: [abi_log_op] = []
        var logHeaders: [abi_log_header] = []
        var serverNames: [abi_server_name] = []
        var networks: [abi_network] = []
        var hops: [abi_hops] = []
        var compressions: [abi_compression] = []
        var mediaTypes: [abi_text] = []
        var traffic: [abi_traffic] = []
        var guards: [abi_guard] = []
        var rates: [abi_rate] = []
        var balancers: [abi_balancer] = []
        var tiers: [abi_tier] = []
        var tableSlots: [UInt32] = []
        var hashes: [abi_hash] = []
        var originals: [abi_original] = []
        var tokens: [abi_token] = []
        var tokenChecks: [abi_token_check] = []
        var tokenPlaces: [abi_token_place] = []

        /// Calls `body` with section number, record count and bytes of every section.
        func forEach(_ body: (Int, Int, UnsafeRawBufferPointer) -> Void) {
            var number = 0
            func next<Record>(_ records: [Record]) {
                records.withUnsafeBytes { body(number, records.count, $0) }
                number += 1
            }
            next(text)
            next(blob)
            next(listeners)
            next(routeTables)
            next(hosts)
            next(routeList)
            next(routes)
            next(matches)
            next(headerOps)
            next(dfas)
            next(splits)
            next(targets)
            next(targetList)
            next(endpoints)
            next(policies)
            next(intentions)
            next(permissions)
            next(identities)
            next(tls)
            next(secretList)
            next(logs)
            next(logOps)
            next(logHeaders)
            next(serverNames)
            next(networks)
            next(hops)
            next(compressions)
            next(mediaTypes)
            next(traffic)
            next(guards)
            next(rates)
            next(balancers)
            next(tiers)
            next(tableSlots)
            next(hashes)
            next(originals)
            next(tokens)
            next(tokenChecks)
            next(tokenPlaces)
        }
    }

    /// Lays the sections out behind `head`, whose places and size are filled here.
    init(head: abi_snapshot, sections: Sections) {
        var head = head
        head.magic = ABI_SNAPSHOT_MAGIC
        head.version = ABI_VERSION
        head.header_size = UInt32(MemoryLayout<abi_snapshot>.size)
        var at = MemoryLayout<abi_snapshot>.size
        withUnsafeMutableBytes(of: &head.sections) { raw in
            let places = raw.bindMemory(to: abi_section_place.self)
            sections.forEach { number, count, bytes in
                places[number] = abi_section_place(
                    at: UInt64(at), count: UInt32(count),
                    record_size: abi_record_size(UInt32(number)))
                at = Self.aligned(at + bytes.count)
            }
        }
        head.size = UInt64(at)
        self.head = head
        self.sections = sections
        size = at
        generation = head.generation
        secretsGeneration = head.secrets_generation
    }

    private static func aligned(_ at: Int) -> Int {
        let align = Int(ABI_SECTION_ALIGN)
        return (at + align - 1) / align * align
    }

    /// Writes the file into `out`, which has exactly ``size`` bytes and need not be cleared. Memory
    /// that is touched for the first time costs more than the writing: lanes share both.
    package func write(into out: UnsafeMutableRawBufferPointer, lanes: Lanes = .machine) {
        precondition(out.count == size, "a snapshot of \(size) bytes into \(out.count)")
        // Each byte is in one range only, and nobody reads before all are written.
        nonisolated(unsafe) let out = out
        _ = lanes.map(size, grain: 1 << 18) { write($0, to: out) }
        var head = head
        let start = MemoryLayout<abi_snapshot>.size
        let rest = UnsafeRawBufferPointer(rebasing: out[start...])
        head.checksum = abi_checksum(rest.baseAddress, rest.count)
        withUnsafeBytes(of: head) { out.copyMemory(from: $0) }
    }

    /// Writes those bytes of sections, and of the gaps behind them, that lie in this range.
    private func write(_ range: Range<Int>, to out: UnsafeMutableRawBufferPointer) {
        var at = MemoryLayout<abi_snapshot>.size
        sections.forEach { _, _, bytes in
            let end = at + bytes.count
            let part = range.clamped(to: at..<end)
            if !part.isEmpty {
                UnsafeMutableRawBufferPointer(rebasing: out[part]).copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: bytes[part.lowerBound - at..<part.upperBound - at]))
            }
            for gap in range.clamped(to: end..<Self.aligned(end)) { out[gap] = 0 }
            at = Self.aligned(end)
        }
    }
}
