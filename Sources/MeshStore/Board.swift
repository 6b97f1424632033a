import MeshModel
import Synchronization

/// The state that readers see, and those who wait for it to change.
final class Board: Sendable {
    private struct Contents {
        var state: StoreState
        var indexes: [StoreTopic: ChangeIndex]
        var waiters = WaiterTable()
        /// Sleeps until the earliest deadline.
        var alarm: (instant: ContinuousClock.Instant, task: Task<Void, Never>)?

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
            var touched: [Touched: Index] = [:]
            for write in writes {
                for change in write.changes {
                    contents.state.apply(change)
                    contents.state.recent.note(change, at: write.index)
                    for (object, isGone) in change.touched {
                        contents.indexes[object.topic]?.note(
                            object.key, write.index, isGone: isGone)
                        touched[object] = write.index
                    }
                }
                contents.state.index = write.index
            }
            return contents.waiters.take(touched)
        }
        for (waiter, index) in woken { waiter.wake(.success(index)) }
    }

    // MARK: - waiting

    /// Waits until what is watched has changed after an index, or until the deadline; gives the
    /// index of the change, or the present one.
    func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?
    ) async throws -> Index {
        let number = contents.withLock { $0.waiters.newNumber() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let present: Result<Index, any Error>? = contents.withLock { contents in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    let present = contents.index(of: watch)
                    if present > index { return .success(present) }
                    contents.waiters.add(
                        number,
                        WaiterTable.Waiter(
                            watch: watch, after: index, deadline: deadline,
                            wake: { continuation.resume(with: $0) }))
                    if deadline != nil { setAlarm(&contents) }
                    return nil
                }
                if let present { continuation.resume(with: present) }
            }
        } onCancel: {
            let waiter = contents.withLock { $0.waiters.remove(number) }
            waiter?.wake(.failure(CancellationError()))
        }
    }

    /// The same without anybody who waits: `wake` is called once, at once when it has changed
    /// already, with the index of the change or the present one. Gives what ``forget(_:)`` knows
    /// the waiter by.
    func wait(
        after index: Index, on watch: Watch, until deadline: ContinuousClock.Instant?,
        _ wake: @escaping @Sendable (Index) -> Void
    ) -> UInt64 {
        let (number, changed) = contents.withLock { contents -> (UInt64, Index?) in
            let number = contents.waiters.newNumber()
            let present = contents.index(of: watch)
            if present > index { return (number, present) }
            contents.waiters.add(
                number,
                WaiterTable.Waiter(
                    watch: watch, after: index, deadline: deadline,
                    wake: {
                        // Only tasks are cancelled.
                        if case .success(let index) = $0 { wake(index) }
                    }))
            if deadline != nil { setAlarm(&contents) }
            return (number, nil)
        }
        if let changed { wake(changed) }
        return number
    }

    /// Calls a waiter no more; false: it has been called, or is about to be.
    func forget(_ number: UInt64) -> Bool {
        contents.withLock { $0.waiters.remove(number) } != nil
    }

    /// How many wait.
    var waiting: Int { contents.withLock { $0.waiters.count } }

    /// Sees to it that somebody looks when the earliest deadline has come.
    private func setAlarm(_ contents: inout Contents) {
        guard let instant = contents.waiters.nextDeadline else { return }
        if let alarm = contents.alarm {
            guard instant < alarm.instant else { return }
            alarm.task.cancel()
        }
        // Waiters share one sleeper, so it is nobody's child; it ends at the deadline, or when
        // another takes its place, and does not keep the board.
        let task = Task { [weak self] in
            guard (try? await Task.sleep(until: instant, clock: .continuous)) != nil else { return }
            self?.endDue()
        }
        contents.alarm = (instant, task)
    }

    private func endDue() {
        let due = contents.withLock { contents in
            contents.alarm = nil
            let due = contents.waiters.takeDue(now: .now).map { ($0, contents.index(of: $0.watch)) }
            setAlarm(&contents)
            return due
        }
        for (waiter, index) in due { waiter.wake(.success(index)) }
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
