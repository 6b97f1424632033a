/// What waits to be sent to a collector, and when it is sent: batches, one at a time, the same one
/// again after a pause that grows. Pure: time is a parameter, in seconds of any clock that never
/// goes back.
package struct SpanDelivery: Sendable {
    /// Spans that wait besides those under way.
    package static let capacity = 8192
    package static let batchSize = 512
    /// How long a part of a batch waits for more.
    package static let patience = 1.0
    package static let firstPause = 1.0
    package static let longestPause = 30.0
    /// A batch that could not be delivered for so long is given up.
    package static let longestTry = 300.0

    private enum State: Sendable {
        /// Nothing is under way.
        case idle
        /// These are at the collector, which has not answered.
        case sending([TraceSpan], tries: Int, since: Double)
        /// These are to be sent again.
        case waiting([TraceSpan], tries: Int, since: Double, until: Double)
    }

    private var state = State.idle
    private var queue: [TraceSpan] = []
    /// When the oldest of the queue came.
    private var oldest = 0.0

    package init() {}

    /// Spans that can be added.
    package var room: Int { Self.capacity - queue.count }

    /// Nothing waits and nothing is under way.
    package var isEmpty: Bool {
        guard case .idle = state else { return false }
        return queue.isEmpty
    }

    /// Adds as many as there is room for.
    package mutating func add(_ spans: [TraceSpan], now: Double) {
        if queue.isEmpty { oldest = now }
        queue.append(contentsOf: spans.prefix(room))
    }

    /// The batch that is to be sent now, if there is one. `flush`: nothing more is coming, pauses
    /// are cut short.
    package mutating func next(now: Double, flush: Bool = false) -> [TraceSpan]? {
        switch state {
        case .sending:
            return nil
        case .waiting(let batch, let tries, let since, let until):
            guard flush || now >= until else { return nil }
            state = .sending(batch, tries: tries, since: since)
            return batch
        case .idle:
            let isDue = queue.count >= Self.batchSize || flush || now - oldest >= Self.patience
            guard !queue.isEmpty, isDue else { return nil }
            let batch = Array(queue.prefix(Self.batchSize))
            queue.removeFirst(batch.count)
            oldest = now
            state = .sending(batch, tries: 0, since: now)
            return batch
        }
    }

    /// How the batch under way ended.
    package enum End: Sendable, Equatable {
        case delivered(Int)
        /// It is sent again after so many seconds.
        case again(after: Double)
        /// It was refused for good.
        case refused(Int)
        /// It was tried for too long.
        case givenUp(Int)
    }

    /// The collector has answered; nil: it could not be asked. `chance` is in 0 to 1: collectors
    /// that come back are not met by everybody at once.
    package mutating func answered(_ answer: OTLPAnswer?, now: Double, chance: Double) -> End {
        guard case .sending(let batch, let tries, let since) = state else {
            fatalError("an answer without a batch under way: \(state)")
        }
        state = .idle
        switch answer {
        case .taken(let rejected, _):
            return .delivered(batch.count - Int(min(rejected, UInt64(batch.count))))
        case .refused:
            return .refused(batch.count)
        case .later(after: let told?):
            return wait(batch, tries, since, now, told / .seconds(1))
        case .later(after: nil), nil:
            let grown = min(Self.longestPause, Self.firstPause * Double(1 << min(tries, 10)))
            return wait(batch, tries, since, now, grown * (0.5 + 0.5 * chance))
        }
    }

    private mutating func wait(
        _ batch: [TraceSpan], _ tries: Int, _ since: Double, _ now: Double, _ pause: Double
    ) -> End {
        guard now + pause - since <= Self.longestTry else { return .givenUp(batch.count) }
        state = .waiting(batch, tries: tries + 1, since: since, until: now + pause)
        return .again(after: pause)
    }

    /// Nothing is sent any more: how many spans are lost with that.
    package mutating func abandon() -> Int {
        var count = queue.count
        switch state {
        case .idle: break
        case .sending(let batch, _, _), .waiting(let batch, _, _, _): count += batch.count
        }
        (state, queue) = (.idle, [])
        return count
    }
}
