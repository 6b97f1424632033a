/// What the choice of an endpoint asks for beyond ``TargetPlan/Balance``.
package struct BalancingPlan: Hashable, Sendable, Codable {
    /// A part of a request that decides about its endpoint.
    package struct Hash: Hashable, Sendable, Codable {
        package enum Part: Hashable, Sendable, Codable {
            case header(String)
            /// With attributes a request without the cookie gets one, and these behind its value.
            case cookie(String, attributes: String)
            case query(String)
            case address
        }

        package var part: Part
        /// Whether those behind it are left out once it is there.
        package var terminal: Bool

        package init(_ part: Part, terminal: Bool = false) {
            self.part = part
            self.terminal = terminal
        }
    }

    package static let usualTableSize = 65_537
    package static let usualDecay: UInt32 = 10_000

    /// Points of a ring; nil: the usual ones.
    package var minimumRing: Int?
    package var maximumRing: Int?
    /// Slots of a Maglev table at least, a prime.
    package var tableSize: Int
    /// Endpoints compared for one request.
    package var choices: UInt8
    /// Milliseconds.
    package var decay: UInt32
    /// Milliseconds; 0: weights do not grow.
    package var slowStart: UInt32
    package var hashes: [Hash]
    /// Per cent of the near ones' weight that must be healthy for them to take everything; nil: all
    /// endpoints are alike.
    package var healthyShare: UInt8?

    package init(
        minimumRing: Int? = nil, maximumRing: Int? = nil,
        tableSize: Int = Self.usualTableSize, choices: UInt8 = 2, decay: UInt32 = Self.usualDecay,
        slowStart: UInt32 = 0, hashes: [Hash] = [], healthyShare: UInt8? = nil
    ) {
        self.minimumRing = minimumRing
        self.maximumRing = maximumRing
        self.tableSize = tableSize
        self.choices = choices
        self.decay = decay
        self.slowStart = slowStart
        self.hashes = hashes
        self.healthyShare = healthyShare
    }
}
