import ArgumentParser
import Foundation
import MeshAdminAPI

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Live rates, latencies and errors of listeners, routes, targets and endpoints.",
        discussion: """
            Every row is about the time since the reading before, its quantiles too: they are \
            upper bounds of their buckets. On a terminal the table is drawn in place until \
            interrupted. Where the data plane was started again in between, a row says so \
            instead of rates. Routes and endpoints are shown once they are used; they have no \
            bytes and no connections of their own.

            Example: meshctl top --sort p99 --filter web --kind endpoint
            """)

    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case listener, route, target, endpoint
    }

    enum Order: String, CaseIterable, ExpressibleByArgument {
        case requests, errors, p99, bytes, name
    }

    @Option(help: ArgumentHelp("Seconds between readings, 1 to 60.", valueName: "seconds"))
    var interval: Int = 1

    @Option(help: "Largest first by this.") var sort: Order = .requests

    @Option(help: ArgumentHelp("Only names that contain this.", valueName: "text"))
    var filter: String?

    @Option(help: "Only rows of this kind; may be repeated.") var kind: [Kind] = []

    @Flag(help: "One table, after one interval.") var once = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...60).contains(interval) else {
            throw ValidationError("--interval takes 1 to 60 seconds")
        }
    }

    func run() async throws {
        try await connection.run { connection in
            let clock = ContinuousClock()
            var last: StatsReport = try await connection.read("/status/stats")
            var lastRead = clock.now
            repeat {
                try await clock.sleep(for: .seconds(interval))
                let now: StatsReport = try await connection.read("/status/stats")
                let seconds = (clock.now - lastRead) / .seconds(1)
                lastRead = clock.now
                let reading = TopReading(
                    from: last, to: now, seconds: seconds, order: sort, filter: filter, kinds: kind)
                try show(reading)
                last = now
            } while !once
        }
    }

    private func show(_ reading: TopReading) throws {
        if output.json {
            // One line per reading, for programs that follow.
            let data = try APICoding.encoder().encode(reading)
            return Output.line(String(decoding: data, as: UTF8.self))
        }
        let inPlace = !once && isatty(STDOUT_FILENO) == 1
        Output.line((inPlace ? "\u{1b}[H\u{1b}[J" : "") + reading.text + (once ? "" : "\n"))
    }
}

/// What happened between two readings of the counters.
struct TopReading: Encodable, Equatable {
    struct Row: Encodable, Equatable {
        /// `listener`, `route`, `target` or `endpoint`.
        var kind: String
        var name: String
        /// The counters have fallen: the data plane was started again, and nothing else is known.
        var wasReset: Bool
        var requestsPerSecond: Double
        /// Answers of 5xx; for targets also resets and failed connects, for routes and endpoints
        /// also what had no whole answer.
        var errorsPerSecond: Double
        /// These three are of listeners and targets.
        var bytesInPerSecond: Double?
        var bytesOutPerSecond: Double?
        /// Connections.
        var open: UInt64?
        /// Upper bounds, microseconds; nil: nothing was measured.
        var p50Us: UInt64?
        var p90Us: UInt64?
        var p99Us: UInt64?
    }

    var seconds: Double
    var rows: [Row]

    init(
        from last: StatsReport, to now: StatsReport, seconds: Double, order: TopCommand.Order,
        filter: String?, kinds: [TopCommand.Kind] = []
    ) {
        self.seconds = seconds
        let listeners = Dictionary(last.listeners.map { ($0.name, $0) }) { first, _ in first }
        let targets = Dictionary(last.targets.map { ($0.name, $0) }) { first, _ in first }
        var rows = now.listeners.map { new in
            Self.row(
                "listener", new.name, new.counters, listeners[new.name]?.counters, new.latency,
                listeners[new.name]?.latency, seconds)
        }
        rows += now.targets.map { new in
            Self.row(
                "target", new.name, new.counters, targets[new.name]?.counters, new.latency,
                targets[new.name]?.latency, seconds)
        }
        let ways = Dictionary((last.ways ?? []).map { (Self.name($0), $0) }) { first, _ in first }
        for new in now.ways ?? [] {
            let old = ways[Self.name(new)]
            var row = Self.row(
                new.kind, Self.name(new), new.counters, old?.counters, new.latency, old?.latency,
                seconds)
            (row.bytesInPerSecond, row.bytesOutPerSecond, row.open) = (nil, nil, nil)
            rows.append(row)
        }
        self.rows = rows.filter { row in
            (filter.map(row.name.contains) ?? true)
                && (kinds.isEmpty || kinds.contains { $0.rawValue == row.kind })
        }
        .sorted { Self.rank($0, order) > Self.rank($1, order) || Self.tie($0, $1, order) }
    }

    /// The listener and its route, or the instance and its address.
    private static func name(_ way: StatsReport.Way) -> String {
        guard way.kind == "route" else { return "\(way.name) \(way.place)" }
        return way.name.hasPrefix("listener \(way.owner)") ? way.name : "\(way.owner): \(way.name)"
    }

    private static func rank(_ row: Row, _ order: TopCommand.Order) -> Double {
        switch order {
        case .requests: row.requestsPerSecond
        case .errors: row.errorsPerSecond
        case .p99: Double(row.p99Us ?? 0)
        case .bytes: (row.bytesInPerSecond ?? 0) + (row.bytesOutPerSecond ?? 0)
        case .name: 0
        }
    }

    private static func tie(_ one: Row, _ other: Row, _ order: TopCommand.Order) -> Bool {
        rank(one, order) == rank(other, order) && (one.kind, one.name) < (other.kind, other.name)
    }

    private static func row(
        _ kind: String, _ name: String, _ new: [String: UInt64], _ old: [String: UInt64]?,
        _ latency: StatsReport.Latency, _ before: StatsReport.Latency?, _ seconds: Double
    ) -> Row {
        let old = old ?? [:]
        let fallen = old.contains { $0.key != "open" && (new[$0.key] ?? 0) < $0.value }
        let rate = { (names: [String]) -> Double in
            guard !fallen else { return 0 }
            let grown = names.reduce(0) { $0 + (new[$1] ?? 0) - (old[$1] ?? 0) }
            return Double(grown) / max(seconds, 0.001)
        }
        let fresh = fallen ? [] : grown(latency.buckets ?? [], since: before?.buckets ?? [])
        return Row(
            kind: kind, name: name, wasReset: fallen, requestsPerSecond: rate(["requests"]),
            errorsPerSecond: rate(["responses_5xx", "resets", "connect_failures", "errors"]),
            bytesInPerSecond: rate(["bytes_in"]), bytesOutPerSecond: rate(["bytes_out"]),
            open: new["open"] ?? 0, p50Us: quantile(50, fresh), p90Us: quantile(90, fresh),
            p99Us: quantile(99, fresh))
    }

    private static func grown(_ new: [UInt64], since old: [UInt64]) -> [UInt64] {
        new.enumerated().map { index, count in
            let before = index < old.count ? old[index] : 0
            return count >= before ? count - before : 0
        }
    }

    /// Upper bound of the bucket that holds the quantile.
    static func quantile(_ share: UInt64, _ counts: [UInt64]) -> UInt64? {
        let total = counts.reduce(0, +)
        guard total > 0 else { return nil }
        let rank = (total * share + 99) / 100
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen += count
            guard seen >= rank else { continue }
            guard bucket > 0 else { return 1 }
            let power = UInt64(1) << UInt64((bucket - 1) / 2)
            return bucket % 2 == 1 ? (3 * power + 1) / 2 : 2 * power
        }
        return nil
    }

    /// For people.
    var text: String {
        var table = Table(
            "", "name", "requests/s", "errors/s", "p50", "p90", "p99", "in/s", "out/s", "open",
            numbers: [2, 3, 4, 5, 6, 7, 8, 9])
        for row in rows {
            let latency = { (value: UInt64?) in value.map(Format.latency) ?? "-" }
            let bytes = { (value: Double?) in value.map { Format.bytes(UInt64($0)) } ?? "-" }
            let rate = { (value: Double) in
                row.wasReset ? "reset" : String(format: "%.1f", value)
            }
            table.add(
                row.kind, row.name, rate(row.requestsPerSecond), rate(row.errorsPerSecond),
                latency(row.p50Us), latency(row.p90Us), latency(row.p99Us),
                bytes(row.bytesInPerSecond), bytes(row.bytesOutPerSecond),
                row.open.map { "\($0)" } ?? "-")
        }
        return table.rendered(orElse: "no listeners and targets")
    }
}
