import MeshAdminAPI
import MeshModel
import MeshWorkers

/// The generations that were published, and going back to one.
extension NodeBackend {
    func generations() async throws -> GenerationsReport {
        let history = await pipeline.history
        let live = await link.status.generation
        return GenerationsReport(
            live: live, pin: await pinReport(), generations: history.entries.map(Self.report))
    }

    func pinReport() async -> PinReport? {
        await pipeline.pin.map {
            PinReport(generation: $0.generation, waiting: $0.waiting.all)
        }
    }

    private static func report(_ entry: GenerationHistory.Entry) -> GenerationReport {
        let counts = GenerationDiff.counts(entry.plan).map { ($0.kind.rawValue, $0.count) }
        return GenerationReport(
            generation: entry.generation, at: entry.at, causes: entry.causes, copyOf: entry.copyOf,
            outcome: entry.outcome.kind.rawValue, laggards: entry.outcome.laggards,
            refusals: entry.outcome.refusals, bytes: entry.size,
            objects: Dictionary(counts) { first, _ in first })
    }

    func generationDiff(from: UInt64?, to: UInt64?) async throws -> GenerationDiffReport {
        let history = await pipeline.history
        let new = try Self.entry(to, in: history, orElse: history.live)
        let old = try Self.entry(
            from, in: history, orElse: history.predecessor(of: new.generation))
        let diff = GenerationDiff(from: old.plan, to: new.plan)
        return GenerationDiffReport(
            from: old.generation, to: new.generation,
            lines: diff.lines.map {
                GenerationDiffReport.Line(
                    kind: $0.kind.rawValue, change: $0.change.rawValue, name: $0.name,
                    before: $0.before, after: $0.after)
            })
    }

    private static func entry(
        _ number: UInt64?, in history: GenerationHistory,
        orElse usual: GenerationHistory.Entry?
    ) throws -> GenerationHistory.Entry {
        guard let number else {
            guard let usual else {
                throw MeshError(.notFound, "there is no earlier generation to compare with")
            }
            return usual
        }
        guard let entry = history[number] else {
            throw MeshError(.notFound, "generation \(number) is not kept")
        }
        return entry
    }

    func rollBack(to generation: UInt64) async throws -> ChangeReport {
        try await pipeline.rollBack(to: generation)
    }

    func resumeGenerations() async throws -> ChangeReport { try await pipeline.resume() }
}
