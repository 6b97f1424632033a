/// Bytes as two hexadecimal digits each, in lower case.
enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: some Sequence<UInt8>, separator: String = "") -> String {
        bytes.map { byte in
            String(decoding: [digits[Int(byte >> 4)], digits[Int(byte & 15)]], as: UTF8.self)
        }
        .joined(separator: separator)
    }
}
