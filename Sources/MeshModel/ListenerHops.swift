/// What a listener believes of the proxies in front of it, and what it tells the upstream.
extension ListenerDefinition {
    /// PROXY protocol headers in front of everything else.
    package struct ProxyProtocol: Hashable, Sendable, Codable {
        /// The versions that are taken.
        package enum Accepted: String, Sendable, Codable, CaseIterable {
            case off, v1, v2, any
        }

        /// What becomes of connections from peers outside `from`.
        package enum Others: String, Sendable, Codable, CaseIterable {
            /// They are closed.
            case refuse
            /// They are clients of their own, without a header.
            case direct
        }

        package var accept: Accepted
        /// Networks of the proxies in front; each connection from there begins with a header.
        package var from: [String]
        package var others: Others
        /// From the accept to the end of the header.
        package var timeout: MeshDuration

        package init(
            accept: Accepted, from: [String] = [], others: Others = .refuse,
            timeout: MeshDuration = .seconds(3)
        ) {
            self.accept = accept
            self.from = from
            self.others = others
            self.timeout = timeout
        }

        package enum CodingKeys: String, CodingKey {
            case accept = "in"
            case from, others, timeout
        }
    }

    /// The fields in which HTTP proxies name those before them.
    package struct Forwarded: Hashable, Sendable, Codable {
        /// The fields that the upstream gets.
        package enum Headers: String, Sendable, Codable, CaseIterable {
            case xForwarded = "x-forwarded"
            case forwarded, both, none
        }

        /// Proxies in front at most.
        package static let mostHops = 32

        /// Networks whose fields are believed.
        package var trust: [String]
        /// So many proxies are believed at most, the nearest first.
        package var hops: Int
        package var headers: Headers

        package init(
            trust: [String] = [], hops: Int = Self.mostHops, headers: Headers = .xForwarded
        ) {
            self.trust = trust
            self.hops = hops
            self.headers = headers
        }
    }

    /// W3C trace context.
    package struct Trace: Hashable, Sendable, Codable {
        /// Whether a request without a sound `traceparent` gets one.
        package var start: Bool
        /// The share of the traces started here that is marked as sampled.
        package var sample: Double
        /// Whether spans of sampled requests are sent, where the node sends any.
        package var export: Bool

        package init(start: Bool = false, sample: Double = 1, export: Bool = true) {
            self.start = start
            self.sample = sample
            self.export = export
        }
    }
}

/// A network in CIDR form, or a single address: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`.
package enum NetworkText {
    /// Networks of one list; the data plane has the same limit.
    package static let limit = 1024

    /// The address and the length of the prefix; nil when the text is no network.
    package static func split(_ text: String) -> (address: Substring, bits: Int)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = parts.first, parts.count <= 2, IPText.isAddress(address) else {
            return nil
        }
        let width = IPText.isV4(address) ? 32 : 128
        guard parts.count == 2 else { return (address, width) }
        let digits = parts[1]
        guard let bits = Int(digits), (0...width).contains(bits), String(bits) == digits else {
            return nil
        }
        return (address, bits)
    }
}

extension ListenerDefinition.ProxyProtocol: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.networks("from", from)
        if accept != .off {
            checks.require(
                !from.isEmpty, ["from"],
                "name the proxies that send the header: write from: [10.0.0.0/8]")
        }
        checks.require(
            timeout >= .milliseconds(100) && timeout <= .seconds(60), ["timeout"],
            "\(timeout) is out of range: write 100ms to 60s")
    }
}

extension ListenerDefinition.Forwarded: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.networks("trust", trust)
        checks.require(
            (1...Self.mostHops).contains(hops), ["hops"],
            "\(hops) is out of range: write 1 to \(Self.mostHops)")
    }
}

extension ListenerDefinition.Trace: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            (0...1).contains(sample), ["sample"], "\(sample) is out of range: write 0 to 1")
    }
}

extension FieldChecks {
    /// Checks a list of networks.
    fileprivate mutating func networks(_ key: String, _ networks: [String]) {
        require(
            networks.count <= NetworkText.limit, [.key(key)],
            "use at most \(NetworkText.limit) networks")
        for (index, text) in networks.enumerated() {
            require(
                NetworkText.split(text) != nil, [.key(key), .index(index)],
                "\(NameRule.quoted(text)) is not a network: write for example 10.0.0.0/8, "
                    + "2001:db8::/32 or 192.0.2.1")
        }
    }
}
