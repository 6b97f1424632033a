import CMeshABI
import CMeshShm
import Glibc
import MeshModel
import Testing

@testable import MeshWorkers

struct SharedMemoryTests {
    @Test func aSealedRegionHoldsItsBytesAndCannotChange() throws {
        let file = try SharedMemory.sealed(name: "test", bytes: [1, 2, 3])
        #expect(SharedMemory.isSealed(file))
        #expect(try SharedMemory.size(of: file) == 3)
        #expect(write(file.number, "x", 1) == -1)
        let mapping = try SharedMapping(file, size: 3)
        #expect(mapping.withBytes { Array($0) } == [1, 2, 3])
        #expect(throws: MeshError.self) { try SharedMapping(file, size: 3, writable: true) }
    }

    @Test func sizesMustFit() throws {
        #expect(throws: MeshError.self) { try SharedMemory.sealed(name: "test", bytes: []) }
        let file = try SharedMemory.sealed(name: "test", bytes: [1, 2, 3])
        #expect(throws: MeshError.self) { try SharedMapping(file, size: 4) }
        #expect(throws: MeshError.self) { try SharedMapping(file, size: 0) }
    }

    @Test func aFillThatThrowsLeavesNothingBehind() throws {
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try SharedMemory.sealed(name: "test", size: 10) { _ in throw Refused() }
        }
    }
}

struct OverlayWriterTests {
    /// An overlay as a supervisor makes it.
    static func make(magic: UInt64 = ABI_OVERLAY_MAGIC) throws -> (Descriptor, SharedMapping) {
        let size = MemoryLayout<abi_overlay>.size + 8 * Int(LIMIT_ENDPOINTS)
        let file = Descriptor(shm_create("overlay", size))
        let mapping = try SharedMapping(file, size: size, writable: true)
        var head = abi_overlay()
        head.magic = magic
        head.version = ABI_VERSION
        head.slots = LIMIT_ENDPOINTS
        mapping.withMutableBytes { $0.storeBytes(of: head, as: abi_overlay.self) }
        return (file, mapping)
    }

    private func word(_ slot: UInt32, _ mapping: SharedMapping) -> UInt64 {
        abi_overlay_get(mapping.start.assumingMemoryBound(to: abi_overlay.self), slot)
    }

    @Test func conditionsAreWords() {
        #expect(EndpointCondition.normal.word == 0)
        #expect(EndpointCondition(isDown: true).word == 1)
        #expect(EndpointCondition(isDraining: true).word == 2)
        #expect(EndpointCondition(weight: 1).word == 0x1_0000)
        #expect(EndpointCondition(isDown: true, weight: .max).word == 0xffff_0001)
        #expect(EndpointCondition(weight: 0).word == 2)  // nothing new goes there
        for word: UInt64 in [0, 1, 2, 3, 0x1_0000, 0xffff_0003] {
            #expect(EndpointCondition(word: word).word == word)
        }
    }

    @Test func whatIsSetReachesTheWorkers() throws {
        let (file, mapping) = try Self.make()
        let writer = OverlayWriter()
        #expect(writer.current(0) == nil)
        writer.set(7, EndpointCondition(isDown: true))
        try writer.attach(file)
        #expect(word(7, mapping) == 1)
        writer.set(LIMIT_ENDPOINTS - 1, EndpointCondition(weight: 300))
        #expect(word(LIMIT_ENDPOINTS - 1, mapping) == 300 << 16)
        writer.set(7, .normal)
        #expect(UInt32(truncatingIfNeeded: word(7, mapping)) == 0)
        #expect(writer.current(7) == .normal)
        #expect(writer.current(LIMIT_ENDPOINTS - 1) == EndpointCondition(weight: 300))
    }

    private func since(_ slot: UInt32, _ mapping: SharedMapping) -> UInt64 {
        word(slot, mapping) >> UInt64(ABI_OVERLAY_SINCE_SHIFT)
    }

    /// Times are of those that came back or came to others, and stay while they work.
    @Test func theTimeSinceWhenAnEndpointIsThereIsTold() throws {
        let (file, mapping) = try Self.make()
        let writer = OverlayWriter()
        try writer.attach(file)
        func set(_ slot: UInt32, _ condition: EndpointCondition, isNew: Bool = false) {
            writer.set([.init(slot: slot, condition: condition, isNew: isNew)])
        }
        let unit = UInt64(ABI_OVERLAY_SINCE_UNIT_MS)
        let now = MonotonicTime.milliseconds / unit + 1
        set(0, .normal)
        #expect(since(0, mapping) == 0)
        set(0, EndpointCondition(isDown: true))
        #expect(since(0, mapping) == 0)
        set(0, EndpointCondition(weight: 3))
        let back = since(0, mapping)
        #expect(back >= now && back <= now + 10_000 / unit)
        set(0, .normal)
        #expect(since(0, mapping) == back)
        // New among others, told twice; the time is that of the first.
        set(1, .normal, isNew: true)
        let new = since(1, mapping)
        #expect(new >= now)
        set(1, EndpointCondition(weight: 7), isNew: true)
        #expect(since(1, mapping) == new)
        #expect(writer.current(1) == EndpointCondition(weight: 7))
        // The slot of one that is gone says nothing of the next.
        writer.clear(1)
        #expect(word(1, mapping) == 0)
        set(1, .normal)
        #expect(since(1, mapping) == 0)
        set(2, EndpointCondition(isDraining: true), isNew: true)
        set(2, .normal)
        #expect(since(2, mapping) >= now)
    }

    @Test func aNewDataPlaneIsToldAgainAndOthersWordsStay() throws {
        let writer = OverlayWriter()
        try writer.attach(Self.make().0)
        writer.set(3, EndpointCondition(isDraining: true))
        let (file, mapping) = try Self.make()
        abi_overlay_set(mapping.start.assumingMemoryBound(to: abi_overlay.self), 4, 1)
        try writer.attach(file)
        #expect(word(3, mapping) == 2)
        #expect(word(4, mapping) == 1)
        #expect(writer.current(4) == EndpointCondition(isDown: true))
    }

    @Test func anotherLayoutIsRefused() throws {
        #expect(throws: MeshError.self) { try OverlayWriter().attach(Self.make(magic: 1).0) }
        let short = Descriptor(shm_create("overlay", 64))
        #expect(throws: MeshError.self) { try OverlayWriter().attach(short) }
    }
}

struct WorkerStatsTests {
    private func make(worker: UInt32 = 2) throws -> (Descriptor, UnsafeMutablePointer<abi_stats>) {
        let size = Int(abi_stats_size())
        let file = Descriptor(shm_create("stats", size))
        let base = try #require(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.number, 0))
        let stats = base.assumingMemoryBound(to: abi_stats.self)
        stats.pointee.magic = ABI_STATS_MAGIC
        stats.pointee.version = ABI_VERSION
        stats.pointee.worker = worker
        stats.pointee.listener_slots = LIMIT_LISTENERS
        stats.pointee.target_slots = LIMIT_TARGETS
        let spans = try #require(abi_stats_spans(stats))
        spans.pointee.magic = ABI_SPANS_MAGIC
        spans.pointee.version = ABI_VERSION
        spans.pointee.size = UInt32(LIMIT_SPAN_RING)
        return (file, stats)
    }

    @Test func waysOfTheirSlots() throws {
        let (file, stats) = try make()
        defer { munmap(stats, Int(abi_stats_size())) }
        let route = try #require(abi_stats_route(stats, LIMIT_ROUTE_SLOTS - 1))
        let endpoint = try #require(abi_stats_endpoint(stats, LIMIT_ENDPOINT_SLOTS - 1))
        abi_way_answered(route, 204, 3)
        abi_way_answered(route, 0, 100)
        abi_way_answered(endpoint, 503, 1)
        let region = try WorkerStatsRegion(file, worker: 2)
        let found = region.route(Int(LIMIT_ROUTE_SLOTS) - 1)
        #expect(found.codes == [0, 1, 0, 0, 0] && found.errors == 1 && found.requests == 2)
        #expect(found.latency.count == 2 && found.latency.sumMicroseconds == 103)
        #expect(region.endpoint(Int(LIMIT_ENDPOINT_SLOTS) - 1).codes == [0, 0, 0, 0, 1])
        #expect(region.endpoint(0).requests == 0)
    }

    /// Writes one more into every 64-bit counter in [at, at + count * 8), counting from 1.
    private func number(_ base: UnsafeMutableRawPointer, count: Int) {
        for index in 0..<count {
            base.storeBytes(of: UInt64(index + 1), toByteOffset: 8 * index, as: UInt64.self)
        }
    }

    @Test func everyCounterOfAProcessIsReadFromItsPlace() throws {
        let (file, stats) = try make()
        let base = UnsafeMutableRawPointer(stats)
        let at = try #require(MemoryLayout<abi_stats>.offset(of: \.counters))
        number(base + at, count: Int(ABI_WORKER_STAT_COUNT.rawValue))
        let counters = try WorkerStatsRegion(file, worker: 2).counters()
        let values = Mirror(reflecting: counters).children.compactMap { $0.value as? UInt64 }
        #expect(values == Array(1...UInt64(ABI_WORKER_STAT_COUNT.rawValue)))
    }

    @Test func everyCounterOfAListenerIsReadFromItsPlace() throws {
        let (file, stats) = try make()
        let slot = UInt32(LIMIT_LISTENERS - 1)
        let record = UnsafeMutableRawPointer(abi_stats_listener(stats, slot)!)
        number(record, count: MemoryLayout<abi_listener_stats>.size / 8)
        let found = try WorkerStatsRegion(file, worker: 2).listener(Int(slot))
        #expect(found.accepted == UInt64(ABI_LISTENER_ACCEPTED.rawValue) + 1)
        #expect(found.open == UInt64(ABI_LISTENER_OPEN.rawValue) + 1)
        #expect(found.bytesIn == UInt64(ABI_LISTENER_BYTES_IN.rawValue) + 1)
        #expect(found.denied == UInt64(ABI_LISTENER_DENIED.rawValue) + 1)
        #expect(found.requests == UInt64(ABI_LISTENER_REQUESTS.rawValue) + 1)
        #expect(found.codes[0] == UInt64(ABI_LISTENER_CODE_1XX.rawValue) + 1)
        #expect(found.codes[4] == UInt64(ABI_LISTENER_CODE_5XX.rawValue) + 1)
        let counters = UInt64(ABI_LISTENER_STAT_COUNT.rawValue)
        let outcomes = UInt64(ABI_OUTCOME_COUNT.rawValue)
        #expect(found.outcomes == Array(counters + 1...counters + outcomes))
        #expect(found.latency.sumMicroseconds == counters + outcomes + 1)
        #expect(found.latency.counts.first == counters + outcomes + 2)
        #expect(found.latency.counts.count == Int(ABI_HISTOGRAM_BUCKETS))
    }

    @Test func everyCounterOfATargetIsReadFromItsPlace() throws {
        let (file, stats) = try make()
        let slot = UInt32(LIMIT_TARGETS - 1)
        let record = UnsafeMutableRawPointer(abi_stats_target(stats, slot)!)
        number(record, count: MemoryLayout<abi_target_stats>.size / 8)
        let found = try WorkerStatsRegion(file, worker: 2).target(Int(slot))
        #expect(found.connects == UInt64(ABI_TARGET_CONNECTS.rawValue) + 1)
        #expect(found.open == UInt64(ABI_TARGET_OPEN.rawValue) + 1)
        #expect(found.codes[3] == UInt64(ABI_TARGET_CODE_5XX.rawValue) + 1)
        #expect(found.resets == UInt64(ABI_TARGET_RESETS.rawValue) + 1)
        let counters = UInt64(ABI_TARGET_STAT_COUNT.rawValue)
        let outcomes = UInt64(ABI_OUTCOME_COUNT.rawValue)
        #expect(found.outcomes == Array(counters + 1...counters + outcomes))
        #expect(found.latency.sumMicroseconds == counters + outcomes + 1)
        #expect(try WorkerStatsRegion(file, worker: 2).target(0) == TargetCounters())
    }

    @Test func outcomesHaveNamesForEveryNumber() {
        #expect(RequestOutcome.allCases.count == Int(ABI_OUTCOME_COUNT.rawValue))
        for (number, outcome) in RequestOutcome.allCases.enumerated() {
            #expect(String(cString: abi_outcome_name(UInt32(number))) == outcome.rawValue)
        }
    }

    @Test func bucketsHoldWhatTheirBoundsSay() {
        for microseconds: UInt64 in [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 999, 1_000_000] {
            let bucket = Int(abi_histogram_bucket(microseconds))
            let upper = LatencyHistogram.upperBound(bucket) ?? .infinity
            #expect(Double(microseconds) < upper)
            if bucket > 0 {
                let lower = LatencyHistogram.upperBound(bucket - 1) ?? .infinity
                #expect(Double(microseconds) >= lower || microseconds == 1)
            }
        }
        #expect(LatencyHistogram.upperBound(LatencyHistogram.buckets - 1) == nil)
        #expect(LatencyHistogram.upperBound(LatencyHistogram.buckets - 2) != nil)
    }

    @Test func workersAddUp() {
        var total = ListenerCounters()
        var one = ListenerCounters()
        one.requests = 3
        one.codes[1] = 2
        one.outcomes[2] = 1
        one.latency.counts[4] = 9
        total += one
        total += one
        #expect(total.requests == 6)
        #expect(total.codes[1] == 4)
        #expect(total.outcomes[2] == 2)
        #expect(total.latency.count == 18)
        var targets = TargetCounters()
        var target = TargetCounters()
        target.retries = 4
        target.codes[0] = 1
        targets += target
        targets += target
        #expect(targets.retries == 8)
        #expect(targets.codes[0] == 2)
    }

    @Test func theRegionOfAnotherWorkerOrLayoutIsRefused() throws {
        let (file, stats) = try make(worker: 1)
        #expect(throws: MeshError.self) { try WorkerStatsRegion(file, worker: 2) }
        stats.pointee.target_slots -= 1
        #expect(throws: MeshError.self) { try WorkerStatsRegion(file, worker: 1) }
    }
}
