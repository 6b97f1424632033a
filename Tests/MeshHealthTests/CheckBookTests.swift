import MeshModel
import Testing

@testable import MeshHealth

@Suite struct CheckBookTests {
    private let start = ContinuousClock.now
    private let web = try? ServiceID("web")

    /// Always the same numbers: a schedule can be told beforehand.
    private struct Dice: RandomNumberGenerator {
        var state: UInt64 = 42
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state
        }
    }

    private func spec(_ id: String, _ definition: CheckDefinition) throws -> CheckSpec {
        CheckSpec(id: id, service: try #require(web), definition: definition)
    }

    private func tcp(_ id: String, interval: MeshDuration = .seconds(10)) throws -> CheckSpec {
        try spec(id, CheckDefinition(tcp: "127.0.0.1:1", interval: interval))
    }

    private func ttl(_ id: String, after: MeshDuration? = nil) throws -> CheckSpec {
        try spec(
            id,
            CheckDefinition(ttl: .seconds(30), deregisterCriticalServiceAfter: after))
    }

    private func events(
        _ book: inout CheckBook, after seconds: Int
    ) -> [HealthEvent] { book.due(now: start + .seconds(seconds), room: 9).events }

    private func attempts(
        _ book: inout CheckBook, after pause: Duration, room: Int = 100
    ) -> [CheckBook.Attempt] { book.due(now: start + pause, room: room).attempts }

    @Test func firstAttemptsAreSpreadOverAQuarterOfTheInterval() throws {
        var dice = Dice()
        var book = CheckBook()
        let specs = try (0..<100).map { try tcp("c\($0)", interval: .seconds(2)) }
        book.configure(specs, now: start, using: &dice)
        #expect(attempts(&book, after: .milliseconds(1)).count < 20)
        let half = book.due(now: start + .milliseconds(250), room: 100).attempts.count
        #expect((20...80).contains(half))
        _ = book.due(now: start + .milliseconds(500), room: 100)
        #expect(book.next == nil)
    }

    @Test func attemptsAreBoundedAndNoneIsLost() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure(try (0..<10).map { try tcp("c\($0)") }, now: start, using: &dice)
        let now = start + .seconds(5)
        var sizes: [Int] = []
        for room in [4, 4, 4] { sizes.append(book.due(now: now, room: room).attempts.count) }
        #expect(sizes == [4, 4, 2])
    }

    @Test func aResultSchedulesTheNextAttemptAnIntervalLater() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        for round in 0..<3 {
            let now = try #require(book.next)
            let due = book.due(now: now, room: 1).attempts
            let attempt = try #require(due.first)
            let event = book.finished(
                attempt, CheckResult(.passing, "ok"), now: now, using: &dice)
            #expect((event != nil) == (round == 0))
            let pause = try #require(book.next) - now
            #expect(
                round == 0
                    ? (.seconds(5)...Duration.seconds(10)).contains(pause) : pause == .seconds(10))
        }
        #expect(book.reports.first?.status == .passing)
        #expect(book.reports.first?.isProven == true)
    }

    @Test func theFirstResultIsToldEvenIfItChangesNothing() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        #expect(book.reports.first?.isProven == false)
        let due = attempts(&book, after: .seconds(3), room: 1)
        let attempt = try #require(due.first)
        let event = book.finished(
            attempt, CheckResult(.critical, "refused"), now: start, using: &dice)
        #expect(event == .changed(try #require(web)))
    }

    @Test func aResultOfAChangedCheckDoesNotCount() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        let due = attempts(&book, after: .seconds(3), room: 1)
        let attempt = try #require(due.first)
        book.configure([try tcp("c", interval: .seconds(3))], now: start, using: &dice)
        let event = book.finished(
            attempt, CheckResult(.passing, ""), now: start, using: &dice)
        #expect(event == nil)
        #expect(book.reports.first?.status == .critical)
    }

    @Test func aChangedCheckKeepsItsStatusUntilTheFirstResult() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        let due = attempts(&book, after: .seconds(3), room: 1)
        let attempt = try #require(due.first)
        _ = book.finished(attempt, CheckResult(.passing, ""), now: start, using: &dice)
        book.configure([try tcp("c", interval: .seconds(3))], now: start, using: &dice)
        #expect(book.reports.first?.status == .passing)
        #expect(book.reports.first?.isProven == false)
    }

    @Test func anUnchangedCheckGoesOnUndisturbed() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        let next = book.next
        book.configure([try tcp("c")], now: start + .seconds(1), using: &dice)
        #expect(book.next == next)
    }

    @Test func aServiceThatDoesNotReportTurnsCritical() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try ttl("t")], now: start, using: &dice)
        let event = try book.reported(
            check: "t", CheckResult(.passing, "fine"), now: start + .seconds(20))
        #expect(event == .changed(try #require(web)))
        #expect(events(&book, after: 49) == [])
        #expect(
            events(&book, after: 50) == [.changed(try #require(web))])
        #expect(book.reports.first?.status == .critical)
    }

    @Test func aReportForAnotherKindOfCheckIsRefused() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try tcp("c")], now: start, using: &dice)
        for id in ["c", "none"] {
            #expect(throws: MeshError.self) {
                try book.reported(check: id, CheckResult(.passing, ""), now: start)
            }
        }
    }

    @Test func whatStaysCriticalIsTakenOut() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try ttl("t", after: .seconds(60))], now: start, using: &dice)
        _ = try book.reported(check: "t", CheckResult(.passing, ""), now: start)
        _ = book.due(now: start + .seconds(30), room: 9)
        #expect(events(&book, after: 89) == [])
        #expect(
            events(&book, after: 90)
                == [.expired(try #require(web), check: "t")])
    }

    @Test func whatRecoversIsNotTakenOut() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try ttl("t", after: .seconds(60))], now: start, using: &dice)
        _ = book.due(now: start + .seconds(30), room: 9)
        _ = try book.reported(check: "t", CheckResult(.passing, ""), now: start + .seconds(59))
        #expect(
            !events(&book, after: 61).contains(
                .expired(try #require(web), check: "t")))
    }

    @Test func theQueueGivesTheEarliestFirst() {
        var dice = Dice()
        var queue = DueQueue<Int>()
        let dues = (0..<200).map { _ in Int.random(in: 0..<1000, using: &dice) }
        for due in dues { queue.insert(due, due: start + .milliseconds(due)) }
        var taken: [Int] = []
        while let item = queue.take(now: start + .seconds(1)) { taken.append(item) }
        #expect(taken == dues.sorted())
        #expect(queue.count == 0)
    }

    @Test func checksOfOneServiceLeaveOthersAlone() throws {
        var dice = Dice()
        var book = CheckBook()
        let (a, b) = (try ServiceID("a"), try ServiceID("b"))
        func check(_ id: String, of service: ServiceID) -> CheckSpec {
            CheckSpec(
                id: id, service: service,
                definition: CheckDefinition(ttl: .seconds(30), status: .passing))
        }
        book.configure([check("a1", of: a), check("b1", of: b)], now: start, using: &dice)
        _ = try book.reported(check: "b1", CheckResult(.critical, "x"), now: start)
        book.configure([check("a2", of: a)], of: [a], now: start, using: &dice)
        #expect(book.reports.map(\.spec.id) == ["a2", "b1"])
        #expect(book.standing(of: b) == HealthStanding(status: .critical, isProven: true))
        #expect(book.standing(of: a) == HealthStanding(status: .passing, isProven: false))
        book.configure([], of: [a], now: start, using: &dice)
        #expect(book.reports.map(\.spec.id) == ["b1"])
        #expect(book.standing(of: a) == .unchecked)
        // An id that two services claim is the later one's, and goes with it.
        book.configure([check("b1", of: a)], of: [a], now: start, using: &dice)
        #expect(book.statuses(of: b) == [] && book.statuses(of: a) == [.critical])
        #expect(book.standings.keys.sorted() == [a])
    }

    @Test func manyReportsTakeOnePlaceInTheQueue() throws {
        var dice = Dice()
        var book = CheckBook()
        book.configure([try ttl("t")], now: start, using: &dice)
        for second in 1...20 {
            let now = start + .seconds(second)
            _ = try book.reported(check: "t", CheckResult(.passing, ""), now: now)
        }
        #expect(events(&book, after: 30) == [])
        #expect(book.next == start + .seconds(50))
        #expect(events(&book, after: 49) == [])
        #expect(events(&book, after: 50).count == 1)
        #expect(book.next == nil)
    }
}
