import MeshHealth
import MeshIdentity
import MeshModel
package import MeshTelemetry

/// Keeps up with what an agent knows: one question about each subject is open at a time. Nothing is
/// asked because of a connection or a request.
package actor AgentMirror {
    /// How often what does not block is asked for.
    package struct Pauses: Sendable {
        /// Whether the agent is there at all.
        package var presence: Duration = .seconds(5)
        package var query: Duration = .seconds(10)
        package var policy: Duration = .seconds(30)
        package var checks: Duration = .seconds(10)
        /// While it is not known where all of them are made.
        package var newChecks: Duration = .seconds(1)

        package init() {}
    }

    private let agent: any AgentTransport
    private let pauses: Pauses
    private let log: Logger
    private var state: MirrorState
    private var signals: [Subject: WakeSignal] = [:]
    private let work: AsyncStream<Void>
    private let wakeUp: AsyncStream<Void>.Continuation
    private let presence = WakeSignal()
    private let known = WakeSignal()
    /// Why the agent does not answer; nil: it does, or was not asked yet.
    package private(set) var away: String?
    private var lastView: MeshView?
    private var lastProblems: [String] = []

    package init(
        _ agent: any AgentTransport, isL4: Bool = false,
        exposePorts: ClosedRange<UInt16> = ExposedChecks.usualPorts, pauses: Pauses = Pauses(),
        log: Logger
    ) {
        self.agent = agent
        self.pauses = pauses
        self.log = log
        state = MirrorState(isL4: isL4, exposePorts: exposePorts)
        (work, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// What is known; nil until it is enough to serve.
    package var view: MeshView? { lastView }

    /// Returns when enough is known to serve, or when the task is cancelled; for one caller.
    package func waitForView() async {
        while lastView == nil, !Task.isCancelled { await known.wait() }
    }

    /// What is wrong at the moment, for people.
    package var problems: [String] {
        guard let away else { return state.problems }
        let known = lastView == nil ? "nothing is served yet" : "traffic goes on with what is known"
        return [
            "the Consul agent at \(agent.subject) does not answer: \(away); \(known)"
        ]
    }

    // MARK: - life

    /// Asks until the task is cancelled; `changed` is told when the view or the problems are
    /// others.
    package func run(
        as proxy: MirrorState.Proxy, changed: @escaping @Sendable () async -> Void
    ) async {
        state.start(proxy)
        wakeUp.yield()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.watchPresence(changed) }
            for await _ in work {
                for subject in begun() {
                    group.addTask { await self.follow(subject, changed) }
                }
            }
            group.cancelAll()
        }
    }

    /// The subjects that nobody asks for yet; questions about those that are not wanted any more
    /// end.
    private func begun() -> [Subject] {
        let wanted = state.wanted
        for (subject, signal) in signals where !wanted.contains(subject) {
            signals[subject] = nil
            signal.wake()
        }
        state.prune()
        let new = wanted.filter { signals[$0] == nil }
        for subject in new { signals[subject] = WakeSignal() }
        return Array(new)
    }

    private func follow(_ subject: Subject, _ changed: @Sendable () async -> Void) async {
        guard let signal = signals[subject] else { return }
        var pace = WatchPace()
        while !Task.isCancelled, signals[subject] === signal {
            let request = AgentQuestions.request(
                subject, pace, home: state.home,
                identity: state.leaf.map {
                    .init(trustDomain: $0.id.trustDomain, datacenter: $0.id.datacenter)
                })
            let begin = ContinuousClock.now
            let outcome = await ask(request, unless: signal)
            guard signals[subject] === signal, !Task.isCancelled else { return }
            // Interrupted: the agent was away or is back, or something else is to be asked.
            guard let outcome else { continue }
            let pause = take(subject, outcome, &pace, ContinuousClock.now - begin)
            await tell(changed)
            if let pause { await signal.wait(until: ContinuousClock.now + pause) }
        }
    }

    /// nil: interrupted.
    private nonisolated func ask(
        _ request: AgentRequest, unless signal: WakeSignal
    ) async -> Result<AgentAnswer, any Error>? {
        let agent = agent
        return await withTaskGroup(of: Result<AgentAnswer, any Error>?.self) { group in
            group.addTask {
                do {
                    return .success(try await agent.exchange(request))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await signal.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// How long to wait before the next question; nil: not at all.
    private func take(
        _ subject: Subject, _ outcome: Result<AgentAnswer, any Error>, _ pace: inout WatchPace,
        _ took: Duration
    ) -> Duration? {
        do {
            let answer = try outcome.get()
            let intentions = subject == state.registration.map { .intentions($0.service) }
            try state.take(subject, answer)
            if intentions { askAgain(about: state.registration.map { .policy($0.service) }) }
            wakeUp.yield()
            switch subject {
            case .query: return pauses.query
            case .policy: return pauses.policy
            case .checks: return state.awaitsChecks ? pauses.newChecks : pauses.checks
            case .registration, .roots, .leaf, .intentions, .chain, .instances, .outgoing,
                .services,
                .mesh:
                break
            }
            switch pace.answered(index: answer.index, hash: answer.hash, took: took) {
            case .ask: return nil
            case .pause(let pause): return pause
            }
        } catch {
            let isNew = state.failures[subject] == nil
            // An agent that is away is one problem, not one for each subject.
            if (try? outcome.get()) != nil { state.failed(subject, "\(error)") }
            if isNew, away == nil {
                log.warning(
                    "the agent's answer is of no use",
                    metadata: ["subject": "\(subject.text)", LogKey.error: "\(error)"])
            }
            if (try? outcome.get()) == nil { presence.wake() }
            return pace.failed(chance: Double.random(in: 0...1))
        }
    }

    private func askAgain(about subject: Subject?) {
        subject.flatMap { signals[$0] }?.wake()
    }

    /// Tells of a view or of problems that are others than those told before.
    private func tell(_ changed: @Sendable () async -> Void) async {
        let view = state.view
        let problems = problems
        guard view != lastView || problems != lastProblems else { return }
        if let view {
            if lastView == nil {
                log.info("the agent has told enough to serve")
                known.wake()
            }
            lastView = view
        }
        lastProblems = problems
        await changed()
    }

    // MARK: - whether the agent is there

    private func watchPresence(_ changed: @Sendable () async -> Void) async {
        var failures = 0
        while !Task.isCancelled {
            var request = AgentRequest("GET", "/v1/status/leader")
            request.timeout = .seconds(3)
            do {
                _ = try await agent.exchange(request)
                failures = 0
                if away != nil { await isBack(changed) }
            } catch {
                if Task.isCancelled { return }
                failures += 1
                if failures >= 2, away == nil { await isAway("\(error)", changed) }
            }
            if failures == 1 {
                // A cancelled sleep ends the loop.
                try? await Task.sleep(for: .milliseconds(300))
                continue
            }
            // Many subjects may fail at once: one look is enough.
            if failures > 0 { try? await Task.sleep(for: .milliseconds(500)) }
            await presence.wait(until: ContinuousClock.now + pauses.presence)
        }
    }

    private func isAway(_ why: String, _ changed: @Sendable () async -> Void) async {
        away = why
        log.warning(
            "the agent does not answer",
            metadata: [LogKey.address: "\(agent.subject)", LogKey.error: "\(why)"])
        // Questions that were lost on the way would be waited for in vain.
        for signal in signals.values { signal.wake() }
        await tell(changed)
    }

    private func isBack(_ changed: @Sendable () async -> Void) async {
        away = nil
        log.info("the agent answers again", metadata: [LogKey.address: "\(agent.subject)"])
        for signal in signals.values { signal.wake() }
        await tell(changed)
    }
}
