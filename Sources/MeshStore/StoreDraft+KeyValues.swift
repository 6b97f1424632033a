package import MeshModel

extension StoreDraft {
    /// Writes a pair. Says whether it did: with `cas`, only when the pair is as it was at that
    /// index. An equal pair keeps its index; a pair that is held stays so.
    package mutating func putKeyValue(
        _ key: String, _ value: [UInt8], flags: UInt64 = 0, cas: Index? = nil
    ) throws -> Bool {
        try Self.check(key, value)
        let old = state.keyValue(key)
        guard mayWrite(cas, present: old?.modifyIndex) else { return false }
        put(key, value, flags, lockIndex: old?.lockIndex ?? 0, session: old?.session)
        return true
    }

    /// Writes a pair and gives it to a session. Says whether it did: not while another session
    /// holds it, and not shortly after a holder ended by force. Taking what one holds writes it.
    package mutating func lockKeyValue(
        _ key: String, _ value: [UInt8], flags: UInt64 = 0, session: String,
        now: ContinuousClock.Instant
    ) throws -> Bool {
        try Self.check(key, value)
        guard !session.isEmpty else { throw MeshError(.invalid, "missing session") }
        guard state.session(session) != nil else {
            throw MeshError(.invalid, "invalid session \(GoText.quoted(session))")
        }
        guard !state.isDelayed(key, now: now) else { return false }
        let old = state.keyValue(key)
        guard old?.session == nil || old?.session == session else { return false }
        let isNew = old?.session == nil
        put(
            key, value, flags, lockIndex: (old?.lockIndex ?? 0) + (isNew ? 1 : 0), session: session)
        return true
    }

    /// Writes a pair and lets go of it. Says whether it did: only when that session holds it.
    package mutating func unlockKeyValue(
        _ key: String, _ value: [UInt8], flags: UInt64 = 0, session: String
    ) throws -> Bool {
        try Self.check(key, value)
        guard !session.isEmpty else { throw MeshError(.invalid, "missing session") }
        guard let old = state.keyValue(key), old.session == session else { return false }
        put(key, value, flags, lockIndex: old.lockIndex, session: nil)
        return true
    }

    /// Removes a pair. Says whether the pair is gone: false only when `cas` does not fit.
    package mutating func removeKeyValue(_ key: String, cas: Index? = nil) -> Bool {
        guard let old = state.keyValue(key) else { return true }
        guard mayWrite(cas, present: old.modifyIndex) else { return false }
        record(.keyValue(KeyName(key), from: old, to: nil))
        return true
    }

    /// Removes every pair whose key begins so.
    package mutating func removeKeyValues(prefix: String) {
        for old in state.keyValues(prefix: prefix) {
            record(.keyValue(KeyName(old.key), from: old, to: nil))
        }
    }

    private static func check(_ key: String, _ value: [UInt8]) throws {
        guard !key.isEmpty, key.utf8.count <= KeyValueLimits.keyBytes else {
            throw MeshError(.invalid, "a key has 1 to \(KeyValueLimits.keyBytes) bytes")
        }
        guard value.count <= KeyValueLimits.valueBytes else {
            throw MeshError(
                .invalid,
                "the value of \(key.debugDescription) has \(value.count) bytes: at most "
                    + "\(KeyValueLimits.valueBytes) are allowed")
        }
    }

    private mutating func put(
        _ key: String, _ value: [UInt8], _ flags: UInt64, lockIndex: UInt64, session: String?
    ) {
        let name = KeyName(key)
        let old = state.keyValues[name]
        let new = KeyValueRecord(
            key: key, value: value, flags: flags, lockIndex: lockIndex, session: session,
            createIndex: old?.createIndex ?? index, modifyIndex: old?.modifyIndex ?? index)
        guard new != old else { return }
        var written = new
        written.modifyIndex = index
        record(.keyValue(name, from: old, to: written))
    }
}

extension StoreDraft {
    /// Makes a session. Its node and checks are the caller's to look at.
    package mutating func putSession(_ session: Session) throws {
        guard state.session(session.id) == nil else {
            throw MeshError(.conflict, "there is a session \(session.id) already")
        }
        let bounds = SessionLimits.minTTL...SessionLimits.maxTTL
        if let ttl = session.timeToLive, !bounds.contains(ttl) {
            throw MeshError(
                .invalid,
                "Invalid Session TTL '\(ttl.nanoseconds)', must be between [10s=24h0m0s]")
        }
        let new = Stored(session, replacing: nil, at: index)
        record(.session(session.id, from: nil, to: new))
    }

    /// Ends a session and lets go of its keys, or deletes them, as it asked for. Says whether it
    /// was there.
    @discardableResult
    package mutating func endSession(_ id: String, now: ContinuousClock.Instant) -> Bool {
        guard let old = state.session(id) else { return false }
        for (key, until) in state.lockDelays where until <= now {
            record(.lockDelay(key, from: until, to: nil))
        }
        let held = (state.heldKeys[id] ?? []).sorted {
            $0.text.utf8.lexicographicallyPrecedes($1.text.utf8)
        }
        for key in held {
            guard let pair = state.keyValues[key] else {
                fatalError("session \(id) holds a key that is not there")
            }
            switch old.value.behavior {
            case .release:
                put(
                    pair.key, pair.value, pair.flags, lockIndex: pair.lockIndex, session: nil)
            case .delete:
                record(.keyValue(key, from: pair, to: nil))
            }
            if old.value.lockDelay > .zero {
                let until = now.advanced(by: old.value.lockDelay.duration)
                record(.lockDelay(key, from: state.lockDelays[key], to: until))
            }
        }
        for (query, bound) in state.queryRecords where bound.value.session == id {
            record(.query(query, from: bound, to: nil))
        }
        record(.session(id, from: old, to: nil))
        return true
    }

    /// Ends the sessions that depend on a check of a node, or on the node itself.
    package mutating func endSessions(
        node: String, check: String? = nil, now: ContinuousClock.Instant
    ) {
        for session in state.sessions(node: node).map(\.value) {
            let depends =
                check.map { session.nodeChecks.contains($0) || session.serviceChecks.contains($0) }
                ?? true
            if depends { endSession(session.id, now: now) }
        }
    }
}
