import MeshAdminAPI
import MeshTables
import MeshWorkers

/// What all workers have counted, added up by name.
struct TrafficCounters: Sendable {
    struct Worker: Sendable {
        var id: Int
        var generation: UInt64
        var counters: WorkerCounters
    }

    struct Target: Sendable {
        var name: String
        var service: String
        var counters: TargetCounters

        /// Whether anything was ever sent there.
        var isUsed: Bool { counters.connects > 0 || counters.requests > 0 }
    }

    private(set) var listeners: [(name: String, counters: ListenerCounters)] = []
    private(set) var targets: [Target] = []
    private(set) var workers: [Worker] = []
    private(set) var ways: [Way] = []

    /// Reads the regions; only slots that the snapshot names are touched. What data planes of
    /// before an upgrade have counted is added to the slots of their successors; of one that has
    /// ended nothing is open any more, whatever it wrote last.
    init(_ regions: [WorkerStatsRegion], retired: [WorkerStatsRegion], _ reader: SnapshotReader?) {
        let regions = regions.map { (region: $0, counts: true) }
        let all = regions + retired.map { (region: $0, counts: $0.isAlive) }
        workers = regions.map { (region, _) in
            var counters = region.counters()
            for former in retired where former.worker == region.worker {
                counters.addTotals(of: former.counters())
            }
            return Worker(id: region.worker, generation: region.generation, counters: counters)
        }
        guard let reader else { return }
        for named in reader.listenerSlots {
            var sum = ListenerCounters()
            for (region, isAlive) in all {
                var part = region.listener(named.slot)
                if !isAlive { part.open = 0 }
                sum += part
            }
            listeners.append((named.name, sum))
        }
        for named in reader.targetSlots {
            var sum = TargetCounters()
            for (region, isAlive) in all {
                var part = region.target(named.slot)
                if !isAlive { part.open = 0 }
                sum += part
            }
            targets.append(Target(name: named.name, service: named.service, counters: sum))
        }
        ways = Way.all(all.map(\.region), reader)
    }
}

extension WorkerCounters {
    /// Members with the names that people and programs see.
    var named: [(name: String, isGauge: Bool, value: UInt64)] {
        [
            ("connections_open", true, connectionsOpen), ("upstream_open", true, upstreamOpen),
            ("upstream_idle", true, upstreamIdle), ("requests_active", true, requestsActive),
            ("tls_open", true, tlsOpen), ("accepted", false, accepted),
            ("accept_errors", false, acceptErrors), ("shed", false, shed),
            ("turns", false, turns), ("events", false, events),
            ("stale_events", false, staleEvents), ("no_buffers", false, noBuffers),
            ("spliced_bytes", false, splicedBytes), ("spill_blocks", true, spillBlocks),
            ("spill_blocks_high", true, spillBlocksHigh),
            ("connections_high", true, connectionsHigh), ("requests_high", true, requestsHigh),
            ("views_live", true, viewsLive), ("reauthorized_closed", false, reauthorizedClosed),
            ("starts", false, starts), ("log_records", false, logRecords),
            ("log_dropped", false, logDropped), ("log_written", false, logWritten),
            ("log_lost", false, logLost), ("spans", false, spans),
            ("spans_dropped", false, spansDropped),
            ("mirrors", false, mirrors), ("mirrors_failed", false, mirrorsFailed),
        ]
    }
}

extension ListenerCounters {
    /// Members with the names that people and programs see; codes, outcomes and latency apart.
    var named: [(name: String, isGauge: Bool, value: UInt64)] {
        [
            ("accepted", false, accepted), ("open", true, open), ("bytes_in", false, bytesIn),
            ("bytes_out", false, bytesOut), ("handshakes", false, handshakes),
            ("handshakes_resumed", false, handshakesResumed),
            ("handshakes_failed", false, handshakesFailed), ("denied", false, denied),
            ("requests", false, requests),
        ]
    }

    /// Answers by class of their status.
    var byClass: [(name: String, value: UInt64)] {
        codes.enumerated().map { ("\($0.offset + 1)xx", $0.element) }
    }

    /// Ends of requests and connections by outcome; those that never happened are left out.
    var byOutcome: [(name: String, value: UInt64)] {
        zip(RequestOutcome.allCases, outcomes).filter { $0.1 > 0 }.map { ($0.0.rawValue, $0.1) }
    }
}

extension TargetCounters {
    /// Ends of requests and connections by outcome; those that never happened are left out.
    var byOutcome: [(name: String, value: UInt64)] {
        zip(RequestOutcome.allCases, outcomes).filter { $0.1 > 0 }.map { ($0.0.rawValue, $0.1) }
    }

    /// Members with the names that people and programs see; codes and latency apart.
    var named: [(name: String, isGauge: Bool, value: UInt64)] {
        [
            ("connects", false, connects), ("connect_failures", false, connectFailures),
            ("open", true, open), ("requests", false, requests), ("retries", false, retries),
            ("bytes_in", false, bytesIn), ("bytes_out", false, bytesOut),
            ("resets", false, resets),
            ("ejections", false, ejections),
        ]
    }

    /// Answers by class of their status.
    var byClass: [(name: String, value: UInt64)] {
        codes.enumerated().map { ("\($0.offset + 2)xx", $0.element) }
    }
}

extension WayCounters {
    /// Members with the names that people and programs see.
    var named: [(name: String, value: UInt64)] {
        [("requests", requests), ("errors", errors), ("retries", retries)]
            + byClass.map {
                ("responses_\($0.name)", $0.value)
            }
    }

    /// Answers by class of their status; those that never happened are left out.
    var byClass: [(name: String, value: UInt64)] {
        codes.enumerated().filter { $0.element > 0 }.map { ("\($0.offset + 1)xx", $0.element) }
    }
}

extension LatencyHistogram {
    /// The distribution as the API tells it: percentiles are upper bounds of their buckets.
    var report: StatsReport.Latency {
        StatsReport.Latency(
            count: count, sumUs: sumMicroseconds, p50Us: percentile(50), p90Us: percentile(90),
            p99Us: percentile(99),
            buckets: Array(counts[..<((counts.lastIndex { $0 > 0 } ?? -1) + 1)]))
    }

    private func percentile(_ share: UInt64) -> UInt64 {
        let total = count
        guard total > 0 else { return 0 }
        let rank = (total * share + 99) / 100
        var seen: UInt64 = 0
        for (bucket, number) in counts.enumerated() {
            seen += number
            guard seen >= rank else { continue }
            // The last bucket has no bound: the one before it is the least that can be said.
            let bound = Self.upperBound(bucket) ?? Self.upperBound(bucket - 1) ?? 0
            return UInt64(bound.rounded(.up))
        }
        return 0
    }
}
