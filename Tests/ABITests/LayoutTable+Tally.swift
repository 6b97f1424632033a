// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let tally: [Offset] = [
        // abi_tally
        ("abi_tally.magic", MemoryLayout<abi_tally>.offset(of: \.magic)),
        ("abi_tally.version", MemoryLayout<abi_tally>.offset(of: \.version)),
        ("abi_tally.workers", MemoryLayout<abi_tally>.offset(of: \.workers)),
        ("abi_tally._pad0", MemoryLayout<abi_tally>.offset(of: \._pad0)),
        // abi_tally_target
        ("abi_tally_target.retries_owed", MemoryLayout<abi_tally_target>.offset(of: \.retries_owed)),
        ("abi_tally_target.wanted_by", MemoryLayout<abi_tally_target>.offset(of: \.wanted_by)),
        ("abi_tally_target.wanted_ms", MemoryLayout<abi_tally_target>.offset(of: \.wanted_ms)),
        // abi_tally_endpoint
        ("abi_tally_endpoint.key", MemoryLayout<abi_tally_endpoint>.offset(of: \.key)),
        ("abi_tally_endpoint.ejected_until_ms", MemoryLayout<abi_tally_endpoint>.offset(of: \.ejected_until_ms)),
        ("abi_tally_endpoint.failures", MemoryLayout<abi_tally_endpoint>.offset(of: \.failures)),
        ("abi_tally_endpoint.gateway_failures", MemoryLayout<abi_tally_endpoint>.offset(of: \.gateway_failures)),
        ("abi_tally_endpoint.ejections", MemoryLayout<abi_tally_endpoint>.offset(of: \.ejections)),
        ("abi_tally_endpoint._pad0", MemoryLayout<abi_tally_endpoint>.offset(of: \._pad0)),
        // abi_tally_bucket
        ("abi_tally_bucket.key", MemoryLayout<abi_tally_bucket>.offset(of: \.key)),
        ("abi_tally_bucket.full_ns", MemoryLayout<abi_tally_bucket>.offset(of: \.full_ns)),
    ]
}
