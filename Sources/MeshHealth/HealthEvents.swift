import Synchronization

/// What health monitoring has to tell, for one reader. Never more than one event of each kind about
/// a check: who reads late hears of a service once, and looks up how it stands then.
package final class HealthEvents: AsyncSequence, Sendable {
    package typealias Element = HealthEvent

    private struct State {
        var waiting: [HealthEvent] = []
        /// Before it, they have been taken.
        var first = 0
        var known: Set<HealthEvent> = []
        var isOver = false

        mutating func take() -> HealthEvent? {
            guard first < waiting.count else { return nil }
            let event = waiting[first]
            first += 1
            known.remove(event)
            if first == waiting.count || first > 1024 {
                waiting.removeFirst(first)
                first = 0
            }
            return event
        }
    }

    private let state = Mutex(State())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init() {
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// How many wait to be read.
    var count: Int { state.withLock { $0.waiting.count - $0.first } }

    func tell(_ event: HealthEvent) {
        let isNew = state.withLock { state in
            guard !state.isOver, state.known.insert(event).inserted else { return false }
            state.waiting.append(event)
            return true
        }
        if isNew { wake.yield() }
    }

    /// What waits is still read.
    func finish() {
        state.withLock { $0.isOver = true }
        wake.finish()
    }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let events: HealthEvents
        fileprivate var wakes: AsyncStream<Void>.Iterator

        package mutating func next() async -> HealthEvent? {
            while true {
                if let event = events.state.withLock({ $0.take() }) { return event }
                if await wakes.next(isolation: #isolation) == nil {
                    return events.state.withLock { $0.take() }
                }
            }
        }
    }

    package func makeAsyncIterator() -> Iterator {
        Iterator(events: self, wakes: wakes.makeAsyncIterator())
    }
}
