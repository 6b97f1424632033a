/// How one instance is chosen among the healthy ones.
package struct LoadBalancer: Hashable, Sendable, Codable {
    package enum Policy: String, Sendable, Codable, CaseIterable {
        /// The data plane's default: round robin.
        case standard = ""
        case random
        case roundRobin = "round_robin"
        case leastRequest = "least_request"
        case ringHash = "ring_hash"
        case maglev
        /// The one of two random choices that answers fastest, by a mean that forgets.
        case latency = "peak_ewma"

        /// Whether the choice follows a hash of the request.
        package var isHashBased: Bool { self == .ringHash || self == .maglev }
    }

    package enum HashField: String, Sendable, Codable, CaseIterable {
        case header, cookie
        case queryParameter = "query_parameter"
    }

    package enum SameSite: String, Sendable, Codable, CaseIterable {
        case strict, lax, none
    }

    package struct Cookie: Hashable, Sendable, Codable {
        package var session: Bool
        package var ttl: MeshDuration
        package var path: String
        /// nil: lax.
        package var sameSite: SameSite?

        package init(
            session: Bool = false, ttl: MeshDuration = .zero, path: String = "",
            sameSite: SameSite? = nil
        ) {
            self.session = session
            self.ttl = ttl
            self.path = path
            self.sameSite = sameSite
        }

        /// Whether a request without the cookie gets one.
        package var isMade: Bool { session || ttl > .zero }

        package enum CodingKeys: String, CodingKey {
            case session, ttl, path
            case sameSite = "same_site"
        }
    }

    package struct HashPolicy: Hashable, Sendable, Codable {
        package var field: HashField?
        package var fieldValue: String
        package var cookie: Cookie?
        package var sourceIP: Bool
        /// Whether later policies are left out once this one gave a hash.
        package var terminal: Bool

        package init(
            field: HashField? = nil, fieldValue: String = "", cookie: Cookie? = nil,
            sourceIP: Bool = false, terminal: Bool = false
        ) {
            self.field = field
            self.fieldValue = fieldValue
            self.cookie = cookie
            self.sourceIP = sourceIP
            self.terminal = terminal
        }

        package enum CodingKeys: String, CodingKey {
            case field
            case fieldValue = "field_value"
            case cookie = "cookie_config"
            case sourceIP = "source_ip"
            case terminal
        }
    }

    package var policy: Policy
    package var minimumRingSize: Int?
    package var maximumRingSize: Int?
    package var choiceCount: Int?
    package var hashPolicies: [HashPolicy]
    /// Slots of the table of maglev.
    package var tableSize: Int?
    /// After so long without an answer half of what is known of a latency is forgotten.
    package var decay: MeshDuration?
    /// How long an instance that is new or healthy again takes to get its whole share.
    package var slowStart: MeshDuration?

    package init(
        policy: Policy = .standard, minimumRingSize: Int? = nil, maximumRingSize: Int? = nil,
        choiceCount: Int? = nil, hashPolicies: [HashPolicy] = [], tableSize: Int? = nil,
        decay: MeshDuration? = nil, slowStart: MeshDuration? = nil
    ) {
        self.policy = policy
        self.minimumRingSize = minimumRingSize
        self.maximumRingSize = maximumRingSize
        self.choiceCount = choiceCount
        self.hashPolicies = hashPolicies
        self.tableSize = tableSize
        self.decay = decay
        self.slowStart = slowStart
    }

    package enum CodingKeys: String, CodingKey {
        case policy
        case minimumRingSize = "minimum_ring_size"
        case maximumRingSize = "maximum_ring_size"
        case choiceCount = "choice_count"
        case hashPolicies = "hash_policies"
        case tableSize = "table_size"
        case decay
        case slowStart = "slow_start"
    }
}

extension LoadBalancer: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if minimumRingSize != nil || maximumRingSize != nil {
            checks.require(
                policy == .ringHash, ["ring_hash_config"],
                "RingHashConfig specified for incompatible load balancing policy "
                    + NameRule.quoted(policy.rawValue))
        }
        for (key, size) in [
            ("minimum_ring_size", minimumRingSize), ("maximum_ring_size", maximumRingSize),
        ] {
            guard let size else { continue }
            checks.require(
                (1...8_388_608).contains(size), ["ring_hash_config", .key(key)],
                "write a size of 1 to 8388608")
        }
        if let low = minimumRingSize, let high = maximumRingSize {
            checks.require(
                low <= high, ["ring_hash_config", "minimum_ring_size"],
                "the minimum is above the maximum")
        }
        if let choices = choiceCount {
            checks.require(
                policy == .leastRequest, ["least_request_config"],
                "LeastRequestConfig specified for incompatible load balancing policy "
                    + NameRule.quoted(policy.rawValue))
            checks.require(
                (2...100).contains(choices), ["least_request_config", "choice_count"],
                "write a number of 2 to 100")
        }
        checks.require(
            hashPolicies.isEmpty || policy.isHashBased, ["hash_policies"],
            "HashPolicies specified for non-hash-based Policy: "
                + NameRule.quoted(policy.rawValue))
        checks.require(
            hashPolicies.count <= 16, ["hash_policies"], "write at most 16 of them")
        for (index, hash) in hashPolicies.enumerated() {
            checks.within(["hash_policies", .index(index)]) { hash.validate(&$0) }
        }
        validateExtensions(&checks)
    }

    /// What Consul does not have.
    private func validateExtensions(_ checks: inout FieldChecks) {
        if let tableSize {
            let path: [FieldStep] = ["maglev_config", "table_size"]
            checks.require(policy == .maglev, path, "only the policy maglev has a table")
            checks.require(
                Self.tableSizes.contains(tableSize) && Self.isPrime(tableSize), path,
                "write a prime number of \(Self.tableSizes.lowerBound) to "
                    + "\(Self.tableSizes.upperBound), for example 65537")
        }
        if let decay {
            let path: [FieldStep] = ["peak_ewma_config", "decay"]
            checks.require(policy == .latency, path, "only the policy peak_ewma forgets")
            checks.require(
                decay >= .milliseconds(100) && decay <= .seconds(3600), path,
                "write a time of 100ms to 1h")
        }
        if let slowStart {
            checks.require(
                slowStart >= .zero && slowStart <= .seconds(86_400), ["slow_start"],
                "write a time of 0s to 24h")
        }
    }

    package static let tableSizes = 101...1_048_573

    package static func isPrime(_ number: Int) -> Bool {
        guard number > 3 else { return number > 1 }
        var divisor = 2
        while divisor * divisor <= number {
            if number % divisor == 0 { return false }
            divisor += 1
        }
        return true
    }
}

extension LoadBalancer.HashPolicy: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if sourceIP {
            checks.require(
                field == nil && fieldValue.isEmpty, [],
                "a single hash policy cannot hash both a source address and a field")
        } else if field == nil {
            checks.fail([], "write field (header, cookie or query_parameter) or source_ip: true")
        } else {
            checks.require(!fieldValue.isEmpty, [], "field without field_value: write its name")
            validateName(&checks)
        }
        guard let cookie else { return }
        checks.require(
            field == .cookie, ["cookie_config"],
            "cookie_config provided for \(NameRule.quoted(field?.rawValue ?? ""))")
        checks.require(
            !(cookie.session && cookie.ttl != .zero), ["cookie_config", "ttl"],
            "a session cookie cannot have an associated TTL")
        checks.require(
            cookie.ttl >= .zero, ["cookie_config", "ttl"], "a TTL cannot be negative")
        checks.require(
            cookie.path.isEmpty
                || cookie.path.hasPrefix("/") && cookie.path.utf8.count <= 512
                    && cookie.path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3b },
            ["cookie_config", "path"],
            "write a path that begins with / and has neither blanks nor semicolons")
    }

    private func validateName(_ checks: inout FieldChecks) {
        guard !fieldValue.isEmpty else { return }
        checks.require(fieldValue.utf8.count <= 256, ["field_value"], "use at most 256 bytes")
        if field == .queryParameter {
            checks.require(
                fieldValue.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x26 && $0 != 0x3d },
                ["field_value"], "a parameter's name has no blanks, & and =")
        } else {
            checks.require(
                HTTPToken.isToken(fieldValue), ["field_value"],
                "\(NameRule.quoted(fieldValue)) is not a name that HTTP allows")
        }
    }
}
