/// How far a change has come when its request is answered.
package struct ChangeReport: Codable, Sendable, Equatable {
    package enum Outcome: String, Codable, Sendable {
        /// Every worker runs it.
        case live
        /// Committed; `laggards` have not acknowledged it in time.
        case partial
        /// The data plane refused the generation; the one before goes on. The change is stored.
        case refused
        /// No data plane is connected: it takes effect when one is.
        case stored
    }

    package struct Refusal: Codable, Sendable, Equatable {
        /// The worker that refused; nil: the supervisor.
        package var worker: Int?
        package var reason: String

        package init(worker: Int?, reason: String) {
            self.worker = worker
            self.reason = reason
        }
    }

    package var outcome: Outcome
    /// The generation that holds the change.
    package var generation: UInt64
    package var laggards: [Int]
    package var refusals: [Refusal]
    /// The change is stored and waits, because this generation is pinned.
    package var pinned: UInt64?

    package init(
        outcome: Outcome, generation: UInt64, laggards: [Int] = [], refusals: [Refusal] = [],
        pinned: UInt64? = nil
    ) {
        self.outcome = outcome
        self.generation = generation
        self.laggards = laggards
        self.refusals = refusals
        self.pinned = pinned
    }
}

/// Body of an intention's creation.
package struct IntentionRequest: Codable, Sendable, Equatable {
    package var source: String
    package var destination: String
    /// `allow` or `deny`.
    package var action: String
    package var description: String?
    /// Whether an existing intention of the pair is replaced instead of refused.
    package var replace: Bool?

    package init(
        source: String, destination: String, action: String, description: String? = nil,
        replace: Bool? = nil
    ) {
        self.source = source
        self.destination = destination
        self.action = action
        self.description = description
        self.replace = replace
    }
}

/// Body of what a service says about itself through a TTL check.
package struct CheckUpdate: Codable, Sendable, Equatable {
    /// `passing`, `warning` or `critical`.
    package var status: String
    /// What is the matter, in words.
    package var output: String?

    package init(status: String, output: String? = nil) {
        self.status = status
        self.output = output
    }
}

/// An error as the API answers it.
package struct ErrorReport: Codable, Sendable, Equatable {
    /// `invalid`, `not_found`, `conflict`, `denied`, `unavailable`, …
    package var code: String
    /// What happened and what to do.
    package var message: String

    package init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}
