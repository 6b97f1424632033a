import Synchronization

/// Which cached reads were made before. Results are always made of the present state, as those of
/// Consul's background refresh are: a hit is therefore never older than now.
final class CacheNotes: Sendable {
    /// More are forgotten, all at once: a miss too many does no harm.
    static let limit = 4096

    private let seen = Mutex<Set<String>>([])

    /// The seconds since the result was fresh; nil for one that was never asked for.
    func age(of key: String) -> Int? {
        seen.withLock { seen in
            if seen.contains(key) { return 0 }
            if seen.count >= Self.limit { seen.removeAll() }
            seen.insert(key)
            return nil
        }
    }
}
