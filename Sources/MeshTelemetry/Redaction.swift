/// What must not reach a log, taken out of it. The last line of defence: callers do not pass
/// tokens or keys in the first place.
enum Redaction {
    static let mark = "[redacted]"

    private static let keys: Set<String> = [
        "authorization", "client_secret", "cookie", "key_pem", "password", "private_key",
        "proxy_authorization", "secret", "secret_key", "set_cookie", "token", "x_consul_token",
    ]

    /// Whether values under this metadata key are never written. Case and `-`/`_` do not matter.
    static func hides(key: String) -> Bool {
        if keys.contains(key) { return true }
        // The names above are ASCII in lower case: most keys are decided without an allocation.
        guard key.utf8.contains(where: { $0 == 0x2D || (0x41...0x5A).contains($0) }) else {
            return false
        }
        return keys.contains(String(key.lowercased().map { $0 == "-" ? "_" : $0 }))
    }

    /// The text without bearer tokens and private keys in PEM form.
    static func clean(_ text: String) -> String {
        var bytes = Array(text.utf8)
        let credentials = replace(
            &bytes, after: Array("bearer ".utf8), while: { $0 > 0x20 && $0 != 0x22 })
        let keys = replacePrivateKeys(&bytes)
        return credentials || keys ? String(decoding: bytes, as: UTF8.self) : text
    }

    /// Replaces what follows each occurrence of a lower-case word, compared without case.
    private static func replace(
        _ bytes: inout [UInt8], after word: [UInt8], while isPart: (UInt8) -> Bool
    ) -> Bool {
        var found = false
        var at = 0
        while let start = find(word, in: bytes, from: at) {
            let first = start + word.count
            let last = bytes[first...].firstIndex { !isPart($0) } ?? bytes.count
            guard last > first else {
                at = first
                continue
            }
            bytes.replaceSubrange(first..<last, with: mark.utf8)
            at = first + mark.utf8.count
            found = true
        }
        return found
    }

    private static func replacePrivateKeys(_ bytes: inout [UInt8]) -> Bool {
        let opening = Array("private key-----".utf8)
        let closing = Array("-----end".utf8)
        var found = false
        var at = 0
        while let start = find(opening, in: bytes, from: at) {
            let first = start + opening.count
            let last = find(closing, in: bytes, from: first) ?? bytes.count
            if last > first {
                bytes.replaceSubrange(first..<last, with: mark.utf8)
                found = true
            }
            // The closing line names a private key too: go on after it.
            at = find(opening, in: bytes, from: first).map { $0 + opening.count } ?? bytes.count
        }
        return found
    }

    private static func find(_ word: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard start + word.count <= bytes.count else { return nil }
        return (start...(bytes.count - word.count)).first { offset in
            word.indices.allSatisfy { lower(bytes[offset + $0]) == word[$0] }
        }
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
