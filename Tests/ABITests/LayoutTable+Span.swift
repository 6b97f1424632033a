// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let span: [Offset] = [
        // abi_span
        ("abi_span.length", MemoryLayout<abi_span>.offset(of: \.length)),
        ("abi_span.kind", MemoryLayout<abi_span>.offset(of: \.kind)),
        ("abi_span.trace_id", MemoryLayout<abi_span>.offset(of: \.trace_id)),
        ("abi_span.span_id", MemoryLayout<abi_span>.offset(of: \.span_id)),
        ("abi_span.parent_id", MemoryLayout<abi_span>.offset(of: \.parent_id)),
        ("abi_span.started_ns", MemoryLayout<abi_span>.offset(of: \.started_ns)),
        ("abi_span.duration_ns", MemoryLayout<abi_span>.offset(of: \.duration_ns)),
        ("abi_span.bytes_in", MemoryLayout<abi_span>.offset(of: \.bytes_in)),
        ("abi_span.bytes_out", MemoryLayout<abi_span>.offset(of: \.bytes_out)),
        ("abi_span.attempt", MemoryLayout<abi_span>.offset(of: \.attempt)),
        ("abi_span.status", MemoryLayout<abi_span>.offset(of: \.status)),
        ("abi_span.client_port", MemoryLayout<abi_span>.offset(of: \.client_port)),
        ("abi_span.text", MemoryLayout<abi_span>.offset(of: \.text)),
        ("abi_span.type", MemoryLayout<abi_span>.offset(of: \.type)),
        ("abi_span.outcome", MemoryLayout<abi_span>.offset(of: \.outcome)),
        ("abi_span.protocol", MemoryLayout<abi_span>.offset(of: \.`protocol`)),
        ("abi_span.flags", MemoryLayout<abi_span>.offset(of: \.flags)),
        ("abi_span.trace_flags", MemoryLayout<abi_span>.offset(of: \.trace_flags)),
        ("abi_span._pad0", MemoryLayout<abi_span>.offset(of: \._pad0)),
        ("abi_span.local", MemoryLayout<abi_span>.offset(of: \.local)),
        ("abi_span.remote", MemoryLayout<abi_span>.offset(of: \.remote)),
        ("abi_span.parts", MemoryLayout<abi_span>.offset(of: \.parts)),
        ("abi_span._pad1", MemoryLayout<abi_span>.offset(of: \._pad1)),
    ]
}
