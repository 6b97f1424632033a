import Foundation
import MeshIdentity
import Testing

@Suite struct LeafScheduleTests {
    private let start = Date(timeIntervalSince1970: 1_000_000)

    private func schedule(_ random: inout some RandomNumberGenerator) -> LeafSchedule {
        LeafSchedule(notBefore: start, notAfter: start + 1000, using: &random)
    }

    @Test func renewalLiesBetween60And90PercentAndIsSpread() {
        var random = SeededGenerator()
        let points = (0..<2000).map { _ in
            schedule(&random).renewal.timeIntervalSince(start)
        }
        #expect(points.allSatisfy { (600...900).contains($0) })
        for part in 0..<6 {
            let low = 600 + Double(part) * 50
            let share = points.count { (low..<low + 50).contains($0) }
            #expect((200...470).contains(share), "\(low): \(share)")
        }
    }

    @Test func statesFollowTheClock() {
        var random = SeededGenerator()
        let schedule = schedule(&random)
        #expect(schedule.state(now: start) == .fresh(until: schedule.renewal))
        #expect(schedule.state(now: schedule.renewal - 0.001) == .fresh(until: schedule.renewal))
        #expect(schedule.state(now: schedule.renewal) == .due)
        #expect(schedule.state(now: start + 999.999) == .due)
        #expect(schedule.state(now: start + 1000) == .expired)
    }

    @Test func aChangeOfRootsBringsRenewalForwardButNeverDelaysIt() {
        var random = SeededGenerator()
        var early = schedule(&random)
        early.rootChanged(now: start + 10, using: &random)
        #expect((10...40).contains(early.renewal.timeIntervalSince(start)))
        var late = schedule(&random)
        let planned = late.renewal
        late.rootChanged(now: start + 950, using: &random)
        #expect(late.renewal == planned)
    }

    @Test func failuresAreRetriedAtGrowingDistances() {
        var random = SeededGenerator()
        var schedule = schedule(&random)
        for (failures, delay) in [(1, 1.0), (2, 5), (5, 300), (6, 300), (1000, 300), (0, 1)] {
            schedule.renewalFailed(now: start, failures: failures)
            #expect(schedule.renewal == start + delay)
        }
    }

    @Test func aLeafWithoutALifeIsExpired() {
        var random = SeededGenerator()
        let schedule = LeafSchedule(notBefore: start, notAfter: start - 5, using: &random)
        #expect(schedule.state(now: start) == .expired)
    }
}

@Suite struct TicketKeyTests {
    private let start = Date(timeIntervalSince1970: 1_000_000)

    @Test func aKeyPacksIntoEightyBytesAndBack() throws {
        var random = SeededGenerator()
        let key = TicketKey.make(now: start, using: &random)
        #expect(key.packed.exposed.count == 80)
        #expect(key.packed.exposed.prefix(16).elementsEqual(key.name))
        #expect(try TicketKey(packed: key.packed, createdAt: start) == key)
        for size in [0, 79, 81] {
            #expect(throws: (any Error).self) {
                try TicketKey(
                    packed: SecretBytes([UInt8](repeating: 0, count: size)), createdAt: start)
            }
        }
    }

    private static let halfDay: TimeInterval = 43200

    @Test func theNextKeyIsKnownAPeriodBeforeItMakesTickets() {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start, period: Self.halfDay, using: &random)
        let next = ring.keys[0]
        let first = ring.keys[1]
        #expect(ring.inUse == [first, next] && first.name != next.name)
        #expect(ring.nextChange == start + Self.halfDay)
        #expect(!ring.rotate(now: start + Self.halfDay - 1, using: &random))
        #expect(ring.rotate(now: start + Self.halfDay, using: &random))
        #expect(ring.inUse == [next, ring.keys[0], first])
        #expect(Set(ring.keys.map(\.name)).count == 3)
    }

    @Test func anOldKeyOpensTicketsUntilTheLastOneHasExpired() {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start, period: Self.halfDay, using: &random)
        let rotated = start + Self.halfDay + 5
        #expect(ring.rotate(now: rotated, using: &random))
        #expect(ring.ticketLifetime == 3600 && ring.nextChange == rotated + 3600)
        #expect(!ring.rotate(now: rotated + 3599, using: &random))
        #expect(ring.rotate(now: rotated + 3600, using: &random))
        #expect(ring.keys.count == 2 && ring.nextChange == rotated + Self.halfDay)
    }

    @Test func afterALongPauseTheKeyThatJustServedStillOpensTickets() {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start, period: Self.halfDay, using: &random)
        let served = ring.inUse[0]
        #expect(ring.rotate(now: start + 100_000, using: &random))
        #expect(ring.inUse.last == served && ring.nextChange == start + 103_600)
    }

    /// The data plane takes eight keys at most.
    @Test(arguments: [2.0, 60, 3600, 43200, 2_592_000])
    func thereAreNeverManyKeys(_ period: TimeInterval) {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start, period: period, using: &random)
        var most = 0
        var now = start
        for _ in 0..<100 {
            now = ring.nextChange
            #expect(ring.rotate(now: now, using: &random))
            most = max(most, ring.inUse.count)
        }
        #expect((3...8).contains(most))
    }

    @Test func aClockThatWasAheadDoesNotHoldTheRotationUp() {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start + 1_000_000, period: Self.halfDay, using: &random)
        #expect(ring.rotate(now: start, using: &random))
        #expect(ring.nextChange <= start + Self.halfDay)
    }

    @Test func aStoredRingComesBack() {
        var random = SeededGenerator()
        var ring = TicketKeyRing(now: start, period: Self.halfDay, using: &random)
        _ = ring.rotate(now: start + Self.halfDay, using: &random)
        #expect(TicketKeyRing(keys: ring.keys, period: Self.halfDay) == ring)
        #expect(TicketKeyRing(keys: [], period: Self.halfDay) == nil)
        #expect(TicketKeyRing(keys: [ring.keys[0]], period: Self.halfDay) == nil)
    }
}
