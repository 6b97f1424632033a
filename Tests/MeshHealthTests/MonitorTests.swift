import MeshModel
import MeshTelemetry
import Testing

@testable import MeshHealth

@Suite(.timeLimit(.minutes(5))) struct MonitorTests {
    /// Says what it is told to, and counts how many attempts are under way at a time.
    private actor Prober: CheckProber {
        private var status = CheckStatus.passing
        private var underWay = 0
        private(set) var most = 0

        func say(_ status: CheckStatus) { self.status = status }

        func probe(_ check: CheckDefinition) async -> CheckResult {
            underWay += 1
            most = max(most, underWay)
            try? await Task.sleep(for: .milliseconds(5))
            underWay -= 1
            return CheckResult(status, "told")
        }
    }

    private func log() -> Logger { LogSystem(sink: LogSink { _ in }).logger("health") }

    private func spec(_ index: Int) throws -> CheckSpec {
        CheckSpec(
            id: "c\(index)", service: try ServiceID("s\(index)"),
            definition: CheckDefinition(tcp: "127.0.0.1:1", interval: .milliseconds(100)))
    }

    @Test func tellsWhatChanges() async throws {
        let prober = Prober()
        let monitor = HealthMonitor(prober: prober, log: log())
        await monitor.configure([try spec(0)])
        let running = Task { await monitor.run() }
        var events = monitor.events.makeAsyncIterator()
        #expect(await events.next() == .changed(try ServiceID("s0")))
        #expect(await monitor.statuses == [try ServiceID("s0"): .passing])
        await prober.say(.critical)
        #expect(await events.next() == .changed(try ServiceID("s0")))
        #expect(await monitor.statuses == [try ServiceID("s0"): .critical])
        running.cancel()
        await running.value
    }

    @Test func attemptsAtATimeAreBounded() async throws {
        let prober = Prober()
        let monitor = HealthMonitor(prober: prober, log: log())
        await monitor.configure(try (0..<1000).map(spec))
        let running = Task { await monitor.run() }
        var events = monitor.events.makeAsyncIterator()
        for _ in 0..<1000 { _ = await events.next() }
        running.cancel()
        await running.value
        let most = await prober.most
        #expect(most > 1 && most <= HealthMonitor.concurrency)
    }

    @Test func aSignalIsNotLost() async {
        let signal = WakeSignal()
        signal.wake()
        await signal.wait()
        let begun = ContinuousClock.now
        await signal.wait(until: begun + .milliseconds(20))
        #expect(ContinuousClock.now - begun >= .milliseconds(20))
        let waiting = Task { await signal.wait() }
        waiting.cancel()
        await waiting.value
    }
}
