import Synchronization

/// Wakes one waiting task. A signal that finds nobody waiting is kept for the next wait.
package final class WakeSignal: Sendable {
    private struct State {
        var isSet = false
        var waiter: (id: UInt64, continuation: CheckedContinuation<Void, Never>)?
        var lastID: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Wakes the waiter, or lets the next wait return at once.
    package func wake() {
        let continuation = state.withLock { state in
            guard let waiter = state.waiter else {
                state.isSet = true
                return nil as CheckedContinuation<Void, Never>?
            }
            state.waiter = nil
            return waiter.continuation
        }
        continuation?.resume()
    }

    /// Returns when woken, when the deadline has passed, or when the task is cancelled.
    package func wait(until deadline: ContinuousClock.Instant? = nil) async {
        guard let deadline else { return await waitForSignal() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForSignal() }
            // A sleep that is cut short has nothing to report: the wait is over either way.
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForSignal() async {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate = state.withLock { state in
                    if state.isSet || Task.isCancelled {
                        state.isSet = false
                        return true
                    }
                    precondition(state.waiter == nil, "a signal has one waiter")
                    state.waiter = (id, continuation)
                    return false
                }
                if immediate { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                guard let waiter = state.waiter, waiter.id == id else {
                    return nil as CheckedContinuation<Void, Never>?
                }
                state.waiter = nil
                return waiter.continuation
            }
            continuation?.resume()
        }
    }
}
