import MeshModel

/// When the objects of one topic last changed, those that are gone included: what a blocking query
/// about a deleted object waits for.
struct ChangeIndex: Sendable {
    /// How many deleted keys are remembered one by one.
    static let rememberedDeletions = 4096

    /// The last change of any object.
    private(set) var last: Index
    private var byKey: [String: Index] = [:]
    /// The keys of those, for what begins alike.
    private var ordered = SortedKeys()
    private var deletions: [(key: String, index: Index)] = []
    /// Stands for all deletions that are not remembered. A waiter may be woken once too often by
    /// it, never too rarely.
    private var floor: Index

    /// `start` stands for everything that happened before.
    init(start: Index) {
        last = start
        floor = start
    }

    mutating func load(_ key: String, _ index: Index) {
        byKey[key] = max(index, byKey[key] ?? .zero)
        ordered.insert(key)
    }

    mutating func note(_ key: String, _ index: Index, isGone: Bool) {
        last = max(last, index)
        if byKey.updateValue(index, forKey: key) == nil { ordered.insert(key) }
        guard isGone else { return }
        deletions.append((key, index))
        if deletions.count > Self.rememberedDeletions { forgetOldest() }
    }

    private mutating func forgetOldest() {
        let half = deletions.count / 2
        for deletion in deletions.prefix(half) {
            floor = max(floor, deletion.index)
            // Written again since then: it is an object like any other.
            guard byKey[deletion.key] == deletion.index else { continue }
            byKey[deletion.key] = nil
            ordered.remove(deletion.key)
        }
        deletions.removeFirst(half)
    }

    /// The last change of what the scope covers.
    func index(of scope: Watch.Scope) -> Index {
        switch scope {
        case .all:
            last
        case .key(let key):
            byKey[key] ?? floor
        case .keys(let keys):
            keys.reduce(Index.zero) { max($0, byKey[$1] ?? floor) }
        case .prefix(let prefix):
            ordered.beginning(with: prefix).reduce(floor) { max($0, byKey[$1] ?? floor) }
        }
    }
}
