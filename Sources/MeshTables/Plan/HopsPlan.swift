import CMeshABI
import MeshModel

/// What a listener believes of the proxies in front of it, and what it tells the upstream.
package struct HopsPlan: Hashable, Sendable, Codable {
    /// PROXY headers in front of everything else.
    package struct ProxyHeaders: Hashable, Sendable, Codable {
        package var v1: Bool
        package var v2: Bool
        /// Each connection from there begins with a header.
        package var from: [NetworkPlan]
        /// Whether peers from elsewhere are served without one; otherwise they are closed.
        package var servesOthers: Bool
        /// Milliseconds.
        package var timeout: UInt32

        package init(
            v1: Bool, v2: Bool, from: [NetworkPlan], servesOthers: Bool = false, timeout: UInt32
        ) {
            self.v1 = v1
            self.v2 = v2
            self.from = from
            self.servesOthers = servesOthers
            self.timeout = timeout
        }
    }

    /// The fields that name the client to the upstream.
    package struct Fields: OptionSet, Hashable, Sendable, Codable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let xForwarded = Self(rawValue: 1)
        package static let forwarded = Self(rawValue: 2)
    }

    package var proxy: ProxyHeaders?
    /// Hops whose forwarding fields are believed, and how many of them at most.
    package var trust: [NetworkPlan]
    package var depth: Int
    package var fields: Fields
    /// Of a million traces begun here so many are marked as sampled; nil: none is begun.
    package var sampledPerMillion: UInt32?
    /// Whether sampled requests are told as spans.
    package var recordsSpans: Bool

    package init(
        proxy: ProxyHeaders? = nil, trust: [NetworkPlan] = [], depth: Int = 32,
        fields: Fields = .xForwarded, sampledPerMillion: UInt32? = nil, recordsSpans: Bool = false
    ) {
        self.recordsSpans = recordsSpans
        self.proxy = proxy
        self.trust = trust
        self.depth = depth
        self.fields = fields
        self.sampledPerMillion = sampledPerMillion
    }
}

/// A network of addresses; IPv4 stands as ::ffff:a.b.c.d in it.
package struct NetworkPlan: Hashable, Sendable, Codable {
    package let high: UInt64
    package let low: UInt64
    /// 0 to 128.
    package let bits: Int

    /// Reads `10.0.0.0/8` or a single address; what stands behind the prefix is cleared.
    package init(_ text: String) throws {
        guard let (address, bits) = NetworkText.split(text), let ip = IPAddress(String(address))
        else { throw MeshError(.invalid, "\"\(text)\" is not a network") }
        self.bits = ip.isV6 ? bits : bits + 96
        let high = ip.isV6 ? ip.high : 0
        let low = ip.isV6 ? ip.low : 0xffff_0000_0000 | ip.high >> 32
        self.high = self.bits >= 64 ? high : high & ~(UInt64.max >> UInt64(self.bits))
        self.low = self.bits >= 128 ? low : low & ~(UInt64.max >> UInt64(max(self.bits - 64, 0)))
    }

    /// Of a snapshot.
    init(_ record: abi_network) {
        bits = Int(record.bits)
        (high, low) = withUnsafeBytes(of: record.ip) {
            (
                UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    func covers(_ other: Self) -> Bool {
        guard bits <= other.bits else { return false }
        let first = bits >= 64 ? UInt64.max : ~(UInt64.max >> UInt64(bits))
        let second = bits >= 128 ? UInt64.max : ~(UInt64.max >> UInt64(max(bits - 64, 0)))
        return (high ^ other.high) & first == 0 && (low ^ other.low) & second == 0
    }

    /// Sorted, without those that another one covers.
    static func tidied(_ networks: [Self]) -> [Self] {
        let sorted = networks.sorted {
            ($0.high, $0.low, $0.bits) < ($1.high, $1.low, $1.bits)
        }
        return sorted.reduce(into: []) { kept, next in
            if kept.last?.covers(next) != true { kept.append(next) }
        }
    }
}

extension NetworkPlan: CustomStringConvertible {
    package var description: String {
        if bits >= 96, high == 0, low >> 32 == 0xffff {
            let address = IPAddress(v4: UInt32(truncatingIfNeeded: low))
            return bits == 128 ? "\(address)" : "\(address)/\(bits - 96)"
        }
        let address = IPAddress(v6High: high, low: low)
        return bits == 128 ? "\(address)" : "\(address)/\(bits)"
    }
}
