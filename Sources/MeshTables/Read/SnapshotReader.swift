import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel

/// A snapshot opened for reading with the lookups of the data plane itself.
///
/// Owns a copy of the bytes: a file that is closed or replaced does not matter to it.
package final class SnapshotReader: @unchecked Sendable {
    // Sendable: the bytes are never written after init, and the view only points into them.
    private let memory: UnsafeMutableRawPointer
    let view: UnsafeMutablePointer<view>

    /// Bytes of the whole file.
    package let size: Int

    /// Copies and checks a snapshot; throws ``MeshError`` with the rule that it breaks.
    package convenience init(_ bytes: UnsafeRawBufferPointer) throws {
        try self.init(size: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// Writes and checks an image.
    package convenience init(_ image: SnapshotImage) throws {
        try self.init(size: image.size) { image.write(into: $0) }
    }

    private init(size: Int, fill: (UnsafeMutableRawBufferPointer) -> Void) throws {
        memory = .allocate(
            byteCount: max(size, 1), alignment: Int(ABI_SECTION_ALIGN))
        self.size = size
        view = .allocate(capacity: 1)
        view.initialize(to: CMeshTable.view())
        fill(UnsafeMutableRawBufferPointer(start: memory, count: size))
        var refusal = view_refusal()
        guard view_open(view, memory, size, &refusal) else {
            throw Self.error(refusal)
        }
    }

    deinit {
        memory.deallocate()
        view.deallocate()
    }

    /// Checks a snapshot where it lies, as a worker does before it takes it; throws ``MeshError``
    /// with the rule that it breaks. `bytes` are aligned to 16.
    package static func check(_ bytes: UnsafeRawBufferPointer) throws {
        var view = CMeshTable.view()
        var refusal = view_refusal()
        guard view_open(&view, bytes.baseAddress, bytes.count, &refusal) else {
            throw error(refusal)
        }
    }

    /// What a refusal says, for people.
    static func error(_ refusal: view_refusal) -> MeshError {
        let what = refusal.what.map { String(cString: $0) } ?? "unknown"
        let section =
            refusal.section < ABI_SECTION_COUNT.rawValue
            ? "section \(refusal.section), record \(refusal.record)" : "header"
        return MeshError(.invalid, "the snapshot is not sound: \(what) (\(section))")
    }

    // MARK: - header

    package var generation: UInt64 { view.pointee.head.pointee.generation }
    package var secretsGeneration: UInt64 { view.pointee.head.pointee.secrets_generation }
    package var writtenAtMilliseconds: UInt64 { view.pointee.head.pointee.written_at_ms }
    package var trustDomain: String { text(view.pointee.head.pointee.trust_domain) }
    package var datacenter: String { text(view.pointee.head.pointee.datacenter) }
    package var node: String { text(view.pointee.head.pointee.node) }

    // MARK: - records

    func text(_ place: abi_text) -> String {
        String(
            decoding: UnsafeBufferPointer(
                start: view.pointee.text + Int(place.at), count: Int(place.len)), as: UTF8.self)
    }

    private func records<Record>(
        _ start: UnsafePointer<Record>?, _ section: abi_section
    ) -> UnsafeBufferPointer<Record> {
        let count = withUnsafeBytes(of: view.pointee.counts) {
            $0.load(fromByteOffset: Int(section.rawValue) * 4, as: UInt32.self)
        }
        return UnsafeBufferPointer(start: start, count: Int(count))
    }

    var listeners: UnsafeBufferPointer<abi_listener> {
        records(view.pointee.listeners, ABI_SECTION_LISTENER)
    }
    /// nil: there is no such record.
    package func nameOfListener(_ record: Int) -> String? {
        listeners.indices.contains(record) ? text(listeners[record].name) : nil
    }

    /// The keys by which workers ask about tokens.
    package var tokenQuestions: [UInt64] {
        records(view.pointee.token_checks, ABI_SECTION_TOKEN_CHECK).map(\.key)
    }

    var routeTables: UnsafeBufferPointer<abi_route_table> {
        records(view.pointee.route_tables, ABI_SECTION_ROUTE_TABLE)
    }
    var hosts: UnsafeBufferPointer<abi_host> { records(view.pointee.hosts, ABI_SECTION_HOST) }
    var routeList: UnsafeBufferPointer<UInt32> {
        records(view.pointee.route_list, ABI_SECTION_ROUTE_LIST)
    }
    var routes: UnsafeBufferPointer<abi_route> { records(view.pointee.routes, ABI_SECTION_ROUTE) }
    var matches: UnsafeBufferPointer<abi_match> {
        records(view.pointee.matches, ABI_SECTION_MATCH)
    }
    var headerOps: UnsafeBufferPointer<abi_header_op> {
        records(view.pointee.header_ops, ABI_SECTION_HEADER_OP)
    }
    var splits: UnsafeBufferPointer<abi_split> { records(view.pointee.splits, ABI_SECTION_SPLIT) }
    var targets: UnsafeBufferPointer<abi_target> {
        records(view.pointee.targets, ABI_SECTION_TARGET)
    }
    var balancers: UnsafeBufferPointer<abi_balancer> {
        records(view.pointee.balancers, ABI_SECTION_BALANCER)
    }
    var tiers: UnsafeBufferPointer<abi_tier> { records(view.pointee.tiers, ABI_SECTION_TIER) }
    var tableSlots: UnsafeBufferPointer<UInt32> { records(view.pointee.slots, ABI_SECTION_SLOT) }
    var hashes: UnsafeBufferPointer<abi_hash> { records(view.pointee.hashes, ABI_SECTION_HASH) }
    var targetList: UnsafeBufferPointer<UInt32> {
        records(view.pointee.target_list, ABI_SECTION_TARGET_LIST)
    }
    var traffic: UnsafeBufferPointer<abi_traffic> {
        records(view.pointee.traffic, ABI_SECTION_TRAFFIC)
    }
    var rates: UnsafeBufferPointer<abi_rate> {
        records(view.pointee.rates, ABI_SECTION_RATE)
    }
    var guards: UnsafeBufferPointer<abi_guard> {
        records(view.pointee.guards, ABI_SECTION_GUARD)
    }
    var logs: UnsafeBufferPointer<abi_log> { records(view.pointee.logs, ABI_SECTION_LOG) }
    var logOps: UnsafeBufferPointer<abi_log_op> {
        records(view.pointee.log_ops, ABI_SECTION_LOG_OP)
    }
    var logHeaders: UnsafeBufferPointer<abi_log_header> {
        records(view.pointee.log_headers, ABI_SECTION_LOG_HEADER)
    }
    var compressions: UnsafeBufferPointer<abi_compression> {
        records(view.pointee.compressions, ABI_SECTION_COMPRESSION)
    }
    var mediaTypes: UnsafeBufferPointer<abi_text> {
        records(view.pointee.media_types, ABI_SECTION_MEDIA_TYPE)
    }
    var endpoints: UnsafeBufferPointer<abi_endpoint> {
        records(view.pointee.endpoints, ABI_SECTION_ENDPOINT)
    }
    var policies: UnsafeBufferPointer<abi_policy> {
        records(view.pointee.policies, ABI_SECTION_POLICY)
    }
    var tokenChecks: [abi_token_check] {
        Array(records(view.pointee.token_checks, ABI_SECTION_TOKEN_CHECK))
    }
    var intentions: UnsafeBufferPointer<abi_intention> {
        records(view.pointee.intentions, ABI_SECTION_INTENTION)
    }
    var permissions: UnsafeBufferPointer<abi_permission> {
        records(view.pointee.permissions, ABI_SECTION_PERMISSION)
    }
    var identities: UnsafeBufferPointer<abi_identity> {
        records(view.pointee.identities, ABI_SECTION_IDENTITY)
    }
    var tls: UnsafeBufferPointer<abi_tls> { records(view.pointee.tls, ABI_SECTION_TLS) }
    var serverNames: UnsafeBufferPointer<abi_server_name> {
        records(view.pointee.server_names, ABI_SECTION_SERVER_NAME)
    }
    var hops: UnsafeBufferPointer<abi_hops> { records(view.pointee.hops, ABI_SECTION_HOPS) }
    var networks: UnsafeBufferPointer<abi_network> {
        records(view.pointee.networks, ABI_SECTION_NETWORK)
    }

    var originals: UnsafeBufferPointer<abi_original> {
        records(view.pointee.originals, ABI_SECTION_ORIGINAL)
    }

    func blob(_ place: abi_ref) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: view.pointee.blob + Int(place.at), count: Int(place.count))
    }
}
