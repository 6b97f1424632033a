// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let log: [Offset] = [
        // abi_log_part
        ("abi_log_part.at", MemoryLayout<abi_log_part>.offset(of: \.at)),
        ("abi_log_part.len", MemoryLayout<abi_log_part>.offset(of: \.len)),
        // abi_log_address
        ("abi_log_address.family", MemoryLayout<abi_log_address>.offset(of: \.family)),
        ("abi_log_address._pad0", MemoryLayout<abi_log_address>.offset(of: \._pad0)),
        ("abi_log_address.port", MemoryLayout<abi_log_address>.offset(of: \.port)),
        ("abi_log_address.ip", MemoryLayout<abi_log_address>.offset(of: \.ip)),
        // abi_log_record
        ("abi_log_record.length", MemoryLayout<abi_log_record>.offset(of: \.length)),
        ("abi_log_record.kind", MemoryLayout<abi_log_record>.offset(of: \.kind)),
        ("abi_log_record.log", MemoryLayout<abi_log_record>.offset(of: \.log)),
        ("abi_log_record.started_ns", MemoryLayout<abi_log_record>.offset(of: \.started_ns)),
        ("abi_log_record.duration_us", MemoryLayout<abi_log_record>.offset(of: \.duration_us)),
        ("abi_log_record.bytes_in", MemoryLayout<abi_log_record>.offset(of: \.bytes_in)),
        ("abi_log_record.bytes_out", MemoryLayout<abi_log_record>.offset(of: \.bytes_out)),
        ("abi_log_record.connect_us", MemoryLayout<abi_log_record>.offset(of: \.connect_us)),
        ("abi_log_record.wait_us", MemoryLayout<abi_log_record>.offset(of: \.wait_us)),
        ("abi_log_record.handshake_us", MemoryLayout<abi_log_record>.offset(of: \.handshake_us)),
        ("abi_log_record.status", MemoryLayout<abi_log_record>.offset(of: \.status)),
        ("abi_log_record.tls_version", MemoryLayout<abi_log_record>.offset(of: \.tls_version)),
        ("abi_log_record.client_port", MemoryLayout<abi_log_record>.offset(of: \.client_port)),
        ("abi_log_record.outcome", MemoryLayout<abi_log_record>.offset(of: \.outcome)),
        ("abi_log_record.protocol", MemoryLayout<abi_log_record>.offset(of: \.`protocol`)),
        ("abi_log_record.flags", MemoryLayout<abi_log_record>.offset(of: \.flags)),
        ("abi_log_record.attempts", MemoryLayout<abi_log_record>.offset(of: \.attempts)),
        ("abi_log_record.text", MemoryLayout<abi_log_record>.offset(of: \.text)),
        ("abi_log_record.listener", MemoryLayout<abi_log_record>.offset(of: \.listener)),
        ("abi_log_record.upstream", MemoryLayout<abi_log_record>.offset(of: \.upstream)),
        ("abi_log_record.parts", MemoryLayout<abi_log_record>.offset(of: \.parts)),
    ]
}
