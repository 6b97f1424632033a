import MeshModel
import Synchronization

/// The state that readers see, and those who wait for it to change.
final class Board: Sendable {
    private struct Waiter {
        let watch: Watch
        let after: Index
        let continuation: CheckedContinuation<Index, any Error>
    }

    private struct Contents {
        var state: StoreState
        var indexes: [StoreTopic: ChangeIndex]
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0

        func index(of watch: Watch) -> Index {
            // 0 is what a client sends that knows nothing yet; an answer must be above it.
            watch.topics.reduce(Index(1)) { result, topic in
                max(result, indexes[topic]?.index(of: watch.scope) ?? .zero)
            }
        }
    }

    private let contents: Mutex<Contents>

    init(_ state: StoreState) {
        var indexes: [StoreTopic: ChangeIndex] = [:]
        for topic in StoreTopic.allCases { indexes[topic] = ChangeIndex(start: state.index) }
        for (topic, key, index) in state.history { indexes[topic]?.load(key, index) }
        contents = Mutex(Contents(state: state, indexes: indexes))
    }

    var snapshot: StoreState { contents.withLock { $0.state } }

    func index(of watch: Watch) -> Index { contents.withLock { $0.index(of: watch) } }

    /// Shows what has been stored, and wakes who waited for it.
    func publish(_ writes: [(index: Index, changes: ArraySlice<Change>)]) {
        let woken = contents.withLock { contents in
            var touched: [(object: Touched, index: Index)] = []
            for write in writes {
                for change in write.changes {
                    contents.state.apply(change)
                    contents.state.recent.note(change, at: write.index)
                    for (object, isGone) in change.touched {
                        contents.indexes[object.topic]?.note(
                            object.key, write.index, isGone: isGone)
                        touched.append((object, write.index))
                    }
                }
                contents.state.index = write.index
            }
            return Self.take(&contents, touched)
        }
        for (waiter, index) in woken { waiter.continuation.resume(returning: index) }
    }

    private static func take(
        _ contents: inout Contents, _ touched: [(object: Touched, index: Index)]
    ) -> [(Waiter, Index)] {
        var woken: [(Waiter, Index)] = []
        for (number, waiter) in contents.waiters {
            let hit = touched.last { $0.index > waiter.after && waiter.watch.covers($0.object) }
            guard let hit else { continue }
            contents.waiters[number] = nil
            woken.append((waiter, hit.index))
        }
        return woken
    }

    func wait(after index: Index, on watch: Watch) async throws -> Index {
        let number = contents.withLock { contents in
            contents.nextWaiter += 1
            return contents.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let present: Result<Index, any Error>? = contents.withLock { contents in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let present = contents.index(of: watch)
                    if present > index { return .success(present) }
                    contents.waiters[number] = Waiter(
                        watch: watch, after: index, continuation: continuation)
                    return nil
                }
                if let present { continuation.resume(with: present) }
            }
        } onCancel: {
            let waiter = contents.withLock { $0.waiters.removeValue(forKey: number) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

extension StoreState {
    /// When each stored object last changed.
    fileprivate var history: [(StoreTopic, String, Index)] {
        var all: [(StoreTopic, String, Index)] = []
        for record in storedServices.values {
            for object in Change.concerned(by: record.definition) {
                all.append((object.topic, object.key, record.modifyIndex))
            }
        }
        all += storedEntries.map { (.configEntries, Change.key($0.key), $0.value.modifyIndex) }
        for (key, intention) in storedIntentions {
            for (object, _) in Change.intention(key, isGone: false) {
                all.append((object.topic, object.key, intention.modifyIndex))
            }
        }
        all += keyValues.values.map { (.keyValues, $0.key, $0.modifyIndex) }
        all += sessionRecords.map { (.sessions, $0.key, $0.value.modifyIndex) }
        all += queryRecords.map { (.preparedQueries, $0.key, $0.value.modifyIndex) }
        all += policyRecords.map { (.policies, $0.key, $0.value.modifyIndex) }
        all += tokenRecords.map { (.tokens, $0.key, $0.value.modifyIndex) }
        for (key, record) in catalogNodes {
            for (object, _) in Change.catalogNode(key, nil, record.value) {
                all.append((object.topic, object.key, record.modifyIndex))
            }
        }
        all += rootRecords.values.map { (.roots, $0.id, $0.modifyIndex) }
        all += leafRecords.values.map { (.leaves, $0.id.uri, $0.modifyIndex) }
        all += secretRecords.values.map { (.secrets, $0.name, $0.modifyIndex) }
        return all
    }
}
