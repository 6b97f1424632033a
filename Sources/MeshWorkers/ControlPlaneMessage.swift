import CMeshABI

/// What the control plane says, as the bytes of one packet.
enum ControlPlaneMessage {
    /// Who is calling. The installation is fixed by the first control plane of a data plane.
    static func hello(installation: InstallationID, pid: UInt32) -> [UInt8] {
        var message = abi_control_hello()
        message.head = head(ABI_CONTROL_HELLO, message)
        message.version = ABI_VERSION
        message.pid = pid
        withUnsafeMutableBytes(of: &message.installation) { $0.copyBytes(from: installation.bytes) }
        return bytes(of: message)
    }

    static func publish(generation: UInt64, secretsGeneration: UInt64, hasSecrets: Bool) -> [UInt8]
    {
        var message = abi_control_publish()
        message.head = head(ABI_CONTROL_PUBLISH, message)
        message.generation = generation
        message.secrets_generation = secretsGeneration
        message.has_secrets = hasSecrets ? 1 : 0
        return bytes(of: message)
    }

    static func shutdown(graceMilliseconds: UInt64) -> [UInt8] {
        var message = abi_control_shutdown()
        message.head = head(ABI_CONTROL_SHUTDOWN, message)
        message.grace_ms = graceMilliseconds
        return bytes(of: message)
    }

    static func reopen() -> [UInt8] {
        var message = abi_control_reopen()
        message.head = head(ABI_CONTROL_REOPEN, message)
        return bytes(of: message)
    }

    /// nil when the path is longer than a message has room for.
    static func upgrade(program path: String) -> [UInt8]? {
        var message = abi_control_upgrade()
        message.head = head(ABI_CONTROL_UPGRADE, message)
        let fits = withUnsafeMutableBytes(of: &message.path) { field in
            guard path.utf8.count < field.count else { return false }
            field.copyBytes(from: path.utf8)
            return true
        }
        return fits ? bytes(of: message) : nil
    }

    private static func head<Message>(_ type: abi_control_type, _ message: Message)
        -> abi_control_head
    {
        abi_control_head(
            type: UInt32(type.rawValue), length: UInt32(MemoryLayout<Message>.size))
    }

    private static func bytes<Message: BitwiseCopyable>(of message: Message) -> [UInt8] {
        withUnsafeBytes(of: message) { Array($0) }
    }
}

/// Names the installation that a data plane belongs to: made once, kept with the store.
package struct InstallationID: Sendable, Hashable {
    /// Sixteen bytes, not all zero.
    package let bytes: [UInt8]

    /// nil unless there are sixteen bytes, not all zero.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 16, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = bytes
    }

    /// A new one.
    package static func random() -> InstallationID {
        var generator = SystemRandomNumberGenerator()
        // The top bit of the last byte keeps it from being all zero.
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes[15] |= 0x80
        return InstallationID(unchecked: bytes)
    }

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }
}
