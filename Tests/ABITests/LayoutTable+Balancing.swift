// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let balancing: [Offset] = [
        // abi_balancer
        ("abi_balancer.tiers", MemoryLayout<abi_balancer>.offset(of: \.tiers)),
        ("abi_balancer.hashes", MemoryLayout<abi_balancer>.offset(of: \.hashes)),
        ("abi_balancer.slow_start_ms", MemoryLayout<abi_balancer>.offset(of: \.slow_start_ms)),
        ("abi_balancer.decay_ms", MemoryLayout<abi_balancer>.offset(of: \.decay_ms)),
        ("abi_balancer.choices", MemoryLayout<abi_balancer>.offset(of: \.choices)),
        ("abi_balancer.spill", MemoryLayout<abi_balancer>.offset(of: \.spill)),
        ("abi_balancer._pad0", MemoryLayout<abi_balancer>.offset(of: \._pad0)),
        // abi_tier
        ("abi_tier.endpoints", MemoryLayout<abi_tier>.offset(of: \.endpoints)),
        ("abi_tier.table", MemoryLayout<abi_tier>.offset(of: \.table)),
        ("abi_tier.max_weight", MemoryLayout<abi_tier>.offset(of: \.max_weight)),
        ("abi_tier.kind", MemoryLayout<abi_tier>.offset(of: \.kind)),
        ("abi_tier._pad0", MemoryLayout<abi_tier>.offset(of: \._pad0)),
        // abi_hash
        ("abi_hash.of", MemoryLayout<abi_hash>.offset(of: \.of)),
        ("abi_hash.terminal", MemoryLayout<abi_hash>.offset(of: \.terminal)),
        ("abi_hash._pad0", MemoryLayout<abi_hash>.offset(of: \._pad0)),
        ("abi_hash.name", MemoryLayout<abi_hash>.offset(of: \.name)),
        ("abi_hash.attributes", MemoryLayout<abi_hash>.offset(of: \.attributes)),
    ]
}
