// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let control: [Offset] = [
        // abi_control_head
        ("abi_control_head.type", MemoryLayout<abi_control_head>.offset(of: \.type)),
        ("abi_control_head.length", MemoryLayout<abi_control_head>.offset(of: \.length)),
        // abi_control_hello
        ("abi_control_hello.head", MemoryLayout<abi_control_hello>.offset(of: \.head)),
        ("abi_control_hello.version", MemoryLayout<abi_control_hello>.offset(of: \.version)),
        ("abi_control_hello.pid", MemoryLayout<abi_control_hello>.offset(of: \.pid)),
        ("abi_control_hello.installation", MemoryLayout<abi_control_hello>.offset(of: \.installation)),
        // abi_control_welcome
        ("abi_control_welcome.head", MemoryLayout<abi_control_welcome>.offset(of: \.head)),
        ("abi_control_welcome.version", MemoryLayout<abi_control_welcome>.offset(of: \.version)),
        ("abi_control_welcome.pid", MemoryLayout<abi_control_welcome>.offset(of: \.pid)),
        ("abi_control_welcome.workers", MemoryLayout<abi_control_welcome>.offset(of: \.workers)),
        ("abi_control_welcome.has_snapshot", MemoryLayout<abi_control_welcome>.offset(of: \.has_snapshot)),
        ("abi_control_welcome.generation", MemoryLayout<abi_control_welcome>.offset(of: \.generation)),
        ("abi_control_welcome.secrets_generation", MemoryLayout<abi_control_welcome>.offset(of: \.secrets_generation)),
        ("abi_control_welcome.started_at_ms", MemoryLayout<abi_control_welcome>.offset(of: \.started_at_ms)),
        ("abi_control_welcome.engine", MemoryLayout<abi_control_welcome>.offset(of: \.engine)),
        ("abi_control_welcome.kernel_tls", MemoryLayout<abi_control_welcome>.offset(of: \.kernel_tls)),
        ("abi_control_welcome.program", MemoryLayout<abi_control_welcome>.offset(of: \.program)),
        // abi_control_refuse
        ("abi_control_refuse.head", MemoryLayout<abi_control_refuse>.offset(of: \.head)),
        ("abi_control_refuse.version", MemoryLayout<abi_control_refuse>.offset(of: \.version)),
        ("abi_control_refuse.code", MemoryLayout<abi_control_refuse>.offset(of: \.code)),
        ("abi_control_refuse.reason", MemoryLayout<abi_control_refuse>.offset(of: \.reason)),
        // abi_control_publish
        ("abi_control_publish.head", MemoryLayout<abi_control_publish>.offset(of: \.head)),
        ("abi_control_publish.generation", MemoryLayout<abi_control_publish>.offset(of: \.generation)),
        ("abi_control_publish.secrets_generation", MemoryLayout<abi_control_publish>.offset(of: \.secrets_generation)),
        ("abi_control_publish.has_secrets", MemoryLayout<abi_control_publish>.offset(of: \.has_secrets)),
        ("abi_control_publish._pad0", MemoryLayout<abi_control_publish>.offset(of: \._pad0)),
        // abi_control_shutdown
        ("abi_control_shutdown.head", MemoryLayout<abi_control_shutdown>.offset(of: \.head)),
        ("abi_control_shutdown.grace_ms", MemoryLayout<abi_control_shutdown>.offset(of: \.grace_ms)),
        // abi_control_worker
        ("abi_control_worker.head", MemoryLayout<abi_control_worker>.offset(of: \.head)),
        ("abi_control_worker.worker", MemoryLayout<abi_control_worker>.offset(of: \.worker)),
        ("abi_control_worker.pid", MemoryLayout<abi_control_worker>.offset(of: \.pid)),
        ("abi_control_worker.state", MemoryLayout<abi_control_worker>.offset(of: \.state)),
        ("abi_control_worker.exit_status", MemoryLayout<abi_control_worker>.offset(of: \.exit_status)),
        ("abi_control_worker.generation", MemoryLayout<abi_control_worker>.offset(of: \.generation)),
        // abi_control_phase
        ("abi_control_phase.head", MemoryLayout<abi_control_phase>.offset(of: \.head)),
        ("abi_control_phase.worker", MemoryLayout<abi_control_phase>.offset(of: \.worker)),
        ("abi_control_phase.phase", MemoryLayout<abi_control_phase>.offset(of: \.phase)),
        ("abi_control_phase.generation", MemoryLayout<abi_control_phase>.offset(of: \.generation)),
        ("abi_control_phase.code", MemoryLayout<abi_control_phase>.offset(of: \.code)),
        ("abi_control_phase.listener", MemoryLayout<abi_control_phase>.offset(of: \.listener)),
        ("abi_control_phase.reason", MemoryLayout<abi_control_phase>.offset(of: \.reason)),
        // abi_control_published
        ("abi_control_published.head", MemoryLayout<abi_control_published>.offset(of: \.head)),
        ("abi_control_published.generation", MemoryLayout<abi_control_published>.offset(of: \.generation)),
        ("abi_control_published.outcome", MemoryLayout<abi_control_published>.offset(of: \.outcome)),
        ("abi_control_published._pad0", MemoryLayout<abi_control_published>.offset(of: \._pad0)),
        ("abi_control_published.laggards", MemoryLayout<abi_control_published>.offset(of: \.laggards)),
        // abi_control_listener
        ("abi_control_listener.head", MemoryLayout<abi_control_listener>.offset(of: \.head)),
        ("abi_control_listener.count", MemoryLayout<abi_control_listener>.offset(of: \.count)),
        ("abi_control_listener._pad0", MemoryLayout<abi_control_listener>.offset(of: \._pad0)),
        ("abi_control_listener.keys", MemoryLayout<abi_control_listener>.offset(of: \.keys)),
        // abi_control_reopen
        ("abi_control_reopen.head", MemoryLayout<abi_control_reopen>.offset(of: \.head)),
        // abi_control_upgrade
        ("abi_control_upgrade.head", MemoryLayout<abi_control_upgrade>.offset(of: \.head)),
        ("abi_control_upgrade.path", MemoryLayout<abi_control_upgrade>.offset(of: \.path)),
        // abi_control_upgraded
        ("abi_control_upgraded.head", MemoryLayout<abi_control_upgraded>.offset(of: \.head)),
        ("abi_control_upgraded.outcome", MemoryLayout<abi_control_upgraded>.offset(of: \.outcome)),
        ("abi_control_upgraded.pid", MemoryLayout<abi_control_upgraded>.offset(of: \.pid)),
        ("abi_control_upgraded.reason", MemoryLayout<abi_control_upgraded>.offset(of: \.reason)),
        // abi_control_elder
        ("abi_control_elder.head", MemoryLayout<abi_control_elder>.offset(of: \.head)),
        ("abi_control_elder.pid", MemoryLayout<abi_control_elder>.offset(of: \.pid)),
        ("abi_control_elder.ended", MemoryLayout<abi_control_elder>.offset(of: \.ended)),
        ("abi_control_elder.generation", MemoryLayout<abi_control_elder>.offset(of: \.generation)),
        ("abi_control_elder.connections", MemoryLayout<abi_control_elder>.offset(of: \.connections)),
        ("abi_control_elder.left_ms", MemoryLayout<abi_control_elder>.offset(of: \.left_ms)),
        ("abi_control_elder.program", MemoryLayout<abi_control_elder>.offset(of: \.program)),
        // abi_control_generation
        ("abi_control_generation.head", MemoryLayout<abi_control_generation>.offset(of: \.head)),
        ("abi_control_generation.worker", MemoryLayout<abi_control_generation>.offset(of: \.worker)),
        ("abi_control_generation.has_secrets", MemoryLayout<abi_control_generation>.offset(of: \.has_secrets)),
        ("abi_control_generation.generation", MemoryLayout<abi_control_generation>.offset(of: \.generation)),
        ("abi_control_generation.grace_ms", MemoryLayout<abi_control_generation>.offset(of: \.grace_ms)),
    ]
}
