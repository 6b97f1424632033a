import MeshIdentity
package import MeshModel

extension StoreState {
    package func preparedQuery(_ id: String) -> Stored<PreparedQuery>? { queryRecords[id] }

    /// Every prepared query, by id.
    package var preparedQueries: [Stored<PreparedQuery>] {
        queryRecords.values.sorted { $0.value.id < $1.value.id }
    }

    package func policy(_ id: String) -> Stored<ACLPolicy>? { policyRecords[id] }

    package func policy(named name: String) -> Stored<ACLPolicy>? {
        policyRecords.values.first { $0.value.name == name }
    }

    /// Every policy, by id.
    package var policies: [Stored<ACLPolicy>] {
        policyRecords.values.sorted { $0.value.id < $1.value.id }
    }

    package func token(accessor: String) -> Stored<ACLToken>? {
        tokenRecords[accessor.lowercased()].map(Self.shown)
    }

    /// The token with a secret.
    package func token(secret: String) -> Stored<ACLToken>? {
        accessors[box.digest(secret)].flatMap { token(accessor: $0) }
    }

    /// Every token, by accessor.
    package var tokens: [Stored<ACLToken>] {
        tokenRecords.values.map(Self.shown).sorted { $0.value.accessorID < $1.value.accessorID }
    }

    private static func shown(_ kept: Stored<KeptToken>) -> Stored<ACLToken> {
        Stored(
            kept.value.token, createIndex: kept.createIndex, modifyIndex: kept.modifyIndex)
    }

    /// A digest that tells contents apart. It is none of a secret: those are no such text.
    package func fingerprint(_ content: String) -> [UInt8] { box.digest("content:" + content) }

    mutating func setToken(
        _ accessor: String, from old: Stored<KeptToken>?, to new: Stored<KeptToken>?
    ) {
        if let old { accessors[old.value.digest] = nil }
        tokenRecords[accessor] = new
        if let new { accessors[new.value.digest] = accessor }
    }

    /// The index at which somebody became the first to hold a token of management.
    package var bootstrapIndex: Index? {
        facts[Fact.bootstrapIndex].flatMap { UInt64($0) }.map { Index($0) }
    }
}

extension StoreDraft {
    /// Keeps a query in place of the one with its id; its rules are the caller's to look at.
    package mutating func putQuery(_ query: PreparedQuery) throws {
        if !query.session.isEmpty, state.session(query.session) == nil {
            throw MeshError(.invalid, "invalid session \(GoText.quoted(query.session))")
        }
        let old = state.preparedQuery(query.id)
        let new = Stored(query, replacing: old, at: index)
        if new != old { record(.query(query.id, from: old, to: new)) }
    }

    /// Says whether the query was there.
    @discardableResult
    package mutating func removeQuery(_ id: String) -> Bool {
        guard let old = state.preparedQuery(id) else { return false }
        record(.query(id, from: old, to: nil))
        return true
    }

    /// Keeps a policy in place of the one with its id.
    package mutating func putPolicy(_ policy: ACLPolicy) throws {
        if let other = state.policy(named: policy.name), other.value.id != policy.id {
            throw MeshError(
                .conflict,
                "Invalid Policy: A Policy with Name \(GoText.quoted(policy.name)) already exists")
        }
        let old = state.policy(policy.id)
        let new = Stored(policy, replacing: old, at: index)
        if new != old { record(.policy(policy.id, from: old, to: new)) }
    }

    /// Removes a policy, also from the tokens that refer to it. Says whether it was there.
    @discardableResult
    package mutating func removePolicy(_ id: String) -> Bool {
        guard let old = state.policy(id) else { return false }
        for (accessor, kept) in state.tokenRecords
        where kept.value.token.policies.contains(id) {
            var value = kept.value
            value.token.policies.removeAll { $0 == id }
            record(
                .token(accessor, from: kept, to: Stored(value, replacing: kept, at: index)))
        }
        record(.policy(id, from: old, to: nil))
        return true
    }

    /// Keeps a token in place of the one with its accessor, in any case. The secret is needed for a
    /// new one, and stays as it is without; it is digested here and not kept.
    package mutating func putToken(_ token: ACLToken, secret: String? = nil) throws {
        let accessor = token.accessorID.lowercased()
        let old = state.tokenRecords[accessor]
        let digest: [UInt8]
        if let secret {
            digest = state.box.digest(secret)
            if let holder = state.accessors[digest], holder != accessor {
                throw MeshError(
                    .conflict, "Invalid Token: The SecretID field is in use by another token")
            }
        } else if let old {
            digest = old.value.digest
        } else {
            throw MeshError(.invalid, "a new token needs a secret")
        }
        let new = Stored(KeptToken(token: token, digest: digest), replacing: old, at: index)
        if new != old { record(.token(accessor, from: old, to: new)) }
    }

    /// Says whether the token was there.
    @discardableResult
    package mutating func removeToken(accessor: String) -> Bool {
        let accessor = accessor.lowercased()
        guard let old = state.tokenRecords[accessor] else { return false }
        record(.token(accessor, from: old, to: nil))
        return true
    }

    /// Notes that the first token of management was given at this write.
    package mutating func noteBootstrap() {
        putFact(Fact.bootstrapIndex, "\(index)")
    }
}
