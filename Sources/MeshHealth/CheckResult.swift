package import MeshModel

/// What one attempt of a check found, or what a service reported about itself.
package struct CheckResult: Sendable, Equatable {
    /// Bytes of output that are kept: it is for people, and comes from outside.
    package static let outputLimit = 4096

    package var status: CheckStatus
    /// What was found, in words.
    package var output: String

    package init(_ status: CheckStatus, _ output: String) {
        self.status = status
        self.output = Self.bounded(output)
    }

    /// The text cut at a character that ends within the limit.
    static func bounded(_ text: String) -> String {
        guard text.utf8.count > outputLimit else { return text }
        return String(decoding: text.utf8.prefix(outputLimit), as: UTF8.self)
    }
}

/// A check to keep: whose it is, how it is made.
///
/// Definitions are large and many: copies share one.
package struct CheckSpec: Sendable, Equatable {
    /// Unique on the node.
    package let id: String
    package let service: ServiceID
    /// Shared with whoever has them: definitions are large, and there are many.
    private let definitions: [CheckDefinition]
    private let place: Int

    package init(id: String, service: ServiceID, definition: CheckDefinition) {
        self.init(id: id, service: service, definitions: [definition], place: 0)
    }

    /// The check at a place among definitions.
    package init(
        id: String, service: ServiceID, definitions: [CheckDefinition], place: Int
    ) {
        precondition(definitions.indices.contains(place), "a check has a definition")
        self.id = id
        self.service = service
        self.definitions = definitions
        self.place = place
    }

    /// Lent, not copied.
    package var definition: CheckDefinition {
        _read { yield definitions[place] }
    }
    var ttl: MeshDuration? { definitions[place].ttl }

    package static func == (left: Self, right: Self) -> Bool {
        // The same list is seen at once.
        left.id == right.id && left.service == right.service
            && ((left.place == right.place && left.definitions == right.definitions)
                || left.definition == right.definition)
    }
}

/// A check as it stands.
package struct CheckReport: Sendable, Equatable {
    package var spec: CheckSpec
    package var status: CheckStatus
    package var output: String
    /// Whether the status comes from a result, not from the definition or from before.
    package var isProven: Bool
}

/// What health monitoring tells the catalog.
package enum HealthEvent: Sendable, Hashable {
    /// A check of the service has another status, or its first result.
    case changed(ServiceID)
    /// The service has been critical for longer than its check allows: it is to be taken out.
    case expired(ServiceID, check: String)
}
