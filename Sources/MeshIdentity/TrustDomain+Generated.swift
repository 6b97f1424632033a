package import MeshModel

extension TrustDomain {
    /// A new domain `<uuid>.consul`, for an installation whose configuration names none. It is made
    /// once and stored: every identity ever issued carries it.
    package static func generated(
        using generator: inout some RandomNumberGenerator
    ) throws -> TrustDomain {
        var bytes = generator.bytes(16)
        bytes[6] = bytes[6] & 0x0F | 0x40  // RFC 9562 §5.4: version 4
        bytes[8] = bytes[8] & 0x3F | 0x80  // and its variant
        var rest = bytes[...]
        let groups = [4, 2, 2, 2, 6].map { count in
            defer { rest = rest.dropFirst(count) }
            return Hex.text(rest.prefix(count))
        }
        return try TrustDomain(groups.joined(separator: "-") + ".consul")
    }
}
