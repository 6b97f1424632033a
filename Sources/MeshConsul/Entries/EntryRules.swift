import MeshModel

/// What Consul checks of a config entry before it takes it, in its words. What it does not check is
/// checked by whoever reads the entry.
enum EntryRules {
    static func check(_ entry: JSON) throws(APIError) {
        let kind = entry.folded("Kind")?.string ?? ""
        let known = ConfigEntry.Kind(rawValue: kind)
        guard known != nil || ConfigEntry.carriedKinds.contains(kind) else {
            throw undecodable("invalid config entry kind: \(kind)")
        }
        let name = entry.folded("Name")?.string ?? ""
        if name.isEmpty, kind != "proxy-defaults", kind != "mesh" {
            throw refused("Name is required")
        }
        switch known {
        case .serviceRouter: try router(entry)
        case .serviceSplitter: try splitter(entry, name)
        case .serviceResolver: try resolver(entry, name)
        case .serviceIntentions: try intentions(entry, name)
        case .proxyDefaults:
            guard name == "global" || name.isEmpty else {
                throw refused("invalid name (\"\(name)\"), only \"global\" is supported")
            }
        case .ingressGateway: try GatewayRules.ingress(entry)
        case .terminatingGateway: try GatewayRules.terminating(entry)
        case .serviceDefaults, nil: break
        }
    }

    /// A body that is none, or has keys or values that an entry has not.
    static func undecodable(_ why: String) -> APIError {
        APIError(400, "Bad request: Request decoding failed: \(why)")
    }

    static func refused(_ why: String) -> APIError { APIError(500, why) }

    // MARK: - kinds

    private static func router(_ entry: JSON) throws(APIError) {
        for (index, route) in entry.list("Routes").enumerated() {
            let place = "Route[\(index)]"
            let match = route.folded("Match")?.folded("HTTP")
            if let match { try http(match, place, dot: false) }
            for (number, parameter) in (match?.list("QueryParam") ?? []).enumerated() {
                let here = "\(place) QueryParam[\(number)]"
                guard parameter.hasText("Name") else {
                    throw refused("\(here) missing required Name field")
                }
                guard parameter.count(of: ["Present", "Exact", "Regex"]) == 1 else {
                    throw refused("\(here) should only contain one of Present, Exact, or Regex")
                }
            }
            let rewrites = route.folded("Destination")?.hasText("PrefixRewrite") ?? false
            let hasPath =
                match?.hasText("PathExact") ?? false || match?.hasText("PathPrefix") ?? false
            guard !rewrites || hasPath else {
                throw refused(
                    "\(place) cannot make use of PrefixRewrite without configuring either "
                        + "PathExact or PathPrefix")
            }
        }
    }

    /// The criteria that routes and permissions share. `dot`: how the place is written before a
    /// member.
    private static func http(_ match: JSON, _ place: String, dot: Bool) throws(APIError) {
        let paths = ["PathExact", "PathPrefix", "PathRegex"]
        guard match.count(of: paths) <= 1 else {
            let list = "PathExact, PathPrefix, or PathRegex"
            throw refused("\(place) should only contain at most one of \(list)")
        }
        let joint = dot ? "." : " "
        for key in ["PathExact", "PathPrefix"] {
            if let path = match.folded(key)?.string, !path.isEmpty, !path.hasPrefix("/") {
                throw refused("\(place)\(joint)\(key) doesn't start with '/': \"\(path)\"")
            }
        }
        for (index, header) in match.list("Header").enumerated() {
            let here = "\(place)\(joint)Header[\(index)]"
            guard header.hasText("Name") else {
                throw refused("\(here) missing required Name field")
            }
            let ways = ["Present", "Exact", "Prefix", "Suffix", "Contains", "Regex"]
            guard header.count(of: ways) == 1 else {
                throw refused(
                    "\(here) should only contain one of Present, Exact, Prefix, Suffix, or Regex")
            }
        }
        for method in match.list("Methods").compactMap(\.string) {
            guard Self.methods.contains(method.uppercased()) else {
                throw refused("\(place) Methods contains an invalid method \"\(method)\"")
            }
        }
    }

    private static let methods: Set<String> = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
    ]

    private static func splitter(_ entry: JSON, _ name: String) throws(APIError) {
        let splits = entry.list("Splits")
        guard !splits.isEmpty else { throw refused("no splits configured") }
        var sum: Float = 0
        var seen: Set<[String]> = []
        for split in splits {
            let weight = Float(split.folded("Weight")?.double ?? 0)
            guard weight >= 0 else { throw refused("the weight of a split cannot be negative") }
            sum += (weight * 100).rounded() / 100
            let service = split.folded("Service")?.string.nonEmpty ?? name
            let subset = split.folded("ServiceSubset")?.string ?? ""
            guard seen.insert([service, subset]).inserted else {
                throw refused(
                    "split destination occurs more than once: service=\"\(service)\", "
                        + "subset=\"\(subset)\", namespace=\"\"")
            }
        }
        guard (sum * 100).rounded() == 10_000 else {
            throw refused("the sum of all split weights must be 100, not \(sum.sixPlaces)")
        }
    }

    private static func resolver(_ entry: JSON, _ name: String) throws(APIError) {
        for key in ["ConnectTimeout", "RequestTimeout"] {
            guard let text = entry.folded(key)?.string, !text.isEmpty else { continue }
            guard let span = try? MeshDuration(text) else {
                throw undecodable(GoErrors.decoding(key, "time: invalid duration \"\(text)\""))
            }
            guard span >= .zero else { throw refused("Bad \(key) '\(span)', must be >= 0") }
        }
        let subsets = entry.members("Subsets")
        for subset in subsets { try self.subset(subset.name) }
        let names = Set(subsets.map(\.name))
        let redirect = entry.folded("Redirect")
        guard redirect == nil || entry.members("Failover").isEmpty else {
            throw refused("Redirect and Failover cannot both be set")
        }
        if let redirect, let subset = redirect.folded("ServiceSubset")?.string.nonEmpty {
            guard let service = redirect.folded("Service")?.string.nonEmpty else {
                throw refused("Redirect.ServiceSubset defined without Redirect.Service")
            }
            guard service != name || names.contains(subset) else {
                throw refused(
                    "Redirect.ServiceSubset \"\(subset)\" is not a valid subset of \"\(service)\"")
            }
        }
        for failover in entry.members("Failover") {
            let place = "Bad Failover[\"\(failover.name)\"]"
            let value = failover.value
            let service = value.folded("Service")?.string ?? ""
            let subset = value.folded("ServiceSubset")?.string ?? ""
            let others = value.list("Datacenters").count + value.list("Targets").count
            guard !service.isEmpty || !subset.isEmpty || others > 0 else {
                throw refused(
                    "\(place) one of Service, ServiceSubset, Namespace, or Datacenters is required")
            }
            guard subset.isEmpty || !(service.isEmpty || service == name) || names.contains(subset)
            else {
                throw refused(
                    "\(place).ServiceSubset \"\(subset)\" is not a valid subset of \"\(service)\"")
            }
        }
        if let balancer = entry.folded("LoadBalancer") { try self.balancer(balancer) }
    }

    private static func subset(_ name: String) throws(APIError) {
        guard !name.isEmpty else { throw refused("Subset defined with empty name") }
        guard name.utf8.count <= 63 else {
            throw refused(
                "Subset \"\(name)\" is invalid: must be non-empty and 63 characters or fewer")
        }
        func isPlain(_ byte: UInt8) -> Bool {
            (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
        }
        let bytes = Array(name.utf8)
        let isSound =
            bytes.allSatisfy { isPlain($0) || $0 == 0x2d } && isPlain(bytes[0])
            && isPlain(bytes[bytes.count - 1])
        guard isSound else {
            throw refused(
                "Subset \"\(name)\" is invalid: must be 63 characters or fewer, begin or end with "
                    + "lower case alphanumeric characters, and contain lower case alphanumeric "
                    + "characters or '-' in between")
        }
    }

    private static func balancer(_ balancer: JSON) throws(APIError) {
        let policy = balancer.folded("Policy")?.string ?? ""
        let head = "Bad LoadBalancer configuration"
        if balancer.folded("RingHashConfig") != nil, policy != "ring_hash" {
            throw refused(
                "\(head). RingHashConfig specified for incompatible load balancing policy "
                    + "\"\(policy)\"")
        }
        if balancer.folded("LeastRequestConfig") != nil, policy != "least_request" {
            throw refused(
                "\(head). LeastRequestConfig specified for incompatible load balancing policy "
                    + "\"\(policy)\"")
        }
        let hashes = balancer.list("HashPolicies")
        guard hashes.isEmpty || policy == "ring_hash" || policy == "maglev" else {
            throw refused(
                "\(head): HashPolicies specified for non-hash-based Policy: \"\(policy)\"")
        }
        for (index, hash) in hashes.enumerated() {
            let place = "Bad LoadBalancer HashPolicy[\(index)]"
            let field = hash.folded("Field")?.string ?? ""
            let value = hash.folded("FieldValue")?.string ?? ""
            let cookie = hash.folded("CookieConfig")
            if hash.folded("SourceIP") == true {
                guard field.isEmpty else {
                    throw refused(
                        "\(place): A single hash policy cannot hash both a source address and a "
                            + "\"\(field)\"")
                }
                guard value.isEmpty else {
                    throw refused(
                        "\(place): A FieldValue cannot be specified when hashing SourceIP")
                }
            }
            guard value.isEmpty || !field.isEmpty else {
                throw refused("\(place): FieldValue requires a Field to apply to")
            }
            if let cookie {
                guard field == "cookie" else {
                    throw refused("\(place): cookie_config provided for \"\(field)\"")
                }
                if cookie.folded("Session") == true, cookie.hasSpan("TTL") {
                    throw refused("\(place): a session cookie cannot have an associated TTL")
                }
            }
        }
    }

    private static func intentions(_ entry: JSON, _ name: String) throws(APIError) {
        guard name == "*" || !name.contains("*") else {
            throw refused("Name: wildcard character '*' cannot be used with partial values")
        }
        let sources = entry.list("Sources")
        guard !sources.isEmpty else { throw refused("At least one source is required") }
        var seen: Set<String> = []
        for (index, source) in sources.enumerated() {
            let place = "Sources[\(index)]"
            let own = source.folded("Name")?.string ?? ""
            guard !own.isEmpty else { throw refused("\(place).Name is required") }
            guard own == "*" || !own.contains("*") else {
                throw refused(
                    "\(place).Name: wildcard character '*' cannot be used with partial values")
            }
            let type = source.folded("Type")?.string ?? ""
            guard type.isEmpty || type == "consul" else {
                throw refused("\(place).Type must be set to 'consul'")
            }
            try permissions(source, place, of: name)
            guard seen.insert(own.lowercased()).inserted else {
                throw refused("\(place) defines \"\(own)\" more than once")
            }
        }
    }

    private static func permissions(
        _ source: JSON, _ place: String, of name: String
    ) throws(APIError) {
        let action = source.folded("Action")?.string ?? ""
        let permissions = source.list("Permissions")
        guard !permissions.isEmpty else {
            guard action == "allow" || action == "deny" else {
                throw refused("\(place).Action must be set to 'allow' or 'deny'")
            }
            return
        }
        guard action.isEmpty else {
            throw refused("\(place).Action must be omitted if Permissions are specified")
        }
        guard name != "*" else {
            throw refused(
                "\(place).Permissions cannot be specified on intentions with wildcarded "
                    + "destinations")
        }
        for (number, permission) in permissions.enumerated() {
            let here = "\(place).Permissions[\(number)]"
            let action = permission.folded("Action")?.string ?? ""
            guard action == "allow" || action == "deny" else {
                throw refused("\(here).Action must be set to 'allow' or 'deny'")
            }
            let match = permission.folded("HTTP")
            let asks =
                match.map {
                    $0.count(of: ["PathExact", "PathPrefix", "PathRegex"]) > 0
                        || !$0.list("Header").isEmpty || !$0.list("Methods").isEmpty
                } ?? false
            guard asks || permission.folded("JWT") != nil else {
                throw refused("\(here).HTTP should not be empty")
            }
            if let match { try http(match, "\(here).HTTP", dot: true) }
        }
    }
}

extension JSON {
    /// A member in any spelling; nil when it is absent or null.
    func folded(_ key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        let wanted = FoldedKey(key)
        return members.last { FoldedKey($0.name) == wanted && $0.value != .null }?.value
    }

    func list(_ key: String) -> [JSON] {
        if case .array(let elements) = folded(key) { return elements }
        return []
    }

    func members(_ key: String) -> [Member] {
        if case .object(let members) = folded(key) { return members }
        return []
    }

    var string: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    func hasText(_ key: String) -> Bool { !(folded(key)?.string ?? "").isEmpty }

    fileprivate func hasSpan(_ key: String) -> Bool {
        switch folded(key) {
        case .int(let value): value != 0
        case .string(let text): (try? MeshDuration(text)).map { $0 != .zero } ?? false
        default: false
        }
    }

    /// How many of these are set to something.
    fileprivate func count(of keys: [String]) -> Int {
        keys.count { key in
            switch folded(key) {
            case .string(let text): !text.isEmpty
            case .bool(let flag): flag
            default: false
            }
        }
    }
}

extension Float {
    /// As Go's `%f`.
    fileprivate var sixPlaces: String {
        let millionths = Int64((Double(self) * 1_000_000).rounded())
        let digits = String(1_000_000 + millionths % 1_000_000).dropFirst()
        return "\(millionths / 1_000_000).\(digits)"
    }
}

extension GoErrors {
    /// One value that cannot be read.
    static func decoding(_ key: String, _ why: String) -> String {
        "1 error(s) decoding:\n\n* error decoding '\(key)': \(why)"
    }
}
