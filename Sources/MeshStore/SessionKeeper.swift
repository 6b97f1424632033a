package import MeshModel
import Synchronization

/// When sessions end for want of renewal. Pure: time is told.
///
/// A session is given up at ``SessionLimits/graceFactor`` times its time to live, so never before
/// that time and never much after twice of it. Nothing of this is stored: after a start every
/// session has its whole time again.
package struct SessionTimers: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private var deadlines: [String: Instant] = [:]

    package init() {}

    /// Begins to count for sessions that are new, and forgets those that are gone.
    package mutating func follow(_ sessions: [Session], now: Instant) {
        var next: [String: Instant] = [:]
        for session in sessions {
            guard let span = session.timeToLive else { continue }
            next[session.id] = deadlines[session.id] ?? Self.deadline(span, now)
        }
        deadlines = next
    }

    /// Begins to count anew for one session.
    package mutating func renew(_ session: Session, now: Instant) {
        guard let span = session.timeToLive else { return }
        deadlines[session.id] = Self.deadline(span, now)
    }

    private static func deadline(_ span: MeshDuration, _ now: Instant) -> Instant {
        now.advanced(by: span.duration * Int(SessionLimits.graceFactor))
    }

    /// The sessions whose time is over.
    package func ended(now: Instant) -> [String] {
        deadlines.filter { $0.value <= now }.map(\.key).sorted()
    }

    /// When to look again.
    package var next: Instant? { deadlines.values.min() }
}

/// Ends the sessions of a store that are not renewed in time.
package final class SessionKeeper: Sendable {
    private let store: any StateStore
    private let timers = Mutex(SessionTimers())

    package init(store: any StateStore) { self.store = store }

    /// Gives a session its whole time again; nil when there is none of that id.
    package func renew(_ id: String) -> Stored<Session>? {
        guard let session = store.snapshot.session(id) else { return nil }
        timers.withLock { $0.renew(session.value, now: .now) }
        return session
    }

    /// Runs until the task is cancelled.
    package func run() async {
        var seen = Index.zero
        while !Task.isCancelled {
            let sessions = store.snapshot.sessions().map(\.value)
            let (ended, next) = timers.withLock { timers in
                timers.follow(sessions, now: .now)
                return (timers.ended(now: .now), timers.next)
            }
            if ended.isEmpty {
                let limit = next.map { ContinuousClock.now.duration(to: $0) } ?? .seconds(3600)
                let changed = try? await store.wait(
                    after: seen, on: Watch(.sessions), upTo: max(limit, .zero))
                seen = max(seen, changed ?? seen)
            } else {
                await end(ended)
            }
        }
    }

    private func end(_ ids: [String]) async {
        do {
            try await store.write { draft in
                // Renewed while this write was waiting: it lives on.
                let ended = self.timers.withLock { Set($0.ended(now: .now)) }
                for id in ids where ended.contains(id) { draft.endSession(id, now: .now) }
            }
        } catch {
            // The disk does not take the write: the sessions are over when it does.
            try? await Task.sleep(for: .seconds(1))
        }
    }
}
