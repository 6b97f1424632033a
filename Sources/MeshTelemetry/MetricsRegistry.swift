import Synchronization

/// The metrics of the control plane. What workers count stays in shared memory and is merged when
/// `/metrics` is answered; both meet as `MetricFamily` values.
///
/// Asking twice for the same name and labels gives the same instrument. Names and label names are
/// constants of the code: a malformed one, or one name with two kinds, stops the program.
package final class MetricsRegistry: Sendable {
    private enum Instrument {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private struct Family {
        let help: String
        let kind: MetricFamily.Kind
        var series: [MetricLabels: Instrument] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    package func counter(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Counter {
        let found = instrument(name, help, .counter, labels) { .counter(Counter()) }
        guard case .counter(let counter) = found else { wrongKind(name, .counter) }
        return counter
    }

    package func gauge(_ name: String, _ help: String, _ labels: MetricLabels = [:]) -> Gauge {
        let found = instrument(name, help, .gauge, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = found else { wrongKind(name, .gauge) }
        return gauge
    }

    /// `bounds` rise; the first call for a series decides them.
    package func histogram(
        _ name: String, _ help: String, _ labels: MetricLabels = [:],
        bounds: [Double] = Histogram.seconds
    ) -> Histogram {
        let found = instrument(name, help, .histogram, labels) {
            .histogram(Histogram(bounds: bounds))
        }
        guard case .histogram(let histogram) = found else { wrongKind(name, .histogram) }
        return histogram
    }

    /// Forgets one series, for things that exist no more. Instruments still held go on counting
    /// unseen.
    package func remove(_ name: String, _ labels: MetricLabels) {
        families.withLock { families in
            _ = families[name]?.series.removeValue(forKey: labels)
        }
    }

    /// Every series with its present value.
    package func collect() -> [MetricFamily] {
        families.withLock { families in
            families.map { name, family in
                let samples = family.series.map { labels, instrument in
                    MetricSample(Self.value(of: instrument), labels: labels)
                }
                return MetricFamily(
                    name: name, help: family.help, kind: family.kind, samples: samples)
            }
        }
    }

    private static func value(of instrument: Instrument) -> MetricValue {
        switch instrument {
        case .counter(let counter): .count(counter.value)
        case .gauge(let gauge): .number(gauge.value)
        case .histogram(let histogram): .histogram(histogram.value)
        }
    }

    private func instrument(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ labels: MetricLabels,
        make: () -> Instrument
    ) -> Instrument {
        precondition(Self.isName(name, colons: true), "metric name \(name)")
        for label in labels.all {
            precondition(
                Self.isName(label.name, colons: false) && label.name != "le"
                    && !label.name.hasPrefix("__"), "label \(label.name) of metric \(name)")
        }
        return families.withLock { families in
            var family = families[name] ?? Family(help: help, kind: kind)
            if family.kind != kind { wrongKind(name, kind) }
            if let known = family.series[labels] { return known }
            let made = make()
            family.series[labels] = made
            families[name] = family
            return made
        }
    }

    static func isName(_ name: String, colons: Bool) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
            case 0x3A: colons
            default: false
            }
        }
    }
}

private func wrongKind(_ name: String, _ kind: MetricFamily.Kind) -> Never {
    fatalError("metric \(name) is used as a \(kind) and as something else")
}

/// A number of events; it only grows.
package final class Counter: Sendable {
    private let count = Atomic<UInt64>(0)

    package func increment(by amount: UInt64 = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    package var value: UInt64 { count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let result = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if result.exchanged { return }
            old = result.original
        }
    }

    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// Observations sorted into buckets.
package final class Histogram: Sendable {
    /// From a millisecond to ten seconds, for durations in seconds.
    package static let seconds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    private let state: Mutex<HistogramValue>

    init(bounds: [Double]) {
        precondition(
            zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }
                && bounds.allSatisfy { $0.isFinite }, "histogram bounds rise and are finite")
        let empty = [UInt64](repeating: 0, count: bounds.count + 1)
        state = Mutex(HistogramValue(bounds: bounds, counts: empty, sum: 0))
    }

    package func observe(_ value: Double) {
        state.withLock { state in
            let bucket = state.bounds.firstIndex { value <= $0 } ?? state.bounds.count
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    package var value: HistogramValue { state.withLock { $0 } }
}
