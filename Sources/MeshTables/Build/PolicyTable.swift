import MeshModel

/// Intentions by destination, and what decides about each service once the wildcard ones are worked
/// in.
///
/// Consul's precedence: exact to exact (9), any to exact (8), exact to any (6), any to any (5).
/// The first that covers the caller decides. So a service with an intention for any caller never
/// asks the wildcard destinations; one without takes their callers besides its own.
struct PolicyTable: Sendable {
    /// What decides about one service.
    struct Policy: Equatable, Sendable {
        /// Of exact callers, sorted by folded name.
        var exact: [Intention] = []
        /// The intention for every other caller.
        var fallback: Intention?
    }

    /// For services without intentions of their own.
    private(set) var shared = Policy()
    /// Those whose pair of names stands before them already.
    private(set) var repeated: [Intention] = []

    private var byDestination: [String: Policy] = [:]

    init(_ intentions: [Intention]) {
        byDestination.reserveCapacity(intentions.count)
        for intention in intentions {
            switch intention.destination {
            case .any: Self.add(intention, to: &shared, &repeated)
            case .exact(let service):
                Self.add(
                    intention, to: &byDestination[service.folded, default: Policy()], &repeated)
            }
        }
        Self.sort(&shared, &repeated)
        for index in byDestination.values.indices
        where byDestination.values[index].exact.count > 1 {
            Self.sort(&byDestination.values[index], &repeated)
        }
    }

    private static func add(
        _ intention: Intention, to policy: inout Policy, _ repeated: inout [Intention]
    ) {
        if case .exact = intention.source {
            policy.exact.append(intention)
        } else if policy.fallback == nil {
            policy.fallback = intention
        } else {
            repeated.append(intention)
        }
    }

    /// Takes other intentions towards services that keep some of their own. Says towards which;
    /// nil, and the table is of no use any more, where it has to be made anew.
    mutating func replace(
        _ removed: ArraySlice<Intention>, by added: ArraySlice<Intention>
    ) -> Set<String>? {
        var changed: Set<String> = []
        for intention in removed {
            guard case .exact(let service) = intention.destination, repeated.isEmpty else {
                return nil
            }
            byDestination[service.folded]?.remove(intention)
            changed.insert(service.folded)
        }
        for intention in added {
            guard case .exact(let service) = intention.destination,
                byDestination[service.folded]?.insert(intention) == true
            else { return nil }
            changed.insert(service.folded)
        }
        return changed.allSatisfy { byDestination[$0]?.isEmpty == false } ? changed : nil
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
    static func source(_ intention: Intention) -> String { intention.source.folded }

    /// Sorted by bytes, as the reader searches; repetitions go to `repeated`.
    private static func sort(_ policy: inout Policy, _ repeated: inout [Intention]) {
        let named = policy.exact.indices.map { (name: source(policy.exact[$0]), index: $0) }
            .sorted { $0.name == $1.name ? $0.index < $1.index : bytesBefore($0.name, $1.name) }
        var result: [Intention] = []
        var last = ""
        for entry in named {
            if entry.name == last {
                repeated.append(policy.exact[entry.index])
            } else {
                result.append(policy.exact[entry.index])
                last = entry.name
            }
        }
        policy.exact = result
    }

    /// Two sorted lists in one; where both name a caller, the one in `first` stays.
    private func merged(_ first: [Intention], _ second: [Intention]) -> [Intention] {
        if second.isEmpty { return first }
        var result: [Intention] = []
        result.reserveCapacity(first.count + second.count)
        var from = second[...]
        for intention in first {
            let name = Self.source(intention)
            while let other = from.first {
                let otherName = Self.source(other)
                if otherName == name {
                    from = from.dropFirst()
                } else if bytesBefore(otherName, name) {
                    result.append(other)
                    from = from.dropFirst()
                } else {
                    break
                }
            }
            result.append(intention)
        }
        return result + from
    }
}

extension PolicyTable.Policy {
    var isEmpty: Bool { exact.isEmpty && fallback == nil }

    /// Whether it says nothing about requests.
    var isPlain: Bool {
        exact.allSatisfy(\.isPlain) && fallback?.isPlain != false
    }

    fileprivate mutating func remove(_ intention: Intention) {
        if case .exact = intention.source {
            exact.removeAll { $0.source == intention.source }
        } else {
            fallback = nil
        }
    }

    /// False when there is one of this caller already.
    fileprivate mutating func insert(_ intention: Intention) -> Bool {
        guard case .exact = intention.source else {
            defer { fallback = intention }
            return fallback == nil
        }
        let name = PolicyTable.source(intention)
        let place = exact.firstIndex { !bytesBefore(PolicyTable.source($0), name) } ?? exact.count
        if place < exact.count, exact[place].source == intention.source { return false }
        exact.insert(intention, at: place)
        return true
    }
}

extension Intention {
    /// Whether it is one action, whatever is requested.
    var isPlain: Bool { asked == nil }

    /// Whether tokens may decide.
    var asksTokens: Bool { asked?.contains { !$0.tokens.isEmpty } ?? false }
}

/// The order of bytes: that of every sorted table in a snapshot. Names are ASCII, so Swift's own
/// order would agree, but the reader does not depend on it.
func bytesBefore(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}
