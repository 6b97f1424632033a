import CMeshABI

/// A snapshot that was read back, with another stamp: the same routes under a new number.
package struct RestampedSnapshot: Sendable {
    package let bytes: [UInt8]

    /// nil for what is no snapshot of this version.
    package init?(_ original: [UInt8], stamp: SnapshotBuilder.Stamp) {
        guard original.count >= MemoryLayout<abi_snapshot>.size else { return nil }
        var head = original.withUnsafeBytes { $0.loadUnaligned(as: abi_snapshot.self) }
        guard head.magic == ABI_SNAPSHOT_MAGIC, head.version == ABI_VERSION,
            head.size == UInt64(original.count)
        else { return nil }
        head.generation = stamp.generation
        head.secrets_generation = stamp.secretsGeneration
        head.written_at_ms = stamp.writtenAtMilliseconds
        // The checksum is of what stands behind the header.
        var copy = original
        withUnsafeBytes(of: head) { bytes in
            copy.replaceSubrange(0..<bytes.count, with: bytes)
        }
        self.bytes = copy
    }
}
