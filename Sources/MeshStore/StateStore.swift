package import MeshModel

/// Where the control plane keeps what must not be lost.
///
/// Reads are served from memory and never wait. A write is on disk before it is seen by any reader,
/// by a waiter or by its own caller. There is one index over everything: each write that changes
/// something gets the next number.
package protocol StateStore: Sendable {
    /// Everything as it is now. Cheap to take; hold it no longer than needed.
    var snapshot: StoreState { get }

    /// Runs one write. All of it happens, or nothing when it throws or cannot be stored. Writes of
    /// several callers are stored together. A cancelled caller's write is finished all the same.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (inout StoreDraft) throws -> Value
    ) async throws -> Value

    /// The index of the last change of what is watched; never 0.
    func index(of watch: Watch) -> Index

    /// Waits until what is watched has changed after an index, and gives the index of the change;
    /// at the deadline the present one. Throws `CancellationError` when the task is cancelled.
    func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?
    ) async throws -> Index

    /// The same without a task that waits, for thousands that do: `wake` is called once, on any
    /// thread, with what the other gives, at once when there is something already. Gives the
    /// waiter's number.
    func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?,
        _ wake: @escaping @Sendable (Index) -> Void
    ) -> UInt64

    /// Calls a waiter no more; false: it has been called, or is about to be.
    func forget(_ waiter: UInt64) -> Bool

    /// How many wait.
    var waiting: Int { get }

    /// Writes what is pending and closes files.
    func close() async throws
}

extension StateStore {
    /// The same however long it takes.
    package func wait(after index: Index, on watch: Watch) async throws -> Index {
        try await wait(after: index, on: watch, until: nil)
    }

    /// The same, but no longer than this.
    package func wait(
        after index: Index, on watch: Watch, upTo limit: Duration
    ) async throws -> Index {
        try await wait(after: index, on: watch, until: .now + limit)
    }

    /// The indexes of changes after an index, as they happen. A reader that is slower than the
    /// writes sees the last of several.
    package func changes(on watch: Watch, after index: Index = .zero) -> StoreChanges {
        StoreChanges(store: self, watch: watch, after: index)
    }
}

/// Changes of what is watched. Ends when the task is cancelled.
package struct StoreChanges: AsyncSequence, Sendable {
    let store: any StateStore
    let watch: Watch
    let after: Index

    package struct Iterator: AsyncIteratorProtocol {
        let store: any StateStore
        let watch: Watch
        var seen: Index

        package mutating func next() async -> Index? {
            // The only thing that waiting throws is that the task was cancelled.
            guard let index = try? await store.wait(after: seen, on: watch) else { return nil }
            seen = index
            return index
        }
    }

    package func makeAsyncIterator() -> Iterator {
        Iterator(store: store, watch: watch, seen: after)
    }
}
