import MeshHTTP
import MeshModel
import MeshStore
import Synchronization

/// What a read waits for. Thousands are held for minutes, so a handler that is to wait gives this
/// in place of an answer: everything that it had made of the request is gone while nothing
/// happens, and it is asked again, with what came of the waiting.
package struct Hold: Sendable {
    let store: any StateStore
    let watch: Watch
    let after: Index
    let deadline: ContinuousClock.Instant

    /// Waits; a client that leaves and a server that ends are answered with what there is.
    func outcome() async -> Held {
        _ = try? await store.wait(after: after, on: watch, until: deadline)
        return held(at: store.index(of: watch), isCancelled: Task.isCancelled)
    }

    fileprivate func held(at index: Index, isCancelled: Bool) -> Held {
        Held(
            index: index, wasWoken: index > after, deadline: deadline, isCancelled: isCancelled)
    }
}

/// What came of waiting.
package struct Held: Sendable {
    /// The index of what was watched.
    let index: Index
    /// Whether a change has ended it.
    let wasWoken: Bool
    let deadline: ContinuousClock.Instant
    let isCancelled: Bool

    /// Whether nothing more is to be waited for.
    var isOver: Bool { isCancelled || deadline <= .now }
}

/// A read that is held: the request as it came, and a waiter of the store.
final class HeldRead: HeldRequest {
    private struct State {
        var waiter: UInt64?
        var woken: Index?
        var isCancelled = false
    }

    private let api: ConsulAPI
    private let request: ServerRequest
    private let hold: Hold
    private let state = Mutex(State())

    init(_ request: ServerRequest, _ hold: Hold, of api: ConsulAPI) {
        self.request = request
        self.hold = hold
        self.api = api
    }

    func wait(_ wake: @escaping @Sendable () -> Void) {
        let waiter = hold.store.wait(
            after: hold.after, on: hold.watch, until: hold.deadline
        ) { index in
            self.state.withLock { $0.woken = index }
            wake()
        }
        state.withLock { $0.waiter = waiter }
    }

    func cancel() -> Bool {
        let waiter = state.withLock { state in
            state.isCancelled = true
            return state.waiter
        }
        return waiter.map { hold.store.forget($0) } ?? false
    }

    func ready() -> ServerResponse? {
        guard let woken = state.withLock({ $0.woken }) else { return nil }
        return api.shared(request, hold.held(at: woken, isCancelled: false), hold.store)
    }

    @concurrent func answer() async -> ServerAnswer {
        let isCancelled = state.withLock { $0.isCancelled } || Task.isCancelled
        let index = hold.store.index(of: hold.watch)
        return await api.answer(
            request, hold.held(at: index, isCancelled: isCancelled), hold.store)
    }
}
