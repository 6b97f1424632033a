package import MeshModel

/// One operation of a transaction on the key/value store.
package struct KeyValueOperation: Sendable, Hashable {
    package enum Verb: String, Sendable, CaseIterable {
        case set
        case cas
        case lock
        case unlock
        case get
        /// A key that is not there reads as one without value.
        case getOrEmpty = "get-or-empty"
        case getTree = "get-tree"
        case checkIndex = "check-index"
        case checkSession = "check-session"
        case checkNotExists = "check-not-exists"
        case delete
        case deleteCAS = "delete-cas"
        case deleteTree = "delete-tree"

        /// Whether it changes pairs.
        package var isWrite: Bool {
            switch self {
            case .set, .cas, .lock, .unlock, .delete, .deleteCAS, .deleteTree: true
            case .get, .getOrEmpty, .getTree, .checkIndex, .checkSession, .checkNotExists: false
            }
        }
    }

    package var verb: Verb
    package var key: String
    package var value: [UInt8]
    package var flags: UInt64
    /// What `cas`, `check-index` and `delete-cas` compare with.
    package var index: Index
    package var session: String

    package init(
        _ verb: Verb, _ key: String, value: [UInt8] = [], flags: UInt64 = 0, index: Index = .zero,
        session: String = ""
    ) {
        self.verb = verb
        self.key = key
        self.value = value
        self.flags = flags
        self.index = index
        self.session = session
    }
}

/// Why a transaction did nothing: what is wrong with each operation that failed.
package struct TransactionFailure: Error, Sendable, Hashable {
    package struct Item: Sendable, Hashable {
        /// The place of the operation in its transaction.
        package var operation: Int
        package var what: String

        package init(operation: Int, what: String) {
            self.operation = operation
            self.what = what
        }
    }

    package var items: [Item]

    package init(items: [Item]) { self.items = items }
}

extension StoreDraft {
    /// Runs operations one after the other and gives the pairs that each asked for or wrote, the
    /// written ones without their values. When one fails, so do all, and every failure is named.
    package mutating func transact(
        _ operations: [KeyValueOperation], now: ContinuousClock.Instant
    ) throws -> [KeyValueRecord] {
        try attempt(operations) { try $0.perform($1, now: now) }.flatMap { $0 }
    }

    /// Runs operations of any kind one after the other. When one fails, so do all, and every
    /// failure is named.
    package mutating func attempt<Operation, Value>(
        _ operations: [Operation], _ run: (inout StoreDraft, Operation) throws -> Value
    ) throws -> [Value] {
        var results: [Value] = []
        var failures: [TransactionFailure.Item] = []
        for (place, operation) in operations.enumerated() {
            do {
                results.append(try run(&self, operation))
            } catch let error as MeshError {
                failures.append(.init(operation: place, what: error.message))
            }
        }
        guard failures.isEmpty else { throw TransactionFailure(items: failures) }
        return results
    }

    /// Runs one operation; throws why it failed in Consul's words.
    package mutating func perform(
        _ operation: KeyValueOperation, now: ContinuousClock.Instant
    ) throws -> [KeyValueRecord] {
        switch operation.verb {
        case .set, .cas, .lock, .unlock:
            try write(operation, now: now)
            return [try read(operation).withoutValue]
        case .delete, .deleteCAS, .deleteTree:
            try remove(operation)
            return []
        case .get: return [try read(operation)]
        case .getOrEmpty:
            return [
                state.keyValue(operation.key)
                    ?? KeyValueRecord(
                        key: operation.key, value: [], flags: operation.flags, lockIndex: 0,
                        session: nil, createIndex: .zero, modifyIndex: .zero)
            ]
        case .getTree: return state.keyValues(prefix: operation.key)
        case .checkIndex, .checkSession, .checkNotExists: return try check(operation)
        }
    }

    private mutating func write(
        _ operation: KeyValueOperation, now: ContinuousClock.Instant
    ) throws {
        let key = operation.key
        switch operation.verb {
        case .cas:
            let done = try putKeyValue(
                key, operation.value, flags: operation.flags, cas: operation.index)
            guard done else {
                throw Self.refusal("failed to set key \(quoted(key)), index is stale")
            }
        case .lock:
            guard !state.isDelayed(key, now: now) else {
                throw Self.refusal("failed to lock key \(quoted(key)) due to lock delay")
            }
            let done = try lockKeyValue(
                key, operation.value, flags: operation.flags, session: operation.session, now: now)
            guard done else {
                throw Self.refusal("failed to lock key \(quoted(key)), lock is already held")
            }
        case .unlock:
            let done = try unlockKeyValue(
                key, operation.value, flags: operation.flags, session: operation.session)
            guard done else {
                throw Self.refusal(
                    "failed to unlock key \(quoted(key)), lock isn't held, or is held by another "
                        + "session")
            }
        default:
            _ = try putKeyValue(key, operation.value, flags: operation.flags)
        }
    }

    private mutating func remove(_ operation: KeyValueOperation) throws {
        let key = operation.key
        switch operation.verb {
        case .deleteTree: removeKeyValues(prefix: key)
        case .deleteCAS:
            guard removeKeyValue(key, cas: operation.index) else {
                throw Self.refusal("failed to delete key \(quoted(key)), index is stale")
            }
        default: _ = removeKeyValue(key)
        }
    }

    private func read(_ operation: KeyValueOperation) throws -> KeyValueRecord {
        guard let pair = state.keyValue(operation.key) else {
            throw Self.refusal("key \(quoted(operation.key)) doesn't exist")
        }
        return pair
    }

    private func check(_ operation: KeyValueOperation) throws -> [KeyValueRecord] {
        let key = quoted(operation.key)
        let present = state.keyValue(operation.key)
        if operation.verb == .checkNotExists {
            guard present == nil else { throw Self.refusal("key \(key) exists") }
            return []
        }
        let isIndex = operation.verb == .checkIndex
        guard let present else {
            throw Self.refusal(
                "failed to check \(isIndex ? "index" : "session"), key \(key) doesn't exist")
        }
        if isIndex, present.modifyIndex != operation.index {
            throw Self.refusal(
                "failed index check for key \(key), current modify index "
                    + "\(present.modifyIndex) != \(operation.index)")
        }
        let holder = present.session ?? ""
        if !isIndex, holder != operation.session {
            throw Self.refusal(
                "failed session check for key \(key), current session \(quoted(holder)) != "
                    + quoted(operation.session))
        }
        return [present.withoutValue]
    }

    private func quoted(_ text: String) -> String { GoText.quoted(text) }

    private static func refusal(_ message: String) -> MeshError { MeshError(.conflict, message) }
}

extension KeyValueRecord {
    fileprivate var withoutValue: KeyValueRecord {
        var copy = self
        copy.value = []
        return copy
    }
}
