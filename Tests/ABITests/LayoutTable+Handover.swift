// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let handover: [Offset] = [
        // abi_handover_hello
        ("abi_handover_hello.head", MemoryLayout<abi_handover_hello>.offset(of: \.head)),
        ("abi_handover_hello.version", MemoryLayout<abi_handover_hello>.offset(of: \.version)),
        ("abi_handover_hello.pid", MemoryLayout<abi_handover_hello>.offset(of: \.pid)),
        ("abi_handover_hello.program", MemoryLayout<abi_handover_hello>.offset(of: \.program)),
        // abi_handover_step
        ("abi_handover_step.head", MemoryLayout<abi_handover_step>.offset(of: \.head)),
        ("abi_handover_step.index", MemoryLayout<abi_handover_step>.offset(of: \.index)),
        // abi_handover_state
        ("abi_handover_state.head", MemoryLayout<abi_handover_state>.offset(of: \.head)),
        ("abi_handover_state.version", MemoryLayout<abi_handover_state>.offset(of: \.version)),
        ("abi_handover_state.workers", MemoryLayout<abi_handover_state>.offset(of: \.workers)),
        ("abi_handover_state.has_snapshot", MemoryLayout<abi_handover_state>.offset(of: \.has_snapshot)),
        ("abi_handover_state.has_secrets", MemoryLayout<abi_handover_state>.offset(of: \.has_secrets)),
        ("abi_handover_state.has_installation", MemoryLayout<abi_handover_state>.offset(of: \.has_installation)),
        ("abi_handover_state.elders", MemoryLayout<abi_handover_state>.offset(of: \.elders)),
        ("abi_handover_state.generation", MemoryLayout<abi_handover_state>.offset(of: \.generation)),
        ("abi_handover_state.secrets_generation", MemoryLayout<abi_handover_state>.offset(of: \.secrets_generation)),
        ("abi_handover_state.newest", MemoryLayout<abi_handover_state>.offset(of: \.newest)),
        ("abi_handover_state.open_slots", MemoryLayout<abi_handover_state>.offset(of: \.open_slots)),
        ("abi_handover_state.installation", MemoryLayout<abi_handover_state>.offset(of: \.installation)),
        // abi_handover_sockets
        ("abi_handover_sockets.head", MemoryLayout<abi_handover_sockets>.offset(of: \.head)),
        ("abi_handover_sockets.key", MemoryLayout<abi_handover_sockets>.offset(of: \.key)),
        ("abi_handover_sockets.first", MemoryLayout<abi_handover_sockets>.offset(of: \.first)),
        ("abi_handover_sockets.count", MemoryLayout<abi_handover_sockets>.offset(of: \.count)),
        ("abi_handover_sockets.mode", MemoryLayout<abi_handover_sockets>.offset(of: \.mode)),
        ("abi_handover_sockets.length", MemoryLayout<abi_handover_sockets>.offset(of: \.length)),
        ("abi_handover_sockets.device", MemoryLayout<abi_handover_sockets>.offset(of: \.device)),
        ("abi_handover_sockets.inode", MemoryLayout<abi_handover_sockets>.offset(of: \.inode)),
        ("abi_handover_sockets.address", MemoryLayout<abi_handover_sockets>.offset(of: \.address)),
        ("abi_handover_sockets.name", MemoryLayout<abi_handover_sockets>.offset(of: \.name)),
        // abi_handover_draining
        ("abi_handover_draining.head", MemoryLayout<abi_handover_draining>.offset(of: \.head)),
        ("abi_handover_draining.generation", MemoryLayout<abi_handover_draining>.offset(of: \.generation)),
        ("abi_handover_draining.connections", MemoryLayout<abi_handover_draining>.offset(of: \.connections)),
        ("abi_handover_draining.left_ms", MemoryLayout<abi_handover_draining>.offset(of: \.left_ms)),
        ("abi_handover_draining.program", MemoryLayout<abi_handover_draining>.offset(of: \.program)),
        // abi_handover_fail
        ("abi_handover_fail.head", MemoryLayout<abi_handover_fail>.offset(of: \.head)),
        ("abi_handover_fail.reason", MemoryLayout<abi_handover_fail>.offset(of: \.reason)),
    ]
}
