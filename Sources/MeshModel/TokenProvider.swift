/// Who issues tokens and how they are checked: a `jwt-provider` entry of Consul, which is kept as
/// it was written and read when it is used.
package struct TokenProvider: Hashable, Sendable, Codable {
    package static let kind = "jwt-provider"

    /// Where the issuer's public keys are.
    package enum Keys: Hashable, Sendable, Codable {
        /// A key set in JSON.
        case inline(String)
        case file(String)
        case remote(Remote)
    }

    package struct Remote: Hashable, Sendable, Codable {
        package var url: String
        package var timeout: MeshDuration = .seconds(5)
        /// How long a key set that was fetched counts as fresh.
        package var cache: MeshDuration = .seconds(300)
        /// Between two tries when the issuer does not answer: the first pause, and the longest.
        package var firstPause: MeshDuration = .seconds(1)
        package var longestPause: MeshDuration = .seconds(10)
    }

    /// Where in a request a token may stand.
    package struct Place: Hashable, Sendable, Codable {
        package enum Kind: Hashable, Sendable, Codable {
            case header
            case query
            case cookie
        }

        package var kind: Kind
        package var name: String
        package var prefix: String
        /// Whether the service sees the field.
        package var forwards: Bool

        package init(_ kind: Kind, _ name: String, prefix: String = "", forwards: Bool = false) {
            self.kind = kind
            self.name = name
            self.prefix = prefix
            self.forwards = forwards
        }
    }

    package var name: String
    /// What `iss` must be; empty: anything.
    package var issuer = ""
    /// Of which `aud` must have one; none: anything.
    package var audiences: [String] = []
    package var keys: Keys
    /// Where tokens are looked for, in order.
    package var places: [Place] = [
        Place(.header, "authorization", prefix: "Bearer "), Place(.query, "access_token"),
    ]
    package var clockSkewSeconds: Int64 = 30
    /// The field by which services get the token's payload; empty: none.
    package var payloadHeader = ""
    package var padsPayload = false

    /// Reads the entry; throws what is wrong with it and what to write.
    package init(_ entry: OtherEntry) throws {
        name = entry.name
        let fields = DataValue.object(entry.fields)
        guard let keySet = fields[key: "json_web_key_set"] else {
            throw Self.wrong(entry, "JSONWebKeySet is required: write Local or Remote")
        }
        keys = try Self.keys(keySet, entry)
        issuer = fields[key: "issuer"]?.string ?? ""
        if case .array(let list)? = fields[key: "audiences"] {
            audiences = list.compactMap(\.string)
        }
        if case .array(let list)? = fields[key: "locations"], !list.isEmpty {
            places = try list.map { try Self.place($0, entry) }
        }
        if let skew = fields[key: "clock_skew_seconds"]?.int {
            guard (0...3600).contains(skew) else {
                throw Self.wrong(entry, "ClockSkewSeconds is \(skew): use 0 to 3600")
            }
            clockSkewSeconds = skew
        }
        if let forwarding = fields[key: "forwarding"] {
            payloadHeader = (forwarding[key: "header_name"]?.string ?? "").lowercased()
            padsPayload = forwarding[key: "pad_forward_payload_header"] == .bool(true)
            try Self.checkToken(payloadHeader, "Forwarding.HeaderName", entry)
        }
    }

    /// The entry read, if it is one of a provider.
    package static func read(_ entry: ConfigEntry) throws -> TokenProvider? {
        guard case .other(let other) = entry, other.kind == kind else { return nil }
        return try TokenProvider(other)
    }

    private static func wrong(_ entry: OtherEntry, _ what: String) -> MeshError {
        MeshError(.invalid, "\(kind) \"\(entry.name)\": \(what)")
    }

    private static func keys(_ value: DataValue, _ entry: OtherEntry) throws -> Keys {
        if let remote = value[key: "remote"] {
            return .remote(try self.remote(remote, entry))
        }
        guard let local = value[key: "local"] else {
            throw wrong(entry, "JSONWebKeySet is empty: write Local or Remote")
        }
        if let file = local[key: "filename"]?.string, !file.isEmpty { return .file(file) }
        guard let text = local[key: "jwks"]?.string, !text.isEmpty else {
            throw wrong(entry, "JSONWebKeySet.Local has neither JWKS nor Filename")
        }
        if text.first == "{" { return .inline(text) }
        guard let bytes = Base64Text.decode(text) else {
            throw wrong(entry, "JSONWebKeySet.Local.JWKS is not base64")
        }
        return .inline(String(decoding: bytes, as: UTF8.self))
    }

    private static func remote(_ value: DataValue, _ entry: OtherEntry) throws -> Remote {
        guard let url = value[key: "uri"]?.string,
            url.hasPrefix("http://") || url.hasPrefix("https://")
        else {
            throw wrong(entry, "JSONWebKeySet.Remote.URI is not an http:// or https:// URL")
        }
        var remote = Remote(url: url)
        if let timeout = value[key: "request_timeout_ms"]?.int, timeout > 0 {
            remote.timeout = .milliseconds(min(timeout, 60_000))
        }
        remote.cache = try span(value, "cache_duration", entry) ?? remote.cache
        if let pauses = value[key: "retry_policy"]?[key: "retry_policy_back_off"] {
            remote.firstPause = try span(pauses, "base_interval", entry) ?? remote.firstPause
            remote.longestPause =
                try span(pauses, "max_interval", entry)
                ?? max(remote.longestPause, remote.firstPause)
        }
        return remote
    }

    private static func span(
        _ value: DataValue, _ key: String, _ entry: OtherEntry
    ) throws -> MeshDuration? {
        switch value[key: key] {
        case .string(let text)?:
            guard !text.isEmpty else { return nil }
            guard let span = try? MeshDuration(text) else {
                throw wrong(entry, "\(key) is \"\(text)\": write a duration as 30s")
            }
            return span > .zero ? span : nil
        case .int(let nanoseconds)? where nanoseconds > 0:
            return MeshDuration(nanoseconds: nanoseconds)
        default: return nil
        }
    }

    private static func place(_ value: DataValue, _ entry: OtherEntry) throws -> Place {
        if let header = value[key: "header"] {
            let name = (header[key: "name"]?.string ?? "").lowercased()
            try checkToken(name, "Locations.Header.Name", entry, mayBeEmpty: false)
            // Envoy's way: what stands between is skipped, so a prefix without a blank has one.
            let prefix = header[key: "value_prefix"]?.string ?? ""
            return Place(
                .header, name, prefix: prefix,
                forwards: header[key: "forward"] == .bool(true))
        }
        if let query = value[key: "query_param"] {
            let name = query[key: "name"]?.string ?? ""
            try checkToken(name, "Locations.QueryParam.Name", entry, mayBeEmpty: false)
            return Place(.query, name)
        }
        let name = value[key: "cookie"]?[key: "name"]?.string ?? ""
        try checkToken(
            name, "Locations has no Header, QueryParam or Cookie with a name", entry,
            mayBeEmpty: false)
        return Place(.cookie, name)
    }

    /// A token of RFC 9110, as names of fields are.
    private static func checkToken(
        _ text: String, _ what: String, _ entry: OtherEntry, mayBeEmpty: Bool = true
    ) throws {
        let marks = Set("!#$%&'*+-.^_`|~".utf8)
        let isGood = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20)
                || marks.contains(byte)
        }
        guard isGood, mayBeEmpty || !text.isEmpty, text.utf8.count <= 256 else {
            throw wrong(entry, text.isEmpty ? what : "\(what) is \"\(text)\", which is no name")
        }
    }
}

/// Base64 as documents and tokens have it: both alphabets, padded or not.
package enum Base64Text {
    package static func decode(_ text: String) -> [UInt8]? { decode(Array(text.utf8)) }

    package static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count * 3 / 4)
        var word: UInt32 = 0
        var count = 0
        var padding = 0
        for byte in text where byte != 0x0a && byte != 0x0d {
            guard let value = value(byte), padding == 0 else {
                guard byte == 0x3d, padding < 2 else { return nil }
                padding += 1
                continue
            }
            word = word << 6 | UInt32(value)
            count += 1
            if count == 4 {
                result += [UInt8(word >> 16 & 255), UInt8(word >> 8 & 255), UInt8(word & 255)]
                (word, count) = (0, 0)
            }
        }
        switch count {
        case 0: break
        case 2:
            guard word & 15 == 0 else { return nil }
            result.append(UInt8(word >> 4 & 255))
        case 3:
            guard word & 3 == 0 else { return nil }
            result += [UInt8(word >> 10 & 255), UInt8(word >> 2 & 255)]
        default: return nil
        }
        return result
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x41...0x5a: byte - 0x41
        case 0x61...0x7a: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2b, 0x2d: 62
        case 0x2f, 0x5f: 63
        default: nil
        }
    }
}
