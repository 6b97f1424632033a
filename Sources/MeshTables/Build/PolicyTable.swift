import MeshModel

/// Intentions by destination, and what decides about each service once the wildcard ones are worked
/// in.
///
/// Consul's precedence: exact to exact (9), any to exact (8), exact to any (6), any to any (5).
/// The first that covers the caller decides. So a service with an intention for any caller never
/// asks the wildcard destinations; one without takes their callers besides its own.
struct PolicyTable: Sendable {
    /// What decides about one service. Indexes are into ``intentions``.
    struct Policy: Equatable, Sendable {
        /// Exact callers, sorted by folded name.
        var exact: [Int] = []
        /// The intention for every other caller.
        var fallback: Int?
    }

    let intentions: [Intention]
    /// For services without intentions of their own.
    let shared: Policy
    /// Those whose pair of names stands before them already.
    let repeated: [Int]

    private let byDestination: [String: Policy]

    init(_ intentions: [Intention]) {
        var own: [String: Policy] = [:]
        var shared = Policy()
        var repeated: [Int] = []
        own.reserveCapacity(intentions.count)
        func add(_ index: Int, to policy: inout Policy) {
            if case .exact = intentions[index].source {
                policy.exact.append(index)
            } else if policy.fallback == nil {
                policy.fallback = index
            } else {
                repeated.append(index)
            }
        }
        for (index, intention) in intentions.enumerated() {
            switch intention.destination {
            case .any: add(index, to: &shared)
            case .exact(let service): add(index, to: &own[service.folded, default: Policy()])
            }
        }
        shared.exact = Self.sorted(shared.exact, intentions, &repeated)
        for index in own.values.indices where own.values[index].exact.count > 1 {
            own.values[index].exact = Self.sorted(own.values[index].exact, intentions, &repeated)
        }
        self.intentions = intentions
        self.shared = shared
        self.repeated = repeated
        byDestination = own
    }

    /// Whether the service has intentions of its own.
    func hasOwn(_ folded: String) -> Bool { byDestination[folded] != nil }

    /// What decides about calls to this service.
    func policy(for folded: String) -> Policy {
        guard let own = byDestination[folded] else { return shared }
        guard own.fallback == nil else { return own }
        return Policy(exact: merged(own.exact, shared.exact), fallback: shared.fallback)
    }

    /// The caller of an intention with an exact source.
    static func source(_ intention: Intention) -> String {
        if case .exact(let name) = intention.source { return name.folded }
        return "*"
    }

    /// Sorted by bytes, as the reader searches; repetitions go to `repeated`.
    private static func sorted(
        _ indexes: [Int], _ intentions: [Intention], _ repeated: inout [Int]
    ) -> [Int] {
        let named = indexes.map { (name: source(intentions[$0]), index: $0) }
            .sorted { $0.name == $1.name ? $0.index < $1.index : bytesBefore($0.name, $1.name) }
        var result: [Int] = []
        var last = ""
        for entry in named {
            if entry.name == last {
                repeated.append(entry.index)
            } else {
                result.append(entry.index)
                last = entry.name
            }
        }
        return result
    }

    /// Two sorted lists in one; where both name a caller, the one in `first` stays.
    private func merged(_ first: [Int], _ second: [Int]) -> [Int] {
        if second.isEmpty { return first }
        var result: [Int] = []
        result.reserveCapacity(first.count + second.count)
        var from = second[...]
        for index in first {
            let name = Self.source(intentions[index])
            while let other = from.first {
                let otherName = Self.source(intentions[other])
                if otherName == name {
                    from = from.dropFirst()
                } else if bytesBefore(otherName, name) {
                    result.append(other)
                    from = from.dropFirst()
                } else {
                    break
                }
            }
            result.append(index)
        }
        return result + from
    }
}

/// The order of bytes: that of every sorted table in a snapshot. Names are ASCII, so Swift's own
/// order would agree, but the reader does not depend on it.
func bytesBefore(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
