import CMeshABI
import Glibc
import MeshModel

/// The statistics of one worker slot, read while the worker writes them.
///
/// Reading a slot for the first time gives its page memory: ask only for slots that the published
/// snapshot uses.
package final class WorkerStatsRegion: Sendable {
    /// Slot of the worker.
    package let worker: Int
    /// Spans of sampled requests, for one reader.
    package let spans: SpanRing
    private let mapping: SharedMapping

    /// Maps the region that came with the first report about a worker.
    package init(_ file: Descriptor, worker: Int) throws {
        let mapping = try SharedMapping(file, size: Int(abi_stats_size()))
        let head = mapping.withBytes { $0.loadUnaligned(as: abi_stats.self) }
        guard head.magic == ABI_STATS_MAGIC, head.version == ABI_VERSION,
            head.worker == UInt32(worker), head.listener_slots == LIMIT_LISTENERS,
            head.target_slots == LIMIT_TARGETS
        else { throw MeshError(.invalid, "statistics of worker \(worker) have another layout") }
        self.mapping = mapping
        spans = try SpanRing(file)
        self.worker = worker
    }

    /// Process that writes now.
    package var pid: UInt32 { stats.pointee.pid }

    /// CLOCK_MONOTONIC of the newest loop turn, nanoseconds.
    package var heartbeatNanoseconds: UInt64 {
        read(at: MemoryLayout<abi_stats>.offset(of: \.heartbeat_ns))
    }

    /// Milliseconds since the newest loop turn; nil before the first one.
    package var heartbeatAgeMilliseconds: UInt64? {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let beat = heartbeatNanoseconds
        let nanoseconds = UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
        return beat == 0 || beat > nanoseconds ? nil : (nanoseconds - beat) / 1_000_000
    }

    /// Whether a process still writes here: a worker makes a loop turn at least every half second.
    package var isAlive: Bool { (heartbeatAgeMilliseconds ?? .max) < 3000 }

    /// Live snapshot of the worker; 0: none.
    package var generation: UInt64 { read(at: MemoryLayout<abi_stats>.offset(of: \.generation)) }

    /// Counters of the whole process.
    package func counters() -> WorkerCounters {
        let at = MemoryLayout<abi_stats>.offset(of: \.counters)
        let one = { (index: abi_worker_stat) in self.read(at: at, index: Int(index.rawValue)) }
        var result = WorkerCounters()
        result.connectionsOpen = one(ABI_WORKER_CONNECTIONS_OPEN)
        result.upstreamOpen = one(ABI_WORKER_UPSTREAM_OPEN)
        result.upstreamIdle = one(ABI_WORKER_UPSTREAM_IDLE)
        result.requestsActive = one(ABI_WORKER_REQUESTS_ACTIVE)
        result.tlsOpen = one(ABI_WORKER_TLS_OPEN)
        result.accepted = one(ABI_WORKER_ACCEPTED)
        result.acceptErrors = one(ABI_WORKER_ACCEPT_ERRORS)
        result.shed = one(ABI_WORKER_SHED)
        result.turns = one(ABI_WORKER_TURNS)
        result.events = one(ABI_WORKER_EVENTS)
        result.staleEvents = one(ABI_WORKER_STALE_EVENTS)
        result.noBuffers = one(ABI_WORKER_NO_BUFFERS)
        result.splicedBytes = one(ABI_WORKER_SPLICED_BYTES)
        result.spillBlocks = one(ABI_WORKER_SPILL_BLOCKS)
        result.spillBlocksHigh = one(ABI_WORKER_SPILL_BLOCKS_HIGH)
        result.connectionsHigh = one(ABI_WORKER_CONNECTIONS_HIGH)
        result.requestsHigh = one(ABI_WORKER_REQUESTS_HIGH)
        result.viewsLive = one(ABI_WORKER_VIEWS_LIVE)
        result.reauthorizedClosed = one(ABI_WORKER_REAUTHORIZED_CLOSED)
        result.starts = one(ABI_WORKER_STARTS)
        result.logRecords = one(ABI_WORKER_LOG_RECORDS)
        result.logDropped = one(ABI_WORKER_LOG_DROPPED)
        result.logWritten = one(ABI_WORKER_LOG_WRITTEN)
        result.logLost = one(ABI_WORKER_LOG_LOST)
        result.spans = one(ABI_WORKER_SPANS)
        result.spansDropped = one(ABI_WORKER_SPANS_DROPPED)
        result.mirrors = one(ABI_WORKER_MIRRORS)
        result.mirrorsFailed = one(ABI_WORKER_MIRRORS_FAILED)
        return result
    }

    /// Counters of a listener slot.
    package func listener(_ slot: Int) -> ListenerCounters {
        precondition(slot >= 0 && slot < LIMIT_LISTENERS, "a listener slot is below its limit")
        let base = MemoryLayout<abi_stats>.size + slot * MemoryLayout<abi_listener_stats>.size
        let at = place(base, MemoryLayout<abi_listener_stats>.offset(of: \.counters))
        let one = { (index: abi_listener_stat) in self.read(at: at, index: Int(index.rawValue)) }
        var result = ListenerCounters()
        result.accepted = one(ABI_LISTENER_ACCEPTED)
        result.open = one(ABI_LISTENER_OPEN)
        result.bytesIn = one(ABI_LISTENER_BYTES_IN)
        result.bytesOut = one(ABI_LISTENER_BYTES_OUT)
        result.handshakes = one(ABI_LISTENER_HANDSHAKES)
        result.handshakesResumed = one(ABI_LISTENER_HANDSHAKES_RESUMED)
        result.handshakesFailed = one(ABI_LISTENER_HANDSHAKES_FAILED)
        result.denied = one(ABI_LISTENER_DENIED)
        result.requests = one(ABI_LISTENER_REQUESTS)
        result.codes = [
            ABI_LISTENER_CODE_1XX, ABI_LISTENER_CODE_2XX, ABI_LISTENER_CODE_3XX,
            ABI_LISTENER_CODE_4XX, ABI_LISTENER_CODE_5XX,
        ].map(one)
        let outcomes = place(base, MemoryLayout<abi_listener_stats>.offset(of: \.outcomes))
        result.outcomes = (0..<Int(ABI_OUTCOME_COUNT.rawValue)).map {
            read(at: outcomes, index: $0)
        }
        result.latency = histogram(
            at: place(base, MemoryLayout<abi_listener_stats>.offset(of: \.latency)))
        return result
    }

    /// Counters of a target slot.
    package func target(_ slot: Int) -> TargetCounters {
        precondition(slot >= 0 && slot < LIMIT_TARGETS, "a target slot is below its limit")
        let base = Int(abi_stats_targets_at()) + slot * MemoryLayout<abi_target_stats>.size
        let at = place(base, MemoryLayout<abi_target_stats>.offset(of: \.counters))
        let one = { (index: abi_target_stat) in self.read(at: at, index: Int(index.rawValue)) }
        var result = TargetCounters()
        result.connects = one(ABI_TARGET_CONNECTS)
        result.connectFailures = one(ABI_TARGET_CONNECT_FAILURES)
        result.open = one(ABI_TARGET_OPEN)
        result.requests = one(ABI_TARGET_REQUESTS)
        result.retries = one(ABI_TARGET_RETRIES)
        result.bytesIn = one(ABI_TARGET_BYTES_IN)
        result.bytesOut = one(ABI_TARGET_BYTES_OUT)
        result.codes = [
            ABI_TARGET_CODE_2XX, ABI_TARGET_CODE_3XX, ABI_TARGET_CODE_4XX, ABI_TARGET_CODE_5XX,
        ].map(one)
        result.resets = one(ABI_TARGET_RESETS)
        result.ejections = one(ABI_TARGET_EJECTIONS)
        let outcomes = place(base, MemoryLayout<abi_target_stats>.offset(of: \.outcomes))
        result.outcomes = (0..<Int(ABI_OUTCOME_COUNT.rawValue)).map {
            read(at: outcomes, index: $0)
        }
        result.latency = histogram(
            at: place(base, MemoryLayout<abi_target_stats>.offset(of: \.latency)))
        return result
    }

    /// Counters of a route's slot.
    package func route(_ slot: Int) -> WayCounters {
        precondition(slot >= 0 && slot < LIMIT_ROUTE_SLOTS, "a route's slot is below its limit")
        return way(at: Int(abi_stats_routes_at()) + slot * MemoryLayout<abi_way_stats>.size)
    }

    /// Counters of an endpoint, by its overlay slot.
    package func endpoint(_ slot: Int) -> WayCounters {
        precondition(
            slot >= 0 && slot < LIMIT_ENDPOINT_SLOTS, "an endpoint's slot is below its limit")
        return way(at: Int(abi_stats_endpoints_at()) + slot * MemoryLayout<abi_way_stats>.size)
    }

    /// The histogram is read of ways that are used only.
    private func way(at base: Int) -> WayCounters {
        let at = place(base, MemoryLayout<abi_way_stats>.offset(of: \.counters))
        var result = WayCounters()
        result.codes = result.codes.indices.map { read(at: at, index: $0) }
        result.errors = read(at: at, index: Int(ABI_WAY_ERRORS.rawValue))
        result.retries = read(at: at, index: Int(ABI_WAY_RETRIES.rawValue))
        if result.requests > 0 {
            result.latency = histogram(
                at: place(base, MemoryLayout<abi_way_stats>.offset(of: \.latency)))
        }
        return result
    }

    private func histogram(at base: Int) -> LatencyHistogram {
        let counts = place(base, MemoryLayout<abi_histogram>.offset(of: \.counts))
        var result = LatencyHistogram()
        result.sumMicroseconds = read(
            at: place(base, MemoryLayout<abi_histogram>.offset(of: \.sum_us)))
        result.counts = (0..<LatencyHistogram.buckets).map { read(at: counts, index: $0) }
        return result
    }

    private var stats: UnsafePointer<abi_stats> {
        // The mapping is abi_stats_size() bytes: init has made sure.
        UnsafePointer(mapping.start.assumingMemoryBound(to: abi_stats.self))
    }

    private func place(_ base: Int, _ offset: Int?) -> Int {
        guard let offset else { fatalError("a stored member of a C struct has an offset") }
        return base + offset
    }

    private func read(at: Int?, index: Int = 0) -> UInt64 {
        let offset = place(index * MemoryLayout<UInt64>.stride, at)
        precondition(offset + MemoryLayout<UInt64>.size <= mapping.size, "inside the region")
        return abi_stat_get((mapping.start + offset).assumingMemoryBound(to: UInt64.self))
    }
}
