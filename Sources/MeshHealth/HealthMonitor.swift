package import MeshModel
package import MeshTelemetry

/// Makes the node's checks and tells what changes. A thin shell around `CheckBook`.
package actor HealthMonitor {
    /// Attempts under way at a time; more wait for their turn.
    package static let concurrency = 256

    /// For one reader.
    package nonisolated let events = HealthEvents()
    /// Never behind what the events tell.
    package nonisolated let standings = HealthStandings()
    private let prober: any CheckProber
    private let log: Logger
    private let signal = WakeSignal()
    private let clock = ContinuousClock()
    private var book = CheckBook()
    private var generator = SystemRandomNumberGenerator()
    private var underWay = 0

    package init(prober: any CheckProber, log: Logger) {
        self.prober = prober
        self.log = log
    }

    /// Makes these the node's checks; those that stay the same go on undisturbed.
    package func configure(_ specs: [CheckSpec]) { configure(pieces: [specs]) }

    /// Makes those of all pieces the node's checks.
    package func configure(pieces specs: [[CheckSpec]]) {
        book.configure(pieces: specs, now: clock.now, using: &generator)
        standings.replace(book.standings)
        signal.wake()
    }

    /// Makes these the checks of some services; those of others stay as they are.
    package func configure(_ specs: [CheckSpec], of services: Set<ServiceID>) {
        if services.isEmpty { return }
        book.configure(specs, of: services, now: clock.now, using: &generator)
        for service in services { standings.set(service, book.standing(of: service)) }
        signal.wake()
    }

    /// Every check as it stands.
    package var reports: [CheckReport] { book.reports }

    /// The checks of one service.
    package func reports(of service: ServiceID) -> [CheckReport] { book.reports(of: service) }

    /// The worst status of each service that has checks.
    package var statuses: [ServiceID: CheckStatus] {
        Dictionary(book.reports.map { ($0.spec.service, $0.status) }, uniquingKeysWith: max)
    }

    /// The service says through its TTL check how it is. Returns the check as it stands then.
    @discardableResult
    package func reportTTL(check id: String, _ result: CheckResult) throws -> CheckReport {
        tell(try book.reported(check: id, result, now: clock.now))
        signal.wake()
        guard let report = book[id] else { fatalError("a check that has reported is known") }
        return report
    }

    /// Makes checks until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let (attempts, events) = book.due(
                    now: clock.now, room: Self.concurrency - underWay)
                events.forEach(tell)
                for attempt in attempts {
                    underWay += 1
                    group.addTask { await self.make(attempt) }
                }
                // A full house looks again when an attempt ends.
                await signal.wait(until: underWay < Self.concurrency ? book.next : nil)
            }
            group.cancelAll()
        }
        events.finish()
    }

    private func make(_ attempt: CheckBook.Attempt) async {
        let result = await prober.probe(attempt.spec.definition)
        underWay -= 1
        if !Task.isCancelled {
            tell(book.finished(attempt, result, now: clock.now, using: &generator))
        }
        signal.wake()
    }

    private func tell(_ event: HealthEvent?) {
        guard let event else { return }
        switch event {
        case .changed(let service):
            let standing = book.standing(of: service)
            standings.set(service, standing)
            log.info(
                "health has changed",
                metadata: [
                    LogKey.service: "\(service)", "status": "\(standing.status.rawValue)",
                ])
        case .expired(let service, let check):
            log.warning(
                "service has been critical for too long",
                metadata: [LogKey.service: "\(service)", "check": "\(check)"])
        }
        events.tell(event)
    }
}
