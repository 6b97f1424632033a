import MeshLanes

/// What is written in lanes, beside what cannot be cut.
struct WrittenAside: Sendable {
    /// All targets, in their order; none: they are written with everything else.
    var targets: [TargetDraft] = []
    /// By the keys of their listeners.
    var routes: [UInt64: RouteDraft] = [:]

    /// What is to be written so.
    struct Source: Sendable {
        let targets: TargetDraft.Source?
        let routes: [RouteDraft.Wanted]
        let targetKeys: [UInt64]
        let stamp: SnapshotBuilder.Stamp
    }

    private enum Job {
        case targets(TargetDraft.Source, Range<Int>)
        case routes(RouteDraft.Wanted)
    }

    private enum Done: Sendable {
        case targets(TargetDraft?)
        case routes(UInt64, RouteDraft?)
    }

    /// Writes it, and does `first` at the same time.
    static func write<First: Sendable>(
        _ source: Source, _ lanes: Lanes, beside first: () -> First
    ) -> (First, WrittenAside) {
        let jobs = jobs(source, lanes)
        let (first, done) = lanes.map(jobs.count, grain: 1, beside: first) { range in
            jobs[range].map { job -> Done in
                switch job {
                case .targets(let targets, let range):
                    .targets(TargetDraft(range, of: targets))
                case .routes(let wanted):
                    .routes(
                        wanted.key,
                        RouteDraft(wanted, targetKeys: source.targetKeys, source.stamp))
                }
            }
        }
        return (first, WrittenAside(done.joined()))
    }

    private static func jobs(_ source: Source, _ lanes: Lanes) -> [Job] {
        var jobs: [Job] = []
        if let targets = source.targets {
            let count = targets.section.order.count
            let pieces = max(1, min(lanes.count * 2, count / lanes.grain(TargetDraft.fewest / 2)))
            for piece in 0..<pieces {
                jobs.append(
                    .targets(targets, count * piece / pieces..<count * (piece + 1) / pieces))
            }
        }
        return jobs + source.routes.map { .routes($0) }
    }

    /// A single piece of targets that has no draft lets none of them stand.
    private init(_ done: some Sequence<Done>) {
        var isWhole = true
        for one in done {
            switch one {
            case .targets(let draft?): targets.append(draft)
            case .targets(nil): isWhole = false
            case .routes(let key, let draft): routes[key] = draft
            }
        }
        if !isWhole { targets = [] }
    }
}
