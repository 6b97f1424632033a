// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let records: [Offset] = [
        // abi_records
        ("abi_records.magic", MemoryLayout<abi_records>.offset(of: \.magic)),
        ("abi_records.version", MemoryLayout<abi_records>.offset(of: \.version)),
        ("abi_records.size", MemoryLayout<abi_records>.offset(of: \.size)),
        ("abi_records._pad0", MemoryLayout<abi_records>.offset(of: \._pad0)),
        ("abi_records.head", MemoryLayout<abi_records>.offset(of: \.head)),
        ("abi_records._pad1", MemoryLayout<abi_records>.offset(of: \._pad1)),
        ("abi_records.tail", MemoryLayout<abi_records>.offset(of: \.tail)),
        ("abi_records._pad2", MemoryLayout<abi_records>.offset(of: \._pad2)),
        // abi_record_head
        ("abi_record_head.length", MemoryLayout<abi_record_head>.offset(of: \.length)),
        ("abi_record_head.kind", MemoryLayout<abi_record_head>.offset(of: \.kind)),
        // abi_records_shape
        ("abi_records_shape.size", MemoryLayout<abi_records_shape>.offset(of: \.size)),
        ("abi_records_shape.least", MemoryLayout<abi_records_shape>.offset(of: \.least)),
        ("abi_records_shape.longest", MemoryLayout<abi_records_shape>.offset(of: \.longest)),
    ]
}
