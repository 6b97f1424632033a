/// Writes metric families in the Prometheus text format, version 0.0.4.
package enum MetricsText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The text of all families: names in alphabetical order, series by their labels, so that
    /// equal input gives equal text. Families of one name (from several sources) become one; the
    /// first one's help and kind stand.
    package static func render(_ families: [MetricFamily]) -> String {
        var byName: [String: MetricFamily] = [:]
        for family in families {
            byName[family.name, default: empty(family)].samples += family.samples
        }
        var out = ""
        for family in byName.values.sorted(by: { $0.name < $1.name }) {
            append(family, to: &out)
        }
        return out
    }

    private static func empty(_ family: MetricFamily) -> MetricFamily {
        MetricFamily(name: family.name, help: family.help, kind: family.kind)
    }

    private static func append(_ family: MetricFamily, to out: inout String) {
        out += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n"
        out += "# TYPE \(family.name) \(family.kind.rawValue)\n"
        for sample in family.samples.sorted(by: { $0.labels < $1.labels }) {
            switch sample.value {
            case .count(let value):
                append(family.name, sample.labels, String(value), to: &out)
            case .number(let value):
                append(family.name, sample.labels, text(value), to: &out)
            case .histogram(let value):
                append(value, name: family.name, labels: sample.labels, to: &out)
            }
        }
    }

    private static func append(
        _ histogram: HistogramValue, name: String, labels: MetricLabels, to out: inout String
    ) {
        var seen: UInt64 = 0
        for (position, count) in histogram.counts.enumerated() {
            let (sum, overflow) = seen.addingReportingOverflow(count)
            seen = overflow ? .max : sum
            let bound = position < histogram.bounds.count ? histogram.bounds[position] : .infinity
            append("\(name)_bucket", labels, String(seen), le: text(bound), to: &out)
        }
        append("\(name)_sum", labels, text(histogram.sum), to: &out)
        append("\(name)_count", labels, String(seen), to: &out)
    }

    private static func append(
        _ name: String, _ labels: MetricLabels, _ value: String, le: String? = nil,
        to out: inout String
    ) {
        var parts = labels.all.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
        if let le { parts.append("le=\"\(le)\"") }
        out +=
            parts.isEmpty
            ? "\(name) \(value)\n" : "\(name){\(parts.joined(separator: ","))} \(value)\n"
    }

    /// Whole numbers without a fraction, the special values as Prometheus spells them.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return String(value)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else {
            return text
        }
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
