/// What a rule does with what it matches.
package enum IntentionAction: String, Sendable, Codable, CaseIterable {
    case allow
    case deny
}

/// A requirement of a token, as an intention carries it.
package struct TokenRequirement: Hashable, Sendable, Codable {
    package struct Claim: Hashable, Sendable, Codable {
        package var path: [String]
        package var value: String

        package init(path: [String], value: String) {
            self.path = path
            self.value = value
        }
    }

    package struct Provider: Hashable, Sendable, Codable {
        package var name: String
        package var verifyClaims: [Claim]

        package init(name: String, verifyClaims: [Claim] = []) {
            self.name = name
            self.verifyClaims = verifyClaims
        }

        package enum CodingKeys: String, CodingKey {
            case name
            case verifyClaims = "verify_claims"
        }
    }

    package var providers: [Provider]

    package init(providers: [Provider]) { self.providers = providers }
}

/// A rule about requests inside an intention. The first permission that matches decides.
package struct Permission: Hashable, Sendable, Codable {
    package var action: IntentionAction
    package var http: HTTPMatch
    package var token: TokenRequirement?

    package init(action: IntentionAction, http: HTTPMatch, token: TokenRequirement? = nil) {
        self.action = action
        self.http = http
        self.token = token
    }
}

/// Who may talk to whom: one source towards one destination.
///
/// The one with the highest precedence that covers the caller decides; no other is consulted.
package struct Intention: Hashable, Sendable, Codable {
    /// What the intention says: one action, or permissions about requests.
    package enum Effect: Hashable, Sendable, Codable {
        case action(IntentionAction)
        /// Only meaningful for destinations that speak HTTP; a plain connection is denied.
        case permissions([Permission])
    }

    package var id: String?
    package var description: String
    package var source: NamePattern
    package var destination: NamePattern
    package var effect: Effect
    /// A requirement that its entry makes of every source: of what it allows, and of its
    /// permissions. Without such a token no permission covers a request, and what none covers is
    /// denied, whatever the default.
    package var token: TokenRequirement?
    package var meta: [String: String]
    package var origin: Origin
    package var createIndex: Index
    package var modifyIndex: Index
    /// When the older API, which tells it, has written the intention; nil: it has not.
    package var written: Written?

    /// Moments in nanoseconds since 1970.
    package struct Written: Hashable, Sendable, Codable {
        package var created: Int64
        package var updated: Int64

        package init(created: Int64, updated: Int64) {
            self.created = created
            self.updated = updated
        }
    }

    package init(
        source: NamePattern, destination: NamePattern, effect: Effect,
        token: TokenRequirement? = nil, id: String? = nil,
        description: String = "", meta: [String: String] = [:], origin: Origin = .api,
        createIndex: Index = .zero, modifyIndex: Index = .zero
    ) {
        self.id = id
        self.description = description
        self.source = source
        self.destination = destination
        self.effect = effect
        self.token = token
        self.meta = meta
        self.origin = origin
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }

    /// A permission with all that it asks of the tokens of a request.
    package struct Asked: Hashable, Sendable {
        package var permission: Permission
        /// All must hold.
        package var tokens: [TokenRequirement]
    }

    /// What is asked about requests; nil: nothing, one action decides. A call that is allowed with
    /// a token only is one permission for every request. What is denied is so without a token, too.
    package var asked: [Asked]? {
        switch effect {
        case .action(.allow):
            guard let token else { return nil }
            return [
                Asked(permission: Permission(action: .allow, http: HTTPMatch()), tokens: [token])
            ]
        case .action(.deny): return nil
        case .permissions(let list):
            return list.map { permission in
                Asked(
                    permission: permission,
                    tokens: [token, permission.token].compactMap(\.self))
            }
        }
    }

    /// The rank among intentions that cover the same pair: the more exact, the higher.
    package var precedence: Int { Self.precedence(source: source, destination: destination) }

    package static func precedence(source: NamePattern, destination: NamePattern) -> Int {
        switch (destination, source) {
        case (.exact, .exact): 9
        case (.exact, .any): 8
        case (.any, .exact): 6
        case (.any, .any): 5
        }
    }

    /// Whether the intention covers this caller and this target.
    package func covers(source caller: ServiceName, destination target: ServiceName) -> Bool {
        source.covers(caller) && destination.covers(target)
    }

    /// The order in which intentions are consulted: by precedence, then by names.
    package static func consultedBefore(_ left: Intention, _ right: Intention) -> Bool {
        guard left.precedence == right.precedence else { return left.precedence > right.precedence }
        let (source, other) = (left.source.folded, right.source.folded)
        guard source == other else { return source < other }
        return left.destination.folded < right.destination.folded
    }

    /// Intentions in the order in which they are consulted. They are large: what is moved about
    /// while they are sorted is what the order is made of.
    package static func ordered(_ intentions: [Intention]) -> [Intention] {
        let keys = intentions.indices.map { place in
            let (source, destination) = (intentions[place].source, intentions[place].destination)
            return (
                rank: precedence(source: source, destination: destination),
                source: source.folded, destination: destination.folded, place: place
            )
        }
        let order = keys.sorted {
            if $0.rank != $1.rank { return $0.rank > $1.rank }
            return $0.source == $1.source
                ? $0.destination < $1.destination : $0.source < $1.source
        }
        return order.map { intentions[$0.place] }
    }

    package enum CodingKeys: String, CodingKey {
        case id, description, source, destination, effect, token, meta, origin
        case createIndex = "create_index"
        case modifyIndex = "modify_index"
    }
}
