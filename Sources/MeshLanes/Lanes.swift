import Dispatch
import Foundation
import Synchronization

/// Does pure work on many things at a time, as wide as the machine is.
///
/// Results come back in the order of the pieces that the work was cut into: what comes out depends
/// neither on which lane was the first nor, where pieces are simply put together, on how many lanes
/// there are.
package struct Lanes: Sendable {
    /// As many as the machine lends this process, and no more than are of use.
    package static let machine = Lanes(min(ProcessInfo.processInfo.activeProcessorCount, 8))

    package let count: Int
    private let greatestGrain: Int

    /// `greatestGrain` bounds what work calls its smallest piece: tests cut small work, too.
    package init(_ count: Int, greatestGrain: Int = .max) {
        precondition(count > 0 && greatestGrain > 0, "work needs a lane, and pieces of something")
        self.count = count
        self.greatestGrain = greatestGrain
    }

    /// The smallest piece of work that is worth a lane, which would be `wanted` of something.
    package func grain(_ wanted: Int) -> Int { min(wanted, greatestGrain) }

    /// Calls `body` with ranges that make up `0..<total`, each of at least `grain` unless it is all
    /// there is; gives what it returned, in the order of the ranges.
    ///
    /// The caller's thread is one of the lanes, so that the work goes on when no other is free.
    package func map<Result: Sendable>(
        _ total: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Result
    ) -> [Result] {
        // A few pieces for each lane: one that is held up holds up little.
        let pieces = count == 1 ? 1 : max(1, min(total / self.grain(grain), count * 3))
        guard pieces > 1 else { return total > 0 ? [body(0..<total)] : [] }
        let results = Mutex([Result?](repeating: nil, count: pieces))
        let next = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: min(count, pieces)) { _ in
            while true {
                let piece = next.add(1, ordering: .relaxed).oldValue
                if piece >= pieces { return }
                let range = total * piece / pieces..<total * (piece + 1) / pieces
                let result = body(range)
                results.withLock { $0[piece] = result }
            }
        }
        return results.withLock { results in
            results.map { result in
                guard let result else { fatalError("a piece of work has no result") }
                return result
            }
        }
    }

    /// Does two different things at a time. The first may change what its caller has: it is done
    /// once, and is over when this returns.
    package func both<First: Sendable, Second: Sendable>(
        _ first: () -> First, _ second: @Sendable () -> Second
    ) -> (First, Second) {
        withoutActuallyEscaping(first) { first in
            // One lane calls it, once, while the caller waits here: nobody else has what it has.
            nonisolated(unsafe) let first = first
            return bothSendable({ first() }, second)
        }
    }

    private func bothSendable<First: Sendable, Second: Sendable>(
        _ first: @Sendable () -> First, _ second: @Sendable () -> Second
    ) -> (First, Second) {
        if count == 1 { return (first(), second()) }
        let results = Mutex<(First?, Second?)>((nil, nil))
        DispatchQueue.concurrentPerform(iterations: 2) { number in
            if number == 0 {
                let result = first()
                results.withLock { $0.0 = result }
            } else {
                let result = second()
                results.withLock { $0.1 = result }
            }
        }
        guard case (let first?, let second?) = results.withLock({ $0 }) else {
            fatalError("two things were done")
        }
        return (first, second)
    }
}
