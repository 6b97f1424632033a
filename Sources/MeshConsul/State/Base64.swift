/// Base64 with the usual alphabet and padding (RFC 4648 §4).
enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 0xff, count: 256)
        for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
        return table
    }()

    static func encoded(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            let second = count > 1 ? bytes[start + 1] : 0
            let third = count > 2 ? bytes[start + 2] : 0
            text.append(alphabet[Int(bytes[start] >> 2)])
            text.append(alphabet[Int((bytes[start] & 3) << 4 | second >> 4)])
            text.append(count > 1 ? alphabet[Int((second & 15) << 2 | third >> 6)] : 0x3d)
            text.append(count > 2 ? alphabet[Int(third & 63)] : 0x3d)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil for what is none. Line breaks are skipped, as Go does.
    static func decoded(_ text: String) -> [UInt8]? {
        let letters = text.utf8.filter { $0 != 0x0a && $0 != 0x0d }
        guard letters.count % 4 == 0 else { return nil }
        let padding = letters.reversed().prefix { $0 == 0x3d }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(letters.count / 4 * 3)
        var bits: UInt32 = 0
        for (place, letter) in letters.dropLast(padding).enumerated() {
            let value = values[Int(letter)]
            guard value != 0xff else { return nil }
            bits = bits << 6 | UInt32(value)
            if place % 4 == 3 {
                for shift in [16, 8, 0] as [UInt32] { bytes.append(UInt8(bits >> shift & 0xff)) }
                bits = 0
            }
        }
        if padding == 1 { bytes += [UInt8(bits >> 10 & 0xff), UInt8(bits >> 2 & 0xff)] }
        if padding == 2 { bytes.append(UInt8(bits >> 4 & 0xff)) }
        return bytes
    }
}
