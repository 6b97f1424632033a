import MeshModel

/// The last changes of the objects that are many, so that what follows from all of them can be
/// brought up to date by looking at a few.
struct RecentChanges: Sendable {
    /// How many changes are remembered.
    static let limit = 1024

    /// Changes at this index or before are not remembered one by one.
    private var floor: Index
    /// The last change of a config entry that is not made of intentions.
    private(set) var lastEntry: Index
    /// The last change of a node that others speak for.
    private(set) var lastNode: Index
    private var changes: [(index: Index, what: What)] = []

    private enum What: Sendable {
        case service(ServiceID)
        case intention(IntentionKey)
    }

    init(start: Index) {
        floor = start
        lastEntry = start
        lastNode = start
    }

    mutating func note(_ change: Change, at index: Index) {
        switch change {
        case .service(let id, _, _): changes.append((index, .service(id)))
        case .intention(let key, _, _): changes.append((index, .intention(key)))
        case .fileLayer:
            changes = []
            floor = index
            lastEntry = index
        case .entry: lastEntry = index
        case .catalogNode: lastNode = index
        case .keyValue, .session, .lockDelay, .query, .policy, .token, .virtualAddress, .root,
            .leaf, .secret, .fact, .note:
            return
        }
        guard changes.count > Self.limit else { return }
        let half = changes.count / 2
        floor = changes[half - 1].index
        changes.removeFirst(half)
    }

    func services(after index: Index) -> Set<ServiceID>? {
        guard index >= floor else { return nil }
        return Set(
            changes.lazy.filter { $0.index > index }.compactMap { change in
                if case .service(let id) = change.what { return id }
                return nil
            })
    }

    func intentions(after index: Index) -> Set<IntentionKey>? {
        guard index >= floor else { return nil }
        return Set(
            changes.lazy.filter { $0.index > index }.compactMap { change in
                if case .intention(let key) = change.what { return key }
                return nil
            })
    }
}
