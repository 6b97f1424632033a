/// The hash of keys that must be the same in every process and generation: FNV-1a over the parts,
/// finished as `base/hash.h` does.
package struct StableHash: Sendable {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    package init() {}

    private mutating func add(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x100_0000_01b3
    }

    /// Adds a text and its end, so that "ab" and "c" differ from "a" and "bc".
    package mutating func combine(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            for byte in bytes { add(byte) }
        }
        add(0xff)  // no byte of UTF-8
    }

    package mutating func combine(_ bytes: [UInt8]) {
        combine(UInt64(bytes.count))
        for byte in bytes { add(byte) }
    }

    package mutating func combine(_ number: UInt64) {
        // One step for a whole word: finish() spreads its bits.
        state = (state ^ number) &* 0x100_0000_01b3
        state ^= state >> 32
    }

    package mutating func combine(_ address: AddressPlan) {
        switch address {
        case .ip(let ip, let port):
            combine(ip.high)
            combine(ip.low)
            combine(UInt64(port) << 1 | (ip.isV6 ? 1 : 0))
        case .unix(let path, _):
            combine(path)
        case .original:
            combine("original")
        }
    }

    package func finish() -> UInt64 {
        var hash = state
        hash ^= hash >> 33
        hash = hash &* 0xff51_afd7_ed55_8ccd
        hash ^= hash >> 33
        return hash
    }

    /// The hash of one text.
    package static func of(_ text: String) -> UInt64 {
        var hash = StableHash()
        hash.combine(text)
        return hash.finish()
    }
}
