// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let snapshot: [Offset] = [
        // abi_section_place
        ("abi_section_place.at", MemoryLayout<abi_section_place>.offset(of: \.at)),
        ("abi_section_place.count", MemoryLayout<abi_section_place>.offset(of: \.count)),
        ("abi_section_place.record_size", MemoryLayout<abi_section_place>.offset(of: \.record_size)),
        // abi_snapshot
        ("abi_snapshot.magic", MemoryLayout<abi_snapshot>.offset(of: \.magic)),
        ("abi_snapshot.version", MemoryLayout<abi_snapshot>.offset(of: \.version)),
        ("abi_snapshot.header_size", MemoryLayout<abi_snapshot>.offset(of: \.header_size)),
        ("abi_snapshot.size", MemoryLayout<abi_snapshot>.offset(of: \.size)),
        ("abi_snapshot.generation", MemoryLayout<abi_snapshot>.offset(of: \.generation)),
        ("abi_snapshot.secrets_generation", MemoryLayout<abi_snapshot>.offset(of: \.secrets_generation)),
        ("abi_snapshot.written_at_ms", MemoryLayout<abi_snapshot>.offset(of: \.written_at_ms)),
        ("abi_snapshot.checksum", MemoryLayout<abi_snapshot>.offset(of: \.checksum)),
        ("abi_snapshot.trust_domain", MemoryLayout<abi_snapshot>.offset(of: \.trust_domain)),
        ("abi_snapshot.datacenter", MemoryLayout<abi_snapshot>.offset(of: \.datacenter)),
        ("abi_snapshot.node", MemoryLayout<abi_snapshot>.offset(of: \.node)),
        ("abi_snapshot.sections", MemoryLayout<abi_snapshot>.offset(of: \.sections)),
        // abi_secret
        ("abi_secret.id", MemoryLayout<abi_secret>.offset(of: \.id)),
        ("abi_secret.version", MemoryLayout<abi_secret>.offset(of: \.version)),
        ("abi_secret.not_after_ms", MemoryLayout<abi_secret>.offset(of: \.not_after_ms)),
        ("abi_secret.kind", MemoryLayout<abi_secret>.offset(of: \.kind)),
        ("abi_secret._pad0", MemoryLayout<abi_secret>.offset(of: \._pad0)),
        ("abi_secret.chain", MemoryLayout<abi_secret>.offset(of: \.chain)),
        ("abi_secret.key", MemoryLayout<abi_secret>.offset(of: \.key)),
        ("abi_secret.names", MemoryLayout<abi_secret>.offset(of: \.names)),
        // abi_secrets
        ("abi_secrets.magic", MemoryLayout<abi_secrets>.offset(of: \.magic)),
        ("abi_secrets.version", MemoryLayout<abi_secrets>.offset(of: \.version)),
        ("abi_secrets.header_size", MemoryLayout<abi_secrets>.offset(of: \.header_size)),
        ("abi_secrets.size", MemoryLayout<abi_secrets>.offset(of: \.size)),
        ("abi_secrets.generation", MemoryLayout<abi_secrets>.offset(of: \.generation)),
        ("abi_secrets.checksum", MemoryLayout<abi_secrets>.offset(of: \.checksum)),
        ("abi_secrets.count", MemoryLayout<abi_secrets>.offset(of: \.count)),
        ("abi_secrets._pad0", MemoryLayout<abi_secrets>.offset(of: \._pad0)),
    ]
}
