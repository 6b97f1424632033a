/// Which generations workers may still hold. A slot of the overlay, or of the statistics, may get a
/// new meaning only when no worker holds a generation that gave it the old one.
///
/// Pure. What was before this control plane connected is not known in detail: a worker adopted at
/// generation 7 may hold any up to 7, until it says that it holds one only, or is replaced.
package struct GenerationLedger: Sendable {
    private struct Holdings {
        var committed: Set<UInt64> = []
        /// May hold any generation up to this one; 0: known in detail.
        var unknownThrough: UInt64 = 0
    }
    private var workers: [Int: Holdings] = [:]

    package init() {}

    /// A worker that was running before has been met.
    mutating func adopted(_ worker: Int, generation: UInt64) {
        workers[worker] = Holdings(
            committed: generation == 0 ? [] : [generation], unknownThrough: generation)
    }

    /// The worker's process is gone, and all that it held with it.
    mutating func replaced(_ worker: Int) {
        workers[worker] = Holdings()
    }

    mutating func committed(_ worker: Int, generation: UInt64) {
        workers[worker, default: Holdings()].committed.insert(generation)
    }

    mutating func released(_ worker: Int, generation: UInt64) {
        workers[worker, default: Holdings()].committed.remove(generation)
    }

    /// The worker holds a single generation, the live one.
    mutating func holdsOne(_ worker: Int) {
        workers[worker]?.unknownThrough = 0
        if let newest = workers[worker]?.committed.max() { workers[worker]?.committed = [newest] }
    }

    /// Workers that may hold something older than they say.
    var uncertain: [Int] {
        workers.filter { $0.value.unknownThrough != 0 }.keys.sorted()
    }

    /// Whether no worker may hold `generation` or an older one.
    package func isReleased(through generation: UInt64) -> Bool {
        workers.values.allSatisfy { holdings in
            let known = holdings.committed.allSatisfy { $0 > generation }
            return known && holdings.unknownThrough == 0
        }
    }
}
