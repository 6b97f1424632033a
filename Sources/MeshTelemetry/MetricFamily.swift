/// All series of one metric name at one moment.
package struct MetricFamily: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case counter
        case gauge
        case histogram
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`, with the unit last; counters end in `_total`.
    package var name: String
    package var help: String
    package var kind: Kind
    package var samples: [MetricSample]

    package init(name: String, help: String, kind: Kind, samples: [MetricSample] = []) {
        self.name = name
        self.help = help
        self.kind = kind
        self.samples = samples
    }
}

/// One series of a metric and its value.
package struct MetricSample: Sendable, Equatable {
    package var labels: MetricLabels
    package var value: MetricValue

    package init(_ value: MetricValue, labels: MetricLabels = [:]) {
        self.labels = labels
        self.value = value
    }
}

package enum MetricValue: Sendable, Equatable {
    /// A whole number, written with every digit.
    case count(UInt64)
    case number(Double)
    case histogram(HistogramValue)
}

/// Names and values that tell the series of one metric apart, in the order of their names.
package struct MetricLabels: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// One label. The name is `[a-zA-Z_][a-zA-Z0-9_]*`; the value is any text.
    package struct Label: Sendable, Hashable {
        package var name: String
        package var value: String
    }

    package private(set) var all: [Label]

    package init(_ labels: [(String, String)] = []) {
        all = labels.map { Label(name: $0.0, value: $0.1) }.sorted { $0.name < $1.name }
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements)
    }
}

extension MetricLabels: Comparable {
    package static func < (left: MetricLabels, right: MetricLabels) -> Bool {
        left.all.lexicographicallyPrecedes(right.all) {
            ($0.name, $0.value) < ($1.name, $1.value)
        }
    }
}

/// Observations by size: `counts[i]` of them were ≤ `bounds[i]` and above the bound before; the
/// last of `counts`, one more than there are bounds, holds those above every bound.
package struct HistogramValue: Sendable, Equatable {
    package var bounds: [Double]
    package var counts: [UInt64]
    package var sum: Double

    package init(bounds: [Double], counts: [UInt64], sum: Double) {
        precondition(counts.count == bounds.count + 1, "one count per bound and one above them")
        self.bounds = bounds
        self.counts = counts
        self.sum = sum
    }
}
