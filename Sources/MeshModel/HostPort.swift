/// A TCP address to listen on or to dial: `127.0.0.1:8002`, `[::1]:8002`, `web.local:80`.
///
/// `:8000` means port 8000 on all interfaces, IPv4 and IPv6, when listened on.
package struct HostPort: Hashable, Sendable {
    /// An IP address without brackets, a host name, or empty for all interfaces.
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":") else {
            throw Self.malformed(text, "the port is missing")
        }
        let portText = text[text.index(after: colon)...]
        guard let port = UInt16(portText), portText.allSatisfy(\.isNumber) else {
            throw Self.malformed(text, "the port must be a number of 0 to 65535")
        }
        let hostText = text[..<colon]
        if hostText.hasPrefix("[") {
            guard hostText.hasSuffix("]"), IPText.isV6(hostText.dropFirst().dropLast()) else {
                throw Self.malformed(text, "an IPv6 address in brackets is expected")
            }
            self.init(host: String(hostText.dropFirst().dropLast()), port: port)
            return
        }
        guard !hostText.contains(":") else {
            throw Self.malformed(text, "an IPv6 address must be in brackets")
        }
        guard hostText.isEmpty || IPText.isHost(hostText) else {
            throw Self.malformed(text, "the host is neither an address nor a host name")
        }
        self.init(host: String(hostText), port: port)
    }

    /// Whether the host is loopback by its text; a name other than `localhost` is not.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || (IPText.isV4(host[...]) && host.hasPrefix("127."))
    }

    private static func malformed(_ text: String, _ why: String) -> MeshError {
        MeshError(
            .invalid,
            "\(NameRule.quoted(text)) is not an address: \(why); write host:port, for example "
                + "127.0.0.1:8002, [::1]:8002 or :8002 for all interfaces")
    }
}

extension HostPort: CustomStringConvertible, Codable {
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Whether a text is an IP address or a host name. Nothing is resolved.
package enum IPText {
    /// Dotted quad, no leading zeros: 010.0.0.1 is ten to some readers and eight to others.
    package static func isV4(_ text: Substring) -> Bool { quad(text) != nil }

    /// The bits of a dotted quad.
    package static func quad(_ text: Substring) -> UInt32? {
        var bits: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in text.utf8 {
            if byte == 0x2e {
                guard digits > 0, dots < 3 else { return nil }
                bits = bits << 8 | part
                (part, digits) = (0, 0)
                dots += 1
                continue
            }
            // A zero stands alone.
            guard (0x30...0x39).contains(byte), digits == 0 || part > 0 else { return nil }
            part = part * 10 + UInt32(byte - 0x30)
            digits += 1
            guard part <= 255 else { return nil }
        }
        return dots == 3 && digits > 0 ? bits << 8 | part : nil
    }

    /// RFC 4291 text form, `::` at most once, an IPv4 tail allowed, no zone.
    package static func isV6(_ text: Substring) -> Bool {
        guard (2...45).contains(text.utf8.count) else { return false }
        let halves = splitAtGap(text)
        guard halves.count <= 2, let tail = halves.last else { return false }
        var groups = 0
        for half in halves where !half.isEmpty {
            let parts = half.split(separator: ":", omittingEmptySubsequences: false)
            for (index, part) in parts.enumerated() {
                if index == parts.count - 1, half == tail, part.contains(".") {
                    guard isV4(part) else { return false }
                    groups += 2
                } else {
                    guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit),
                        part.allSatisfy(\.isASCII)
                    else { return false }
                    groups += 1
                }
            }
        }
        return halves.count == 2 ? groups <= 7 : groups == 8
    }

    /// The text before and after each `::`.
    private static func splitAtGap(_ text: Substring) -> [Substring] {
        var halves: [Substring] = []
        var rest = text
        while let colon = rest.firstIndex(of: ":") {
            var gap: Substring.Index?
            var index = colon
            while index < rest.endIndex {
                let next = rest.index(after: index)
                if rest[index] == ":", next < rest.endIndex, rest[next] == ":" {
                    gap = index
                    break
                }
                index = next
            }
            guard let gap else { break }
            halves.append(rest[..<gap])
            rest = rest[rest.index(gap, offsetBy: 2)...]
        }
        halves.append(rest)
        return halves
    }

    /// An IPv4 or IPv6 address.
    package static func isAddress(_ text: Substring) -> Bool { isV4(text) || isV6(text) }

    /// An address or a host name of DNS labels; `_` is accepted because real names have it.
    package static func isHost(_ text: Substring) -> Bool {
        if isAddress(text) { return true }
        guard (1...253).contains(text.utf8.count) else { return false }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        // All digits and dots that is not an address is a mistyped address, not a name.
        if labels.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.unicodeScalars.allSatisfy {
                    NameRule.isAlphanumeric($0) || $0 == "-" || $0 == "_"
                }
        }
    }
}
