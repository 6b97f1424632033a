import MeshWorkers
import Testing

@testable import controlplane

@Suite struct MetricsTests {
    @Test func everyCounterSaysWhatItMeans() {
        for (members, help) in [
            (WorkerCounters().named, MetricHelp.worker),
            (ListenerCounters().named, MetricHelp.listener),
            (TargetCounters().named, MetricHelp.target),
        ] {
            #expect(Set(members.map(\.name)) == Set(help.keys))
            #expect(help.values.allSatisfy { $0.hasSuffix(".") })
        }
    }
}
