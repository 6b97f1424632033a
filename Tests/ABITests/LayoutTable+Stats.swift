// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let stats: [Offset] = [
        // abi_histogram
        ("abi_histogram.sum_us", MemoryLayout<abi_histogram>.offset(of: \.sum_us)),
        ("abi_histogram.counts", MemoryLayout<abi_histogram>.offset(of: \.counts)),
        // abi_listener_stats
        ("abi_listener_stats.counters", MemoryLayout<abi_listener_stats>.offset(of: \.counters)),
        ("abi_listener_stats.outcomes", MemoryLayout<abi_listener_stats>.offset(of: \.outcomes)),
        ("abi_listener_stats.latency", MemoryLayout<abi_listener_stats>.offset(of: \.latency)),
        // abi_target_stats
        ("abi_target_stats.counters", MemoryLayout<abi_target_stats>.offset(of: \.counters)),
        ("abi_target_stats.outcomes", MemoryLayout<abi_target_stats>.offset(of: \.outcomes)),
        ("abi_target_stats.latency", MemoryLayout<abi_target_stats>.offset(of: \.latency)),
        // abi_way_stats
        ("abi_way_stats.counters", MemoryLayout<abi_way_stats>.offset(of: \.counters)),
        ("abi_way_stats.latency", MemoryLayout<abi_way_stats>.offset(of: \.latency)),
        // abi_stats
        ("abi_stats.magic", MemoryLayout<abi_stats>.offset(of: \.magic)),
        ("abi_stats.version", MemoryLayout<abi_stats>.offset(of: \.version)),
        ("abi_stats.worker", MemoryLayout<abi_stats>.offset(of: \.worker)),
        ("abi_stats.pid", MemoryLayout<abi_stats>.offset(of: \.pid)),
        ("abi_stats.listener_slots", MemoryLayout<abi_stats>.offset(of: \.listener_slots)),
        ("abi_stats.target_slots", MemoryLayout<abi_stats>.offset(of: \.target_slots)),
        ("abi_stats._pad0", MemoryLayout<abi_stats>.offset(of: \._pad0)),
        ("abi_stats.heartbeat_ns", MemoryLayout<abi_stats>.offset(of: \.heartbeat_ns)),
        ("abi_stats.generation", MemoryLayout<abi_stats>.offset(of: \.generation)),
        ("abi_stats.counters", MemoryLayout<abi_stats>.offset(of: \.counters)),
    ]
}
