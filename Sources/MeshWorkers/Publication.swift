/// How a publication ended.
package enum PublishOutcome: Sendable, Equatable {
    /// Live in every worker.
    case live
    /// Live, but these workers had not taken it in time: they catch up or are replaced.
    case partial(laggards: [Int])
    /// Nowhere live: the generation before goes on.
    case refused([PublishRefusal])
    /// Nothing is known: there is no data plane, or it did not answer. It may be live.
    case unknown(reason: String)
}

/// Who refused a publication, and why.
package struct PublishRefusal: Sendable, Equatable {
    /// nil: the supervisor, before any worker saw it.
    package var worker: Int?
    package var reason: String
    /// The record of the snapshot whose address cannot be had, when it is that.
    package var listener: Int?

    package init(worker: Int?, reason: String, listener: Int? = nil) {
        self.worker = worker
        self.reason = reason
        self.listener = listener
    }
}

/// One publication on its way. Pure: takes what the supervisor says, tells when it is over.
package struct Publication: Sendable {
    /// What PUBLISHED says.
    struct End: Equatable {
        enum Outcome: Equatable { case live, partial, refused }
        var generation: UInt64
        var outcome: Outcome
        var laggards: [Int]
    }

    package let generation: UInt64
    private var refusals: [PublishRefusal] = []
    private var silent: Set<Int> = []

    init(generation: UInt64) {
        self.generation = generation
    }

    /// Workers that had not answered PREPARE in time so far.
    package var late: [Int] { silent.sorted() }

    /// A worker's step; steps with other generations are not this publication's.
    mutating func heard(_ report: PhaseReport) {
        guard report.generation == generation else { return }
        switch report.phase {
        case .refused(let reason, let listener):
            refusals.append(
                PublishRefusal(worker: report.worker, reason: reason, listener: listener))
        case .timedOut:
            if let worker = report.worker { silent.insert(worker) }
        case .committed:
            if let worker = report.worker { silent.remove(worker) }
        case .prepared:
            break
        }
    }

    /// How it ended; nil when `end` is about another publication.
    func ended(_ end: End) -> PublishOutcome? {
        guard end.generation == generation else { return nil }
        switch end.outcome {
        case .live:
            return .live
        case .partial:
            return .partial(laggards: end.laggards)
        case .refused:
            let unexplained = PublishRefusal(worker: nil, reason: "no reason was given")
            return .refused(refusals.isEmpty ? [unexplained] : refusals)
        }
    }
}
