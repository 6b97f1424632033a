/// What a name of the domain asks for.
package enum DNSLookup: Hashable, Sendable {
    /// The domain itself.
    case domain
    /// `ns` of the domain, the server's own name.
    case server
    case service(name: String, tag: String, datacenter: String)
    case connect(name: String, datacenter: String)
    /// Where a service is called as a whole.
    case virtual(name: String, datacenter: String)
    case node(name: String, datacenter: String)
    case query(name: String, datacenter: String)
    /// An address in hexadecimal digits: 4 or 16 bytes.
    case address([UInt8], datacenter: String)
    /// There is no such name.
    case nothing

    /// Reads the labels before the domain's. The kind stands last, or before a place.
    package init(_ labels: [[UInt8]]) {
        let texts = labels.map { String(decoding: $0, as: UTF8.self) }
        let folded = DNSName(unchecked: labels).folded
        if texts.isEmpty {
            self = .domain
            return
        }
        if folded == ["ns"] {
            self = .server
            return
        }
        let kinds = ["service", "connect", "virtual", "node", "query", "addr"]
        for place in folded.indices.reversed() where kinds.contains(folded[place]) {
            guard let datacenter = Self.datacenter(folded[(place + 1)...]) else { continue }
            self = Self.lookup(folded[place], Array(texts[..<place]), datacenter)
            return
        }
        self = .nothing
    }

    /// The datacenter of a place: `dc1`, or pairs such as `default.ns.default.ap.dc1.dc`, in any
    /// order. Empty: none is named. nil: that is no place, or one that is not here.
    private static func datacenter(_ labels: ArraySlice<String>) -> String? {
        if labels.count <= 1 { return labels.first ?? "" }
        guard labels.count.isMultiple(of: 2), labels.count <= 6 else { return nil }
        var named: [String: String] = [:]
        for place in stride(from: labels.startIndex, to: labels.endIndex, by: 2) {
            guard named.updateValue(labels[place], forKey: labels[place + 1]) == nil else {
                return nil
            }
        }
        let datacenter = named.removeValue(forKey: "dc")
        // There is one namespace, one partition, and nobody is a peer.
        guard named.allSatisfy({ ["ns", "ap"].contains($0.key) && $0.value == "default" }) else {
            return nil
        }
        return datacenter ?? ""
    }

    private static func lookup(
        _ kind: String, _ names: [String], _ datacenter: String
    ) -> DNSLookup {
        guard let last = names.last else { return .nothing }
        switch kind {
        case "service": return service(names, last, datacenter)
        case "connect" where names.count == 1: return .connect(name: last, datacenter: datacenter)
        case "virtual" where names.count == 1: return .virtual(name: last, datacenter: datacenter)
        case "node": return .node(name: names.joined(separator: "."), datacenter: datacenter)
        case "query": return .query(name: names.joined(separator: "."), datacenter: datacenter)
        case "addr" where names.count == 1:
            return address(last).map { .address($0, datacenter: datacenter) } ?? .nothing
        default: return .nothing
        }
    }

    /// `web`, `v1.web`, `_web._v1` and `_web._tcp`, which names no tag.
    private static func service(
        _ names: [String], _ last: String, _ datacenter: String
    ) -> DNSLookup {
        if names.count == 2, names.allSatisfy({ $0.hasPrefix("_") && $0.utf8.count > 1 }) {
            let tag = String(last.dropFirst())
            return .service(
                name: String(names[0].dropFirst()), tag: tag.lowercased() == "tcp" ? "" : tag,
                datacenter: datacenter)
        }
        return .service(
            name: last, tag: names.dropLast().joined(separator: "."), datacenter: datacenter)
    }

    private static func address(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 8 || digits.count == 32 else { return nil }
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[place]), let low = value(digits[place + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
