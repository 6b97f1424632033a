import CMeshABI

/// Records as people read them.
extension SnapshotReader {
    func address(_ record: abi_address) -> String {
        if record.family == UInt8(ABI_FAMILY_UNIX.rawValue) {
            return AddressPlan.unix(path: text(record.path), mode: record.mode).description
        }
        if record.family == UInt8(ABI_FAMILY_ORIGINAL.rawValue) {
            return AddressPlan.original.description
        }
        let (high, low) = withUnsafeBytes(of: record.ip) {
            (
                UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        let ip =
            record.family == UInt8(ABI_FAMILY_IP4.rawValue)
            ? IPAddress(v4: UInt32(high >> 32)) : IPAddress(v6High: high, low: low)
        return AddressPlan.ip(ip, port: record.port).description
    }

    /// The IP address that redirected connections were made to.
    func address(_ original: abi_original) -> String {
        let (high, low) = withUnsafeBytes(of: original.ip) {
            (
                UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
        guard high == 0, low >> 32 == 0xffff else { return "\(IPAddress(v6High: high, low: low))" }
        return "\(IPAddress(v4: UInt32(truncatingIfNeeded: low)))"
    }

    func describe(_ endpoint: abi_endpoint) -> String {
        "\(text(endpoint.instance)) at \(address(endpoint.address))"
            + (endpoint.tls == ABI_NONE ? "" : " over TLS")
    }

    /// What a route asks of requests.
    func describeMatch(_ route: abi_route) -> String {
        var parts: [String] = []
        switch abi_path_kind(rawValue: UInt32(route.path_kind)) {
        case ABI_PATH_EXACT: parts.append("path is \(text(route.path))")
        case ABI_PATH_PREFIX: parts.append("path begins with \(text(route.path))")
        case ABI_PATH_REGEX: parts.append("path matches \(text(route.path))")
        default: break
        }
        let methods = SnapshotWriter.methodNumbers.filter { route.methods >> $0.value & 1 != 0 }
        if !methods.isEmpty {
            parts.append("method is " + methods.keys.sorted().joined(separator: " or "))
        }
        for index in route.matches.at..<route.matches.at + route.matches.count {
            parts.append(describe(matches[Int(index)]))
        }
        return parts.isEmpty ? "any request" : parts.joined(separator: ", ")
    }

    private func describe(_ match: abi_match) -> String {
        let subject = match.subject == UInt8(ABI_MATCH_HEADER.rawValue) ? "header" : "parameter"
        let value = "\"\(text(match.value))\""
        let verb =
            switch abi_match_kind(rawValue: UInt32(match.kind)) {
            case ABI_MATCH_PRESENT: "is there"
            case ABI_MATCH_EXACT: "is \(value)"
            case ABI_MATCH_PREFIX: "begins with \(value)"
            case ABI_MATCH_SUFFIX: "ends with \(value)"
            case ABI_MATCH_CONTAINS: "contains \(value)"
            default: "matches \(value)"
            }
        return "\(match.invert != 0 ? "not: " : "")\(subject) \(text(match.name)) \(verb)"
            + (match.ignore_case != 0 ? " in any case" : "")
    }

    /// What a route does.
    func describe(_ route: abi_route) -> String {
        switch abi_action(rawValue: UInt32(route.action)) {
        case ABI_ACTION_RESPOND: return "answers \(route.status)"
        case ABI_ACTION_REDIRECT: return "redirects with \(route.status)"
        default: return "to " + describe(route.splits)
        }
    }

    /// Destinations with their shares.
    func describe(_ list: abi_ref) -> String {
        (list.at..<list.at + list.count).map { index in
            let split = splits[Int(index)]
            let name = text(targets[Int(split.target)].name)
            guard split.weight < ABI_SPLIT_TOTAL else { return name }
            return "\(Double(split.weight) / 100) % \(name)"
        }.joined(separator: ", ")
    }
}
