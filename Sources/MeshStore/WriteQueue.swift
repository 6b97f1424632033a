import MeshModel
import Synchronization

/// Gathers the writes of many callers into batches, which are stored one after the other.
///
/// There is no task of its own: the caller that finds the queue idle leads, stores the batch of
/// everybody who is waiting, and hands the lead to the first of those who came meanwhile. So under
/// load one synchronisation with the disk serves many writes, and a lone write waits for nobody.
final class WriteQueue: Sendable {
    /// The most writes of one transaction.
    static let batchLimit = 512

    private enum Turn {
        /// Store a batch, the own write in it.
        case lead
        /// Somebody has stored or refused the own write.
        case done
    }

    private struct Waiting {
        let write: any QueuedWrite
        /// nil for the leader's own.
        let continuation: CheckedContinuation<Turn, Never>?
    }

    private struct Contents {
        var waiting: [Waiting] = []
        var isLed = false
    }

    private let contents = Mutex(Contents())

    /// Runs `store` with batches until the own write has been in one.
    func run(
        _ write: some QueuedWrite, store: ([any QueuedWrite]) async -> Void
    ) async {
        let turn = await withCheckedContinuation { continuation in
            let leads = contents.withLock { contents in
                let leads = !contents.isLed
                contents.isLed = true
                contents.waiting.append(
                    Waiting(write: write, continuation: leads ? nil : continuation))
                return leads
            }
            if leads { continuation.resume(returning: .lead) }
        }
        guard case .lead = turn else { return }
        let batch = contents.withLock { contents in
            let batch = Array(contents.waiting.prefix(Self.batchLimit))
            contents.waiting.removeFirst(batch.count)
            return batch
        }
        await store(batch.map(\.write))
        let next = contents.withLock { contents -> CheckedContinuation<Turn, Never>? in
            guard let first = contents.waiting.first else {
                contents.isLed = false
                return nil
            }
            contents.waiting[0] = Waiting(write: first.write, continuation: nil)
            return first.continuation
        }
        for waiting in batch { waiting.continuation?.resume(returning: .done) }
        next?.resume(returning: .lead)
    }
}

/// A write that waits for its turn.
protocol QueuedWrite: AnyObject, Sendable {
    /// Makes the changes; false when the write refused, with the draft as it was.
    func perform(on draft: inout StoreDraft) -> Bool
    /// The batch could not be stored: whatever the write said does not count.
    func fail(_ error: MeshError)
}

/// A write with its result.
final class PendingWrite<Value: Sendable>: QueuedWrite {
    private let body: @Sendable (inout StoreDraft) throws -> Value
    private let result = Mutex<Result<Value, any Error>?>(nil)

    init(_ body: @escaping @Sendable (inout StoreDraft) throws -> Value) {
        self.body = body
    }

    func perform(on draft: inout StoreDraft) -> Bool {
        let start = draft.changes.count
        let index = draft.state.index
        let outcome = Result { try body(&draft) }
        result.withLock { $0 = outcome }
        switch outcome {
        case .success:
            draft.endWrite(since: start)
            return true
        case .failure:
            draft.revert(to: start, index: index)
            return false
        }
    }

    func fail(_ error: MeshError) { result.withLock { $0 = .failure(error) } }

    func outcome() throws -> Value {
        guard let result = result.withLock({ $0 }) else {
            fatalError("a write left the queue without having been performed")
        }
        return try result.get()
    }
}
