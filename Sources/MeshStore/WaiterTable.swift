import MeshModel

/// Who waits for what: found by what has changed, and by when their time is over. Pure: the board
/// resumes those that are taken out.
struct WaiterTable {
    struct Waiter {
        let watch: Watch
        /// Changes up to this one are known to it.
        let after: Index
        let deadline: ContinuousClock.Instant?
        /// Called once, with the index of the change or the present one.
        let wake: @Sendable (Result<Index, any Error>) -> Void
    }

    private struct Deadline {
        let instant: ContinuousClock.Instant
        let number: UInt64
    }

    private var waiters: [UInt64: Waiter] = [:]
    private var next: UInt64 = 0
    // The same waiters by what they wait for.
    private var byTopic: [StoreTopic: Set<UInt64>] = [:]
    private var byKey: [Touched: Set<UInt64>] = [:]
    private var byPrefix: [Touched: Set<UInt64>] = [:]
    /// How many waiters have a prefix of so many bytes.
    private var prefixLengths: [Int: Int] = [:]
    /// A heap, the earliest first. Those of waiters that are gone stay until it is cleaned.
    private var deadlines: [Deadline] = []

    var count: Int { waiters.count }

    /// A name for a waiter that is about to come.
    mutating func newNumber() -> UInt64 {
        next += 1
        return next
    }

    // MARK: - coming and going

    mutating func add(_ number: UInt64, _ waiter: Waiter) {
        waiters[number] = waiter
        index(number, waiter.watch, isThere: true)
        guard let instant = waiter.deadline else { return }
        push(Deadline(instant: instant, number: number))
        // Most waiters are woken long before their time.
        if deadlines.count > 2 * waiters.count + 64 { cleanDeadlines() }
    }

    mutating func remove(_ number: UInt64) -> Waiter? {
        guard let waiter = waiters.removeValue(forKey: number) else { return nil }
        index(number, waiter.watch, isThere: false)
        return waiter
    }

    private mutating func index(_ number: UInt64, _ watch: Watch, isThere: Bool) {
        func note(_ set: inout Set<UInt64>?) {
            if isThere {
                set = set ?? []
                set?.insert(number)
            } else {
                set?.remove(number)
                if set?.isEmpty == true { set = nil }
            }
        }
        for topic in watch.topics {
            switch watch.scope {
            case .all: note(&byTopic[topic])
            case .key(let key): note(&byKey[Touched(topic, key)])
            case .keys(let keys): for key in keys { note(&byKey[Touched(topic, key)]) }
            case .prefix(let prefix):
                note(&byPrefix[Touched(topic, prefix)])
                let length = prefix.utf8.count
                let number = prefixLengths[length, default: 0] + (isThere ? 1 : -1)
                prefixLengths[length] = number == 0 ? nil : number
            }
        }
    }

    // MARK: - waking

    /// Takes out whom these changes concern, each with the last of them.
    mutating func take(_ touched: [Touched: Index]) -> [(Waiter, Index)] {
        var hits: [UInt64: Index] = [:]
        func hit(_ numbers: Set<UInt64>?, _ index: Index) {
            for number in numbers ?? [] {
                guard let waiter = waiters[number], waiter.after < index else { continue }
                hits[number] = max(index, hits[number] ?? index)
            }
        }
        for (object, index) in touched {
            hit(byTopic[object.topic], index)
            hit(byKey[object], index)
            for length in prefixLengths.keys where length <= object.key.utf8.count {
                let prefix = String(decoding: object.key.utf8.prefix(length), as: UTF8.self)
                hit(byPrefix[Touched(object.topic, prefix)], index)
            }
        }
        return hits.compactMap { number, index in remove(number).map { ($0, index) } }
    }

    /// Takes out those whose time is over.
    mutating func takeDue(now: ContinuousClock.Instant) -> [Waiter] {
        var due: [Waiter] = []
        while let first = deadlines.first, first.instant <= now {
            pop()
            if let waiter = remove(first.number) { due.append(waiter) }
        }
        return due
    }

    /// When somebody's time may be over next.
    var nextDeadline: ContinuousClock.Instant? { deadlines.first?.instant }

    // MARK: - the heap

    private mutating func cleanDeadlines() {
        let old = deadlines
        deadlines = []
        for deadline in old where waiters[deadline.number] != nil { push(deadline) }
    }

    private mutating func push(_ deadline: Deadline) {
        var place = deadlines.count
        deadlines.append(deadline)
        while place > 0 {
            let parent = (place - 1) / 2
            guard deadlines[place].instant < deadlines[parent].instant else { return }
            deadlines.swapAt(place, parent)
            place = parent
        }
    }

    private mutating func pop() {
        deadlines.swapAt(0, deadlines.count - 1)
        deadlines.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < deadlines.count && deadlines[child].instant < deadlines[least].instant {
                least = child
            }
            guard least != place else { return }
            deadlines.swapAt(place, least)
            place = least
        }
    }
}
