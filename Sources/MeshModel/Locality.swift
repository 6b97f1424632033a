/// Where something runs, as Consul has it.
package struct Locality: Hashable, Sendable, Codable {
    package var region: String
    /// Within the region; empty: nothing is said.
    package var zone: String

    package init(region: String = "", zone: String = "") {
        self.region = region
        self.zone = zone
    }

    /// How far another place is: the same zone, the same region, elsewhere.
    package enum Distance: Int, Hashable, Sendable, Codable, CaseIterable, Comparable {
        case sameZone
        case sameRegion
        case elsewhere

        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    package func distance(to other: Locality) -> Distance {
        guard region == other.region else { return .elsewhere }
        return zone == other.zone ? .sameZone : .sameRegion
    }
}

extension Locality: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            !region.isEmpty, ["region"], "a locality has a region: write region, zone or both")
        for (key, value) in [("region", region), ("zone", zone)] {
            checks.require(
                value.utf8.count <= 128, [.key(key)], "a name has at most 128 bytes")
        }
    }
}

/// Whether near instances of a service are preferred.
package struct LocalityPriority: Hashable, Sendable, Codable {
    package enum Mode: String, Sendable, Codable, CaseIterable {
        /// All instances alike.
        case none
        /// Those of the same zone, then of the same region, then all others.
        case failover
    }

    package static let usualShare = 70

    package var mode: Mode
    /// Per cent of the weight of the near ones that must be healthy for them to take everything.
    package var healthyShare: Int?

    package init(mode: Mode = .none, healthyShare: Int? = nil) {
        self.mode = mode
        self.healthyShare = healthyShare
    }

    package enum CodingKeys: String, CodingKey {
        case mode
        case healthyShare = "healthy_share"
    }
}

extension LocalityPriority: Validated {
    package func validate(_ checks: inout FieldChecks) {
        guard let healthyShare else { return }
        checks.require(
            (1...100).contains(healthyShare), ["healthy_share"], "write a number of 1 to 100")
        checks.require(
            mode == .failover, ["healthy_share"], "only mode: failover has a share: write it too")
    }
}
