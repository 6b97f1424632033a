import MeshAdminAPI
import Testing

@testable import meshctl

@Suite struct TopTests {
    private static func stats(
        _ requests: UInt64, fails: UInt64 = 0, buckets: [UInt64] = []
    ) -> StatsReport {
        let latency = StatsReport.Latency(
            count: 0, sumUs: 0, p50Us: 0, p90Us: 0, p99Us: 0, buckets: buckets)
        let counters = ["requests": requests, "responses_5xx": fails, "open": 3]
        return StatsReport(
            listeners: [
                .init(name: "a", counters: counters, outcomes: [:], latency: latency),
                .init(name: "b", counters: ["requests": 5], outcomes: [:], latency: latency),
            ], targets: [], workers: [])
    }

    private static func reading(
        _ last: StatsReport, _ now: StatsReport, order: TopCommand.Order = .requests,
        filter: String? = nil
    ) -> TopReading {
        TopReading(from: last, to: now, seconds: 2, order: order, filter: filter)
    }

    @Test func ratesAreOfTheTimeBetween() {
        let top = Self.reading(Self.stats(100, fails: 1), Self.stats(120, fails: 5))
        #expect(top.rows.map(\.name) == ["a", "b"])
        #expect(top.rows[0].requestsPerSecond == 10 && top.rows[0].errorsPerSecond == 2)
        #expect(top.rows[0].open == 3 && top.rows[0].p50Us == nil)
        #expect(top.text.contains("10.0"))
    }

    @Test func quantilesAreOfTheTimeBetween() {
        // Buckets 3 and 4 are [2, 3) and [3, 4); what was before does not count.
        let top = Self.reading(
            Self.stats(0, buckets: [1000]), Self.stats(1, buckets: [1000, 0, 0, 98, 2]))
        #expect(top.rows[0].p50Us == 3 && top.rows[0].p99Us == 4)
    }

    @Test func boundsOfBuckets() {
        #expect(TopReading.quantile(50, []) == nil)
        #expect(TopReading.quantile(50, [1]) == 1)
        #expect(TopReading.quantile(50, [0, 1]) == 2)
        #expect(TopReading.quantile(50, [0, 0, 1]) == 2)
        #expect(TopReading.quantile(50, [0, 0, 0, 0, 0, 1]) == 6)
    }

    @Test func aResetIsSaidAndNoRate() {
        let top = Self.reading(Self.stats(100), Self.stats(7))
        let row = top.rows.first { $0.name == "a" }
        #expect(row?.wasReset == true && row?.requestsPerSecond == 0)
        #expect(top.text.contains("reset"))
    }

    private static func way(
        _ kind: String, _ owner: String, _ name: String, _ counters: [String: UInt64]
    ) -> StatsReport.Way {
        .init(
            kind: kind, owner: owner, name: name, place: "127.0.0.1:1", counters: counters,
            latency: .init(count: 0, sumUs: 0, p50Us: 0, p90Us: 0, p99Us: 0))
    }

    @Test func routesAndEndpointsAreRows() {
        var (last, now) = (Self.stats(100), Self.stats(120))
        last.ways = [
            Self.way("route", "a", "listener a, route 1", ["requests": 10, "errors": 0])
        ]
        now.ways = [
            Self.way("route", "a", "listener a, route 1", ["requests": 20, "errors": 4]),
            Self.way("route", "b", "service-router/web", ["requests": 2]),
            Self.way("endpoint", "web", "web-1", ["requests": 6, "responses_5xx": 2]),
        ]
        let top = Self.reading(last, now)
        let rows = Dictionary(top.rows.map { ("\($0.kind) \($0.name)", $0) }) { one, _ in one }
        #expect(rows["route listener a, route 1"]?.requestsPerSecond == 5)
        #expect(rows["route listener a, route 1"]?.errorsPerSecond == 2)
        #expect(rows["route listener a, route 1"]?.open == nil)
        #expect(rows["route b: service-router/web"]?.requestsPerSecond == 1)
        #expect(rows["endpoint web-1 127.0.0.1:1"]?.errorsPerSecond == 1)
        let some = TopReading(
            from: last, to: now, seconds: 2, order: .name, filter: nil, kinds: [.endpoint])
        #expect(some.rows.map(\.kind) == ["endpoint"])
    }

    @Test func sortedAndFiltered() {
        let (last, now) = (Self.stats(100), Self.stats(120))
        #expect(Self.reading(last, now, order: .name).rows.map(\.name) == ["a", "b"])
        #expect(Self.reading(last, now, filter: "b").rows.map(\.name) == ["b"])
        #expect(Self.reading(last, now, filter: "x").text == "no listeners and targets")
    }
}
