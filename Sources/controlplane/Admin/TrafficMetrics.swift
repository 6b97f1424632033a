import MeshTelemetry
import MeshWorkers

/// Counters of the workers as families of metrics. Label values are names that the configuration
/// has: what clients invent never becomes one.
struct TrafficMetrics {
    private var order: [String] = []
    private var families: [String: MetricFamily] = [:]

    static func families(_ counters: TrafficCounters, generation: UInt64) -> [MetricFamily] {
        var metrics = TrafficMetrics()
        metrics.add(
            "ringmesh_snapshot_generation", "Generation of the snapshot that is live.", .gauge, [:],
            .number(Double(generation)))
        for worker in counters.workers { metrics.add(worker) }
        for (name, listener) in counters.listeners { metrics.add(name, listener) }
        for target in counters.targets where target.isUsed { metrics.add(target) }
        for way in counters.ways where way.slot < Way.mostSeries { metrics.add(way) }
        return metrics.order.compactMap { metrics.families[$0] }
    }

    private mutating func add(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ labels: MetricLabels,
        _ value: MetricValue
    ) {
        if families[name] == nil {
            order.append(name)
            families[name] = MetricFamily(name: name, help: help, kind: kind)
        }
        families[name]?.samples.append(MetricSample(value, labels: labels))
    }

    private mutating func add(
        _ prefix: String, _ help: [String: String], _ labels: MetricLabels,
        _ members: [(name: String, isGauge: Bool, value: UInt64)]
    ) {
        for member in members {
            add(
                "\(prefix)_\(member.name)" + (member.isGauge ? "" : "_total"),
                help[member.name] ?? "", member.isGauge ? .gauge : .counter, labels,
                member.isGauge ? .number(Double(member.value)) : .count(member.value))
        }
    }

    private mutating func add(_ worker: TrafficCounters.Worker) {
        let labels: MetricLabels = ["worker": "\(worker.id)"]
        add("ringmesh_worker", MetricHelp.worker, labels, worker.counters.named)
        add(
            "ringmesh_worker_snapshot_generation", "Generation that a worker runs.", .gauge, labels,
            .number(Double(worker.generation)))
    }

    private mutating func add(_ name: String, _ listener: ListenerCounters) {
        add("ringmesh_listener", MetricHelp.listener, ["listener": name], listener.named)
        for (code, value) in listener.byClass {
            add(
                "ringmesh_listener_responses_total", "Answers by class of status.", .counter,
                ["listener": name, "code": code], .count(value))
        }
        for (outcome, value) in listener.byOutcome {
            add(
                "ringmesh_listener_outcomes_total", "How requests and connections ended.", .counter,
                ["listener": name, "outcome": outcome], .count(value))
        }
        add(
            "ringmesh_listener_request_duration_seconds",
            "From the first byte of a request to the last of its answer.", .histogram,
            ["listener": name], .histogram(Self.histogram(listener.latency)))
    }

    private mutating func add(_ target: TrafficCounters.Target) {
        let labels: MetricLabels = ["target": target.name, "service": target.service]
        add("ringmesh_target", MetricHelp.target, labels, target.counters.named)
        for (code, value) in target.counters.byClass {
            add(
                "ringmesh_target_responses_total", "Answers of upstreams by class of status.",
                .counter,
                ["target": target.name, "service": target.service, "code": code], .count(value))
        }
        for (outcome, value) in target.counters.byOutcome {
            add(
                "ringmesh_target_outcomes_total",
                "How requests and connections to upstreams ended.", .counter,
                ["target": target.name, "service": target.service, "outcome": outcome],
                .count(value))
        }
        add(
            "ringmesh_target_response_duration_seconds",
            "From the head sent to the head of the answer.", .histogram, labels,
            .histogram(Self.histogram(target.counters.latency)))
    }

    private mutating func add(_ way: Way) {
        let name = "ringmesh_\(way.kind.rawValue)"
        for (code, value) in way.counters.byClass {
            let answered: MetricLabels =
                switch way.kind {
                case .route: ["listener": way.owner, "route": way.name, "code": code]
                case .endpoint:
                    [
                        "service": way.owner, "instance": way.name, "address": way.place,
                        "code": code,
                    ]
                }
            add(
                "\(name)_responses_total", "Answers by class of status.", .counter, answered,
                .count(value))
        }
        let labels: MetricLabels =
            switch way.kind {
            case .route: ["listener": way.owner, "route": way.name]
            case .endpoint: ["service": way.owner, "instance": way.name, "address": way.place]
            }
        add(
            "\(name)_errors_total", "What ended without an answer, or with a part of one.",
            .counter, labels, .count(way.counters.errors))
        add(
            "\(name)_retries_total", "Tries besides the first.", .counter, labels,
            .count(way.counters.retries))
        add(
            "\(name)_duration_seconds", MetricHelp.wayDuration[way.kind.rawValue] ?? "",
            .histogram, labels, .histogram(Self.histogram(way.counters.latency)))
    }

    /// Every second bucket, from 64 µs to a minute: enough to tell where time goes.
    private static func histogram(_ latency: LatencyHistogram) -> HistogramValue {
        var bounds: [Double] = []
        var counts: [UInt64] = []
        var gathered: UInt64 = 0
        for (bucket, number) in latency.counts.enumerated() {
            gathered += number
            guard bucket % 2 == 0, let bound = LatencyHistogram.upperBound(bucket),
                bound >= 64, bound <= 67_108_864
            else { continue }
            bounds.append(bound / 1_000_000)
            counts.append(gathered)
            gathered = 0
        }
        return HistogramValue(
            bounds: bounds, counts: counts + [gathered],
            sum: Double(latency.sumMicroseconds) / 1_000_000)
    }
}
