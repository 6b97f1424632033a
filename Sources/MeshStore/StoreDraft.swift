package import MeshIdentity
package import MeshModel

/// One write in the making: it reads the present state and collects changes. When the write throws,
/// nothing has happened.
package struct StoreDraft {
    package private(set) var state: StoreState
    /// The index that the changes of this write get.
    package private(set) var index: Index
    private(set) var changes: [Change] = []
    /// Whether every service is looked at for its virtual address at the end of the write.
    var settlesAll = false

    init(state: consuming StoreState) {
        self.index = state.index.next
        self.state = state
    }

    mutating func record(_ change: Change) {
        state.apply(change)
        changes.append(change)
    }

    /// Ends one write of a batch: the next one gets the next index, if this one changed anything.
    mutating func endWrite(since start: Int) {
        settleVirtualAddresses(since: start)
        guard changes.count > start else { return }
        state.index = index
        index = index.next
    }

    /// Takes back every change from this position on.
    mutating func revert(to start: Int, index: Index) {
        for change in changes[start...].reversed() { state.revert(change) }
        changes.removeLast(changes.count - start)
        state.index = index
        self.index = index.next
    }

    /// Whether a change by compare-and-set may go on: 0 asks for absence, another number for the
    /// object as it was at that index.
    func mayWrite(_ expected: Index?, present: Index?) -> Bool {
        guard let expected else { return true }
        return expected == (present ?? .zero)
    }
}

extension StoreDraft {
    /// Registers a service or replaces its registration. Equal ones change nothing.
    package mutating func putService(_ definition: ServiceDefinition) throws {
        if let refusal = state.files.services[definition.id]?.origin.refusal(
            of: "service \(definition.id)")
        {
            throw refusal
        }
        let old = state.storedServices[definition.id]
        guard old?.definition != definition else { return }
        let new = ServiceRecord(
            definition: definition, origin: .api, createIndex: old?.createIndex ?? index,
            modifyIndex: index)
        record(.service(definition.id, from: old, to: new))
    }

    package mutating func removeService(_ id: ServiceID) throws {
        if let refusal = state.files.services[id]?.origin.refusal(of: "service \(id)") {
            throw refusal
        }
        guard let old = state.storedServices[id] else {
            throw MeshError(
                .notFound, "there is no service with the id \(id): meshctl instances lists them")
        }
        record(.service(id, from: old, to: nil))
    }

    /// Writes a config entry. Says whether it did: with `cas`, only when the entry is as it was at
    /// that index.
    package mutating func putEntry(_ entry: ConfigEntry, cas: Index? = nil) throws -> Bool {
        let present = state.configEntry(entry.key)
        if case .serviceIntentions(let intentions) = entry {
            guard mayWrite(cas, present: present?.modifyIndex) else { return false }
            try replaceIntentions(with: intentions)
            return true
        }
        try refuseIfOwned(present)
        guard mayWrite(cas, present: present?.modifyIndex) else { return false }
        guard present?.entry != entry else { return true }
        let new = ConfigEntryRecord(
            entry: entry, origin: .api, createIndex: present?.createIndex ?? index,
            modifyIndex: index)
        record(.entry(entry.key, from: state.storedEntries[entry.key], to: new))
        return true
    }

    /// Removes a config entry. Says whether it did; removing what is not there does nothing.
    package mutating func removeEntry(_ key: ConfigEntry.Key, cas: Index? = nil) throws -> Bool {
        guard let present = state.configEntry(key) else { return false }
        try refuseIfOwned(present)
        guard mayWrite(cas, present: present.modifyIndex) else { return false }
        if case .serviceIntentions(let entry) = present.entry {
            for source in entry.sources {
                try removeIntention(IntentionKey(source: source.name, destination: entry.name))
            }
        } else {
            record(.entry(key, from: state.storedEntries[key], to: nil))
        }
        return true
    }

    private func refuseIfOwned(_ present: ConfigEntryRecord?) throws {
        guard let present else { return }
        let subject = "\(present.entry.kind) \(present.entry.name)"
        if let refusal = present.origin.refusal(of: subject) { throw refusal }
    }
}

extension StoreDraft {
    /// Makes an intention. One of the same source and destination is replaced if that was asked
    /// for, else it is a conflict. What the entry of the destination asks of every source is asked
    /// of this one, too.
    package mutating func putIntention(_ intention: Intention, replace: Bool) throws {
        var intention = intention
        if intention.token == nil, state.askingIntentions[intention.destination] != nil {
            intention.token =
                state.storedIntentions.values.first {
                    $0.destination == intention.destination && $0.token != nil
                }?.token
        }
        try put(intention, replace: replace)
    }

    private mutating func put(_ intention: Intention, replace: Bool) throws {
        let key = IntentionKey(source: intention.source, destination: intention.destination)
        if let refusal = state.files.intentions[key]?.origin.refusal(of: Self.name(key)) {
            throw refusal
        }
        let old = state.storedIntentions[key]
        guard old == nil || replace else {
            throw MeshError(
                .conflict,
                "\(Self.name(key)) exists already: ask for its replacement "
                    + "(meshctl: --replace), or delete it first")
        }
        var new = intention
        new.origin = .api
        new.createIndex = old?.createIndex ?? index
        new.modifyIndex = old?.modifyIndex ?? index
        guard new != old else { return }
        new.modifyIndex = index
        record(.intention(key, from: old, to: new))
    }

    package mutating func removeIntention(_ key: IntentionKey) throws {
        if let refusal = state.files.intentions[key]?.origin.refusal(of: Self.name(key)) {
            throw refusal
        }
        guard let old = state.storedIntentions[key] else {
            throw MeshError(
                .notFound, "there is no intention from \(key.source) to \(key.destination)")
        }
        record(.intention(key, from: old, to: nil))
    }

    /// Makes an entry's sources the only intentions towards its destination.
    private mutating func replaceIntentions(with entry: ServiceIntentions) throws {
        _ = try entry.validated()
        let wanted = entry.intentions(origin: .api)
        let names = Set(wanted.map(\.source))
        let present = state.intentions.filter { $0.destination == entry.name }
        for intention in present where !names.contains(intention.source) {
            try removeIntention(
                IntentionKey(source: intention.source, destination: intention.destination))
        }
        for intention in wanted { try put(intention, replace: true) }
    }

    private static func name(_ key: IntentionKey) -> String {
        "the intention from \(key.source) to \(key.destination)"
    }
}

extension StoreDraft {
    /// Makes these the roots of the mesh; roots that it lacks are forgotten.
    package mutating func putAuthority(_ authority: MeshAuthority) throws {
        let roots = authority.roots
        for (id, old) in state.rootRecords where !roots.contains(where: { $0.id == id }) {
            record(.root(id, from: old, to: nil))
        }
        for root in roots {
            let old = state.rootRecords[root.id]
            let isSame =
                old?.crossSignedDER == root.crossSignedDER
                && old?.rotatedOutAt == root.rotatedOutAt
            guard !isSame || old == nil else { continue }
            let sealed = try state.box.seal(
                root.privateKeyDER, name: RootRecord.secretName(id: root.id))
            let new = RootRecord(
                id: root.id, certificateDER: root.certificateDER,
                crossSignedDER: root.crossSignedDER, rotatedOutAt: root.rotatedOutAt,
                sealedKey: old?.sealedKey ?? sealed, createIndex: old?.createIndex ?? index,
                modifyIndex: index)
            record(.root(root.id, from: old, to: new))
        }
    }

    /// Keeps a service's certificate in place of its previous one.
    package mutating func putLeaf(_ leaf: LeafCertificate) throws {
        let old = state.leafRecords[leaf.id]
        guard old?.serial != leaf.serial else { return }
        let name = LeafRecord.secretName(id: leaf.id, serial: leaf.serial)
        let new = LeafRecord(
            id: leaf.id, rootID: leaf.rootID, chainDER: leaf.chainDER, serial: leaf.serial,
            notBefore: leaf.notBefore, notAfter: leaf.notAfter,
            sealedKey: try state.box.seal(leaf.privateKeyDER, name: name),
            createIndex: old?.createIndex ?? index, modifyIndex: index)
        record(.leaf(leaf.id, from: old, to: new))
    }

    package mutating func removeLeaf(_ id: SpiffeID) {
        guard let old = state.leafRecords[id] else { return }
        record(.leaf(id, from: old, to: nil))
    }

    /// Keeps another secret; nil forgets it.
    package mutating func putSecret(_ name: String, _ secret: SecretBytes?) throws {
        let old = state.secretRecords[name]
        guard let secret else {
            if old != nil { record(.secret(name, from: old, to: nil)) }
            return
        }
        let new = SecretRecord(
            name: name, sealed: try state.box.seal(secret, name: SecretRecord.secretName(name)),
            createIndex: old?.createIndex ?? index, modifyIndex: index)
        record(.secret(name, from: old, to: new))
    }

    /// Keeps the domain under which this installation issues identities.
    package mutating func putTrustDomain(_ domain: TrustDomain) {
        putFact(Fact.trustDomain, domain.text)
    }

    mutating func putFact(_ name: String, _ value: String) {
        let old = state.facts[name]
        if old != value { record(.fact(name, from: old, to: value)) }
    }

    /// Makes this the layer that files own. Nothing of it goes to disk.
    package mutating func setFileLayer(_ layer: FileLayer) {
        let new = layer.taking(state.files, index: index)
        if new != state.files { record(.fileLayer(from: state.files, to: new)) }
        // What was stored before this version, and what other files owned, has been waiting for it.
        settlesAll = true
    }

    /// Wakes waiters for something that the store does not hold, such as health. Nothing goes to
    /// disk.
    package mutating func note(_ topic: StoreTopic, key: String) {
        record(.note(topic, key: key))
    }
}
