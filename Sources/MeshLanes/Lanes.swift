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
        let pieces = pieces(total, grain)
        guard pieces > 1 else { return total > 0 ? [body(0..<total)] : [] }
        return perform(pieces) { body(Self.range($0, of: pieces, total)) }
    }

    /// Does something else beside such work: what cannot be cut goes on in one lane while the
    /// others take pieces. It may change what its caller has: it is done once, is begun before the
    /// pieces, and is over when this returns.
    package func map<First: Sendable, Result: Sendable>(
        _ total: Int, grain: Int, beside first: () -> First,
        _ body: @Sendable (Range<Int>) -> Result
    ) -> (First, [Result]) {
        if count == 1 { return (first(), map(total, grain: grain, body)) }
        let pieces = total > 0 ? pieces(total, grain) : 0
        return withoutActuallyEscaping(first) { first in
            // One lane calls it, once, while the caller waits here: nobody else has what it has.
            nonisolated(unsafe) let first = first
            let done = Mutex<First?>(nil)
            let results = perform(pieces + 1) { number -> Result? in
                if number > 0 { return body(Self.range(number - 1, of: pieces, total)) }
                let result = first()
                done.withLock { $0 = result }
                return nil
            }
            guard let result = done.withLock({ $0 }) else { fatalError("one thing was done") }
            return (result, results.compactMap { $0 })
        }
    }

    /// Does two different things at a time. The first may change what its caller has, as above.
    package func both<First: Sendable, Second: Sendable>(
        _ first: () -> First, _ second: @Sendable () -> Second
    ) -> (First, Second) {
        let (first, results) = map(1, grain: 1, beside: first) { _ in second() }
        return (first, results[0])
    }

    /// How many pieces work is cut into. A few for each lane: one that is held up holds up little.
    private func pieces(_ total: Int, _ grain: Int) -> Int {
        count == 1 ? 1 : max(1, min(total / self.grain(grain), count * 3))
    }

    private static func range(_ piece: Int, of pieces: Int, _ total: Int) -> Range<Int> {
        total * piece / pieces..<total * (piece + 1) / pieces
    }

    /// Calls `body` with every number below `pieces`, the lowest ones first.
    private func perform<Result: Sendable>(
        _ pieces: Int, _ body: @Sendable (Int) -> Result
    ) -> [Result] {
        let results = Mutex([Result?](repeating: nil, count: pieces))
        let next = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: min(count, pieces)) { _ in
            while true {
                let piece = next.add(1, ordering: .relaxed).oldValue
                if piece >= pieces { return }
                let result = body(piece)
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
}
