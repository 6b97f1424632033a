/// BLAKE2b with 32 bytes of result and no key (RFC 7693): Consul tells an intention's content by
/// it. For what nobody chose to deceive with; seals and signatures are MeshIdentity's.
struct Blake2b {
    static let byteCount = 32
    private static let blockBytes = 128

    /// §2.6: the first 64 bits of the fractions of square roots of primes.
    private static let start: [UInt64] = [
        0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1, 0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
    ]

    /// §2.7: the order of a block's words in each round; the last two rounds are as the first two.
    private static let orders: [[Int]] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ]

    /// Columns, then diagonals.
    private static let quarters: [(Int, Int, Int, Int)] = [
        (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
        (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
    ]

    /// The digest of a text's bytes.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var state = start
        state[0] ^= 0x0101_0000 ^ UInt64(byteCount)
        var at = 0
        repeat {
            let end = min(at + blockBytes, bytes.count)
            let words = words(of: bytes[at..<end])
            at = end
            mix(&state, words, count: UInt64(at), isLast: at == bytes.count)
        } while at < bytes.count
        return state.prefix(byteCount / 8).flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
        }
    }

    /// A block as little-endian words, filled up with zeros.
    private static func words(of bytes: ArraySlice<UInt8>) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 16)
        for (place, byte) in bytes.enumerated() {
            words[place / 8] |= UInt64(byte) << (8 * UInt64(place % 8))
        }
        return words
    }

    private static func mix(
        _ state: inout [UInt64], _ words: [UInt64], count: UInt64, isLast: Bool
    ) {
        var work = state + start
        work[12] ^= count
        if isLast { work[14] = ~work[14] }
        for round in 0..<12 {
            let order = orders[round % 10]
            for (turn, quarter) in quarters.enumerated() {
                let (a, b, c, d) = quarter
                work[a] = work[a] &+ work[b] &+ words[order[2 * turn]]
                work[d] = rotated(work[d] ^ work[a], 32)
                work[c] = work[c] &+ work[d]
                work[b] = rotated(work[b] ^ work[c], 24)
                work[a] = work[a] &+ work[b] &+ words[order[2 * turn + 1]]
                work[d] = rotated(work[d] ^ work[a], 16)
                work[c] = work[c] &+ work[d]
                work[b] = rotated(work[b] ^ work[c], 63)
            }
        }
        for place in 0..<8 { state[place] ^= work[place] ^ work[place + 8] }
    }

    private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
        word >> bits | word << (64 - bits)
    }
}
