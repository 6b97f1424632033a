package import MeshModel

/// All checks of the node: which attempt is due when, what results mean. Pure; the monitor makes
/// the attempts. Clock and randomness are parameters.
///
/// First attempts are spread over a quarter of the interval (a second at most), second ones over
/// half of it, so that many checks that were registered together are not made together for ever.
package struct CheckBook: Sendable {
    /// One attempt to make. `epoch` tells results of a check from those of its predecessor.
    package struct Attempt: Sendable, Equatable {
        package var spec: CheckSpec
        package var epoch: UInt64
    }

    private struct Entry: Identifiable {
        var spec: CheckSpec
        var machine: CheckMachine
        var epoch: UInt64
        var attempts = 0
        var isProven = false
        /// TTL: the service must report before.
        var deadline: ContinuousClock.Instant?

        var id: String { spec.id }

        var report: CheckReport {
            CheckReport(
                spec: spec, status: machine.status, output: machine.output, isProven: isProven)
        }
    }

    private enum Due: Sendable {
        case attempt
        case ttl
        case removal
    }

    /// What is to be looked at when its time has come.
    private struct Waiting: Sendable {
        let id: String
        let epoch: UInt64
        let what: Due
    }

    /// The ids of a service's checks, in the order of its definition.
    private struct IDs: Sendable {
        var first: String
        /// Most services have one check.
        var others: [String] = []

        var all: [String] { [first] + others }

        static func add(_ id: String, to ids: inout IDs?) {
            if ids == nil {
                ids = IDs(first: id)
            } else if ids?.first != id, ids?.others.contains(id) == false {
                ids?.others.append(id)
            }
        }

        static func remove(_ id: String, from ids: inout IDs?) {
            let left = (ids?.all ?? []).filter { $0 != id }
            ids = left.first.map { IDs(first: $0, others: Array(left.dropFirst())) }
        }
    }

    private var entries = Shelf<Entry>()
    private var ids: [ServiceID: IDs] = [:]
    private var queue = DueQueue<Waiting>()
    private var lastEpoch: UInt64 = 0

    package init() {}

    /// When something is due next.
    package var next: ContinuousClock.Instant? { queue.next }

    /// Every check as it stands, by id.
    package var reports: [CheckReport] {
        entries.values.sorted { $0.spec.id < $1.spec.id }.map(\.report)
    }

    /// One check as it stands.
    package subscript(_ id: String) -> CheckReport? { entries[id]?.report }

    /// The checks of one service as they stand, in the order of its definition.
    package func reports(of service: ServiceID) -> [CheckReport] {
        (ids[service]?.all ?? []).compactMap { entries[$0]?.report }
    }

    /// The checks of one service; empty when it has none.
    package func statuses(of service: ServiceID) -> [CheckStatus] {
        (ids[service]?.all ?? []).compactMap { entries[$0]?.machine.status }
    }

    /// What the checks of a service amount to.
    package func standing(of service: ServiceID) -> HealthStanding {
        HealthStanding((ids[service]?.all ?? []).lazy.compactMap { entries[$0]?.report })
    }

    /// The standings of all services that are not simply well.
    var standings: [ServiceID: HealthStanding] {
        var all: [ServiceID: HealthStanding] = [:]
        all.reserveCapacity(ids.count)
        // By index: an entry is large, and is not copied to be looked at.
        for at in entries.values.indices {
            let status = entries.values[at].machine.status
            let isProven = entries.values[at].isProven
            if status == .passing, isProven { continue }
            all[entries.values[at].spec.service, default: .unchecked]
                .take(status, isProven: isProven)
        }
        return all
    }

    /// Makes these the checks. One that is the same as before goes on undisturbed, one with another
    /// definition keeps its status until the first result.
    package mutating func configure(
        _ specs: [CheckSpec], now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        configure(pieces: [specs], now: now, using: &generator)
    }

    /// Makes those of all pieces the checks.
    package mutating func configure(
        pieces: [[CheckSpec]], now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        let count = pieces.reduce(0) { $0 + $1.count }
        let stale = Set(entries.names)
        ids = [:]
        ids.reserveCapacity(count)
        entries.reserve(count)
        if stale.isEmpty { queue.reserve(count) }
        configure(pieces, insteadOf: stale, now: now, using: &generator)
    }

    /// Makes these the checks of some services, and leaves those of others alone.
    package mutating func configure(
        _ specs: [CheckSpec], of services: Set<ServiceID>, now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        var stale: Set<String> = []
        for service in services { stale.formUnion(ids.removeValue(forKey: service)?.all ?? []) }
        configure([specs], insteadOf: stale, now: now, using: &generator)
    }

    /// `stale` are checks that nobody has any more, unless they are among the new ones.
    private mutating func configure(
        _ pieces: [[CheckSpec]], insteadOf stale: Set<String>, now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        var stale = stale
        for spec in pieces.joined() {
            let before = entries[spec.id]
            // An id that two services claim is the later one's.
            if let owner = before?.spec.service, owner != spec.service {
                IDs.remove(spec.id, from: &ids[owner])
            }
            if !stale.isEmpty { stale.remove(spec.id) }
            IDs.add(spec.id, to: &ids[spec.service])
            if before?.spec != spec { add(spec, after: before, now: now, using: &generator) }
        }
        for id in stale { entries.remove(id) }
    }

    private mutating func add(
        _ spec: CheckSpec, after before: Entry?, now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        lastEpoch += 1
        var entry = Entry(
            spec: spec,
            machine: CheckMachine(spec.definition, before: before?.machine.status, now: now),
            epoch: lastEpoch)
        if spec.definition.kind == nil {
            // Nobody makes it and nobody reports: it says what its definition says.
            entry.machine = CheckMachine(spec.definition, before: nil, now: now)
            entry.isProven = true
        } else if let ttl = spec.ttl {
            entry.deadline = now + ttl.duration
            schedule(entry, .ttl, at: now + ttl.duration)
        } else {
            let spread = min(spec.interval / 4, .seconds(1))
            schedule(
                entry, .attempt, at: now + spread * Double.random(in: 0..<1, using: &generator))
        }
        scheduleRemoval(entry)
        entries.put(entry)
    }

    private mutating func schedule(_ entry: Entry, _ what: Due, at due: ContinuousClock.Instant) {
        queue.insert(Waiting(id: entry.spec.id, epoch: entry.epoch, what: what), due: due)
    }

    private mutating func scheduleRemoval(_ entry: Entry) {
        guard let since = entry.machine.criticalSince,
            let after = entry.spec.definition.deregisterCriticalServiceAfter
        else { return }
        schedule(entry, .removal, at: since + after.duration)
    }

    /// Attempts that are due, at most `room` of them, and what the passing of time has changed.
    package mutating func due(
        now: ContinuousClock.Instant, room: Int
    ) -> (attempts: [Attempt], events: [HealthEvent]) {
        var attempts: [Attempt] = []
        var events: [HealthEvent] = []
        while attempts.count < room, let waiting = queue.take(now: now) {
            let id = waiting.id
            guard var entry = entries[id], entry.epoch == waiting.epoch else { continue }
            switch waiting.what {
            case .attempt:
                attempts.append(Attempt(spec: entry.spec, epoch: entry.epoch))
                continue
            case .ttl:
                guard let deadline = entry.deadline else { continue }
                guard deadline <= now else {
                    // Reports have come since: one place in the queue is enough for all of them.
                    schedule(entry, .ttl, at: deadline)
                    continue
                }
                entry.deadline = nil
                let ttl = entry.spec.ttl.map { "\($0)" } ?? "ttl"
                let isFirst = !entry.isProven
                entry.isProven = true
                guard entry.machine.expired("no report within \(ttl)", now: now) || isFirst else {
                    break
                }
                events.append(.changed(entry.spec.service))
                scheduleRemoval(entry)
            case .removal:
                guard let since = entry.machine.criticalSince,
                    let after = entry.spec.definition.deregisterCriticalServiceAfter,
                    since + after.duration <= now
                else { continue }
                events.append(.expired(entry.spec.service, check: id))
            }
            entries.put(entry)
        }
        return (attempts, events)
    }

    /// Takes the result of an attempt and schedules the next one.
    package mutating func finished(
        _ attempt: Attempt, _ result: CheckResult, now: ContinuousClock.Instant,
        using generator: inout some RandomNumberGenerator
    ) -> HealthEvent? {
        let id = attempt.spec.id
        guard var entry = entries[id], entry.epoch == attempt.epoch else { return nil }
        entry.attempts += 1
        let share = entry.attempts == 1 ? Double.random(in: 0.5..<1, using: &generator) : 1
        schedule(entry, .attempt, at: now + entry.spec.interval * share)
        return take(&entry, now: now) { $0.observed(result, now: now) }
    }

    /// Takes what a service says about itself through its TTL check.
    package mutating func reported(
        check id: String, _ result: CheckResult, now: ContinuousClock.Instant
    ) throws -> HealthEvent? {
        guard var entry = entries[id] else {
            throw MeshError(.notFound, "there is no check \(id) on this node")
        }
        guard let ttl = entry.spec.ttl else {
            throw MeshError(.invalid, "check \(id) is not a TTL check: it is made by the node")
        }
        if entry.deadline == nil { schedule(entry, .ttl, at: now + ttl.duration) }
        entry.deadline = now + ttl.duration
        return take(&entry, now: now) { $0.observed(result, now: now) }
    }

    private mutating func take(
        _ entry: inout Entry, now: ContinuousClock.Instant,
        _ change: (inout CheckMachine) -> Bool
    ) -> HealthEvent? {
        let changed = change(&entry.machine) || !entry.isProven
        entry.isProven = true
        entries.put(entry)
        guard changed else { return nil }
        scheduleRemoval(entry)
        return .changed(entry.spec.service)
    }
}

extension CheckSpec {
    /// From the end of one attempt to the start of the next.
    var interval: Duration { definition.interval?.duration ?? .seconds(10) }
}
