package import Foundation

/// The generations that were published last, the oldest first.
package struct GenerationsReport: Codable, Sendable, Equatable {
    package var live: UInt64
    package var pin: PinReport?
    package var generations: [GenerationReport]

    package init(live: UInt64, pin: PinReport?, generations: [GenerationReport]) {
        self.live = live
        self.pin = pin
        self.generations = generations
    }
}

/// A generation that somebody went back to; changes wait.
package struct PinReport: Codable, Sendable, Equatable {
    package var generation: UInt64
    /// What has changed since, in words.
    package var waiting: [String]

    package init(generation: UInt64, waiting: [String]) {
        self.generation = generation
        self.waiting = waiting
    }
}

/// One publication.
package struct GenerationReport: Codable, Sendable, Equatable {
    package var generation: UInt64
    package var at: Date
    package var causes: [String]
    /// The generation that it repeats, when somebody went back to that.
    package var copyOf: UInt64?
    /// `live`, `partial`, `refused` or `unknown`.
    package var outcome: String
    /// Workers that had not acknowledged it in time.
    package var laggards: [Int]
    /// Who refused it and why.
    package var refusals: [String]
    /// Bytes of the snapshot.
    package var bytes: Int
    /// How many objects it has, by kind.
    package var objects: [String: Int]

    package init(
        generation: UInt64, at: Date, causes: [String], copyOf: UInt64?, outcome: String,
        laggards: [Int], refusals: [String], bytes: Int, objects: [String: Int]
    ) {
        self.generation = generation
        self.at = at
        self.causes = causes
        self.copyOf = copyOf
        self.outcome = outcome
        self.laggards = laggards
        self.refusals = refusals
        self.bytes = bytes
        self.objects = objects
    }
}

/// What is different between two generations.
package struct GenerationDiffReport: Codable, Sendable, Equatable {
    package struct Line: Codable, Sendable, Equatable {
        /// `listener`, `route`, `target`, `endpoint`, `policy`, `identity` or `setting`.
        package var kind: String
        /// `added`, `removed` or `changed`.
        package var change: String
        package var name: String
        package var before: String?
        package var after: String?

        package init(
            kind: String, change: String, name: String, before: String?, after: String?
        ) {
            self.kind = kind
            self.change = change
            self.name = name
            self.before = before
            self.after = after
        }
    }

    package var from: UInt64
    package var to: UInt64
    package var lines: [Line]

    package init(from: UInt64, to: UInt64, lines: [Line]) {
        self.from = from
        self.to = to
        self.lines = lines
    }
}

/// Body of a rollback.
package struct RollbackRequest: Codable, Sendable, Equatable {
    package var generation: UInt64

    package init(generation: UInt64) {
        self.generation = generation
    }
}
