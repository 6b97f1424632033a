package import MeshModel

extension StoreState {
    package func keyValue(_ key: String) -> KeyValueRecord? { keyValues[KeyName(key)] }

    /// The pairs whose keys begin so, by key.
    package func keyValues(prefix: String) -> [KeyValueRecord] {
        orderedKeys.beginning(with: prefix).compactMap { keyValues[KeyName($0)] }
    }

    /// The keys that begin so, by key; with a separator, those that go on beyond it after the
    /// prefix are given once, up to and with the separator.
    package func keys(prefix: String, separator: String = "") -> [String] {
        Self.keys(keyValues(prefix: prefix).map(\.key), prefix: prefix, separator: separator)
    }

    /// The same of keys that are at hand, in their order.
    package static func keys(
        _ keys: [String], prefix: String, separator: String
    ) -> [String] {
        guard !separator.isEmpty else { return keys }
        let mark = Array(separator.utf8)
        var result: [String] = []
        for key in keys {
            let rest = Array(key.utf8.dropFirst(prefix.utf8.count))
            let end = rest.indices.first { rest[$0...].starts(with: mark) }
            let shown =
                end.map { prefix + String(decoding: rest[..<($0 + mark.count)], as: UTF8.self) }
                ?? key
            if result.last.map({ KeyName($0) }) != KeyName(shown) { result.append(shown) }
        }
        return result
    }

    /// Puts a pair in the place of another, and keeps note of who holds it.
    mutating func setKeyValue(
        _ key: KeyName, from old: KeyValueRecord?, to new: KeyValueRecord?
    ) {
        keyValues[key] = new
        switch (old, new) {
        case (nil, .some): orderedKeys.insert(key.text)
        case (.some, nil): orderedKeys.remove(key.text)
        case (nil, nil), (.some, .some): break
        }
        guard old?.session != new?.session else { return }
        if let holder = old?.session {
            heldKeys[holder]?.remove(key)
            if heldKeys[holder]?.isEmpty == true { heldKeys[holder] = nil }
        }
        if let holder = new?.session { heldKeys[holder, default: []].insert(key) }
    }

    package func session(_ id: String) -> Stored<Session>? { sessionRecords[id] }

    /// Every session, or those of one node, by id.
    package func sessions(node: String? = nil) -> [Stored<Session>] {
        sessionRecords.values.filter { node == nil || $0.value.node == node }
            .sorted { $0.value.id < $1.value.id }
    }

    /// Whether nobody gets this key yet, because its last holder ended by force.
    package func isDelayed(_ key: String, now: ContinuousClock.Instant) -> Bool {
        lockDelays[KeyName(key)].map { $0 > now } ?? false
    }
}
