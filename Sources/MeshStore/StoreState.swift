import Foundation
package import MeshIdentity
package import MeshModel

/// Everything that the store holds at one index. A value: a copy never changes.
package struct StoreState: Sendable {
    /// The index of the last write.
    package internal(set) var index: Index
    package internal(set) var files = FileLayer()
    var storedServices: [ServiceID: ServiceRecord] = [:]
    var storedEntries: [ConfigEntry.Key: ConfigEntryRecord] = [:]
    private(set) var storedIntentions: [IntentionKey: Intention] = [:]
    /// How many of those towards a destination ask every caller for a token.
    private(set) var askingIntentions: [NamePattern: Int] = [:]
    var keyValues: [KeyName: KeyValueRecord] = [:]
    /// The keys of those, for what begins alike.
    var orderedKeys = SortedKeys()
    /// The keys that each session holds.
    var heldKeys: [String: Set<KeyName>] = [:]
    var sessionRecords: [String: Stored<Session>] = [:]
    /// By name in lower case.
    var catalogNodes: [String: Stored<CatalogNode>] = [:]
    /// By name in lower case.
    package internal(set) var virtualAddresses: [String: VirtualAddress] = [:]
    /// Who has which of them.
    var addressHolders: [VirtualAddress: String] = [:]
    /// The services that have, or shall have, one.
    var members = MeshMembers()
    /// Until when nobody gets a key, because the session that held it ended by force.
    var lockDelays: [KeyName: ContinuousClock.Instant] = [:]
    var queryRecords: [String: Stored<PreparedQuery>] = [:]
    var policyRecords: [String: Stored<ACLPolicy>] = [:]
    var tokenRecords: [String: Stored<KeptToken>] = [:]
    /// The accessor of the token with a digest.
    var accessors: [[UInt8]: String] = [:]
    var rootRecords: [String: RootRecord] = [:]
    var leafRecords: [SpiffeID: LeafRecord] = [:]
    var secretRecords: [String: SecretRecord] = [:]
    var facts: [String: String] = [:]
    /// What was written last, for those who keep something that follows from the whole.
    var recent: RecentChanges
    /// Opens what is sealed.
    let box: SecretBox

    init(index: Index, box: SecretBox) {
        self.index = index
        self.box = box
        recent = RecentChanges(start: index)
    }

    mutating func apply(_ change: Change) { set(change, forward: true) }
    mutating func revert(_ change: Change) { set(change, forward: false) }

    mutating func setIntention(_ key: IntentionKey, _ intention: Intention?) {
        if storedIntentions[key]?.token != nil { askingIntentions[key.destination]? -= 1 }
        if intention?.token != nil { askingIntentions[key.destination, default: 0] += 1 }
        if askingIntentions[key.destination] == 0 { askingIntentions[key.destination] = nil }
        storedIntentions[key] = intention
    }

    private mutating func set(_ change: Change, forward: Bool) {
        switch change {
        case .service(let id, let old, let new):
            storedServices[id] = forward ? new : old
            noteService(from: forward ? old : new, to: forward ? new : old)
        case .entry(let key, let old, let new):
            storedEntries[key] = forward ? new : old
            noteEntry(from: forward ? old : new, to: forward ? new : old)
        case .intention(let key, let old, let new): setIntention(key, forward ? new : old)
        case .keyValue(let key, let old, let new):
            setKeyValue(key, from: forward ? old : new, to: forward ? new : old)
        case .session(let id, let old, let new): sessionRecords[id] = forward ? new : old
        case .query(let id, let old, let new): queryRecords[id] = forward ? new : old
        case .policy(let id, let old, let new): policyRecords[id] = forward ? new : old
        case .token(let id, let old, let new):
            setToken(id, from: forward ? old : new, to: forward ? new : old)
        case .catalogNode(let key, let old, let new):
            catalogNodes[key] = forward ? new : old
            noteNode(from: (forward ? old : new)?.value, to: (forward ? new : old)?.value)
        case .virtualAddress(let name, let old, let new):
            setVirtualAddress(name, forward ? new : old)
        case .lockDelay(let key, let old, let new): lockDelays[key] = forward ? new : old
        case .root(let id, let old, let new): rootRecords[id] = forward ? new : old
        case .leaf(let id, let old, let new): leafRecords[id] = forward ? new : old
        case .secret(let name, let old, let new): secretRecords[name] = forward ? new : old
        case .fact(let name, let old, let new): facts[name] = forward ? new : old
        case .fileLayer(let old, let new):
            files = forward ? new : old
            noteFiles(from: forward ? old : new, to: forward ? new : old)
        case .note: break
        }
    }
}

// Catalog and policy: what a file owns lies over what is stored.
extension StoreState {
    package func service(_ id: ServiceID) -> ServiceRecord? {
        files.services[id] ?? storedServices[id]
    }

    /// Every service, in no order.
    package var unorderedServices: [ServiceRecord] {
        if files.services.isEmpty { return Array(storedServices.values) }
        var all = Array(files.services.values)
        all.reserveCapacity(all.count + storedServices.count)
        for (id, record) in storedServices where files.services[id] == nil { all.append(record) }
        return all
    }

    /// Every service, by id.
    package var services: [ServiceRecord] {
        let all = unorderedServices
        // By names that are at hand: those of records are a way off.
        let order = all.indices.map { (name: all[$0].id.text, place: $0) }
            .sorted { $0.name < $1.name }
        return order.map { all[$0.place] }
    }

    /// The services that were written after an index; nil when that is too long ago to tell.
    package func services(changedAfter index: Index) -> Set<ServiceID>? {
        recent.services(after: index)
    }

    /// Every config entry but those that are made of intentions, by kind and name.
    package var plainEntries: [ConfigEntryRecord] {
        storedEntries.merging(files.entries) { $1 }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The index of the last change of ``plainEntries``, or of the start.
    package var plainEntriesIndex: Index { recent.lastEntry }

    /// The intentions that were written after an index; nil when that is too long ago to tell.
    package func intentions(changedAfter index: Index) -> Set<IntentionKey>? {
        recent.intentions(after: index)
    }

    /// A config entry. That of kind `service-intentions` is made of the intentions.
    package func configEntry(_ key: ConfigEntry.Key) -> ConfigEntryRecord? {
        guard key.kind == ConfigEntry.Kind.serviceIntentions.rawValue else {
            return files.entries[key] ?? storedEntries[key]
        }
        return Self.entry(of: intentions.filter { IntentionKey.column($0.destination) == key.name })
    }

    /// Every config entry of a kind, or of all kinds, by kind and name.
    package func configEntries(kind: String? = nil) -> [ConfigEntryRecord] {
        let plain = storedEntries.merging(files.entries) { $1 }.values
        var all = plain.filter { kind == nil || $0.entry.kind == kind }
        // Intentions may be many: they are gathered only when they are asked for.
        if kind == nil || kind == ConfigEntry.Kind.serviceIntentions.rawValue {
            let byDestination = Dictionary(grouping: intentions) {
                IntentionKey.column($0.destination)
            }
            all += byDestination.values.compactMap { Self.entry(of: $0) }
        }
        return
            all
            .sorted { $0.entry.key < $1.entry.key }
    }

    /// Intentions towards one destination, in their order, as the entry that they are to Consul.
    private static func entry(of intentions: [Intention]) -> ConfigEntryRecord? {
        guard let first = intentions.first else { return nil }
        let sources = intentions.map { intention in
            switch intention.effect {
            case .action(let action):
                ServiceIntentions.Source(
                    name: intention.source, action: action, description: intention.description,
                    legacyID: intention.id)
            case .permissions(let permissions):
                ServiceIntentions.Source(
                    name: intention.source, permissions: permissions,
                    description: intention.description, legacyID: intention.id)
            }
        }
        let owner = intentions.first { !$0.origin.acceptsWrites }?.origin ?? .api
        return ConfigEntryRecord(
            entry: .serviceIntentions(
                ServiceIntentions(
                    name: first.destination, sources: sources,
                    token: intentions.lazy.compactMap(\.token).first, meta: first.meta)),
            origin: owner, createIndex: intentions.map(\.createIndex).min() ?? .zero,
            modifyIndex: intentions.map(\.modifyIndex).max() ?? .zero)
    }

    package func intention(_ key: IntentionKey) -> Intention? {
        files.intentions[key] ?? storedIntentions[key]
    }

    /// Every intention, in the order in which they are consulted.
    package var intentions: [Intention] {
        var all = Array(files.intentions.values)
        all.reserveCapacity(all.count + storedIntentions.count)
        for (key, intention) in storedIntentions where files.intentions[key] == nil {
            all.append(intention)
        }
        return Intention.ordered(all)
    }

    /// The intentions that concern a service as destination, in the order in which they are
    /// consulted.
    package func intentions(towards name: ServiceName) -> [Intention] {
        intentions.filter { $0.destination.covers(name) }
    }

    /// The intentions that concern a service as source, in the order in which they are consulted.
    package func intentions(from name: ServiceName) -> [Intention] {
        intentions.filter { $0.source.covers(name) }
    }
}

extension StoreState {
    /// The mesh's authority, with its keys; nil before the first start is through.
    package func authority() throws -> MeshAuthority? {
        guard !rootRecords.isEmpty else { return nil }
        return try MeshAuthority(
            roots: rootRecords.values.map { record in
                try AuthorityRoot(
                    certificateDER: record.certificateDER,
                    privateKeyDER: box.open(
                        record.sealedKey, name: RootRecord.secretName(id: record.id)),
                    crossSignedDER: record.crossSignedDER, rotatedOutAt: record.rotatedOutAt,
                    trustDomain: trustDomain)
            })
    }

    /// When each root was written and last changed, by its id.
    package var rootIndexes: [String: (create: Index, modify: Index)] {
        rootRecords.mapValues { ($0.createIndex, $0.modifyIndex) }
    }

    /// When the certificate of a service was first written, and last changed.
    package func leafIndexes(_ id: SpiffeID) -> (create: Index, modify: Index)? {
        leafRecords[id].map { ($0.createIndex, $0.modifyIndex) }
    }

    /// The certificate of a service with its key.
    package func leaf(_ id: SpiffeID) throws -> LeafCertificate? {
        guard let record = leafRecords[id] else { return nil }
        let name = LeafRecord.secretName(id: id, serial: record.serial)
        return LeafCertificate(
            id: id, rootID: record.rootID, chainDER: record.chainDER,
            privateKeyDER: try box.open(record.sealedKey, name: name), serial: record.serial,
            notBefore: record.notBefore, notAfter: record.notAfter)
    }

    /// The certificates of services, by identity, keys left sealed.
    package var leaves: [LeafRecord] {
        leafRecords.values.sorted { $0.id.uri < $1.id.uri }
    }

    /// Another secret.
    package func secret(_ name: String) throws -> SecretBytes? {
        try secretRecords[name].map {
            try box.open($0.sealed, name: SecretRecord.secretName(name))
        }
    }

    /// The domain under which this installation issues identities.
    package var trustDomain: TrustDomain? {
        facts[Fact.trustDomain].flatMap { try? TrustDomain($0) }
    }

    /// Made with the database; tells this installation from others.
    package var installationID: String { facts[Fact.installationID] ?? "" }
}

/// Names of facts about the installation.
enum Fact {
    static let trustDomain = "trust_domain"
    static let installationID = "installation_id"
    static let bootstrapIndex = "acl_bootstrap_index"
    /// The virtual address that was given last.
    static let virtualAddress = "virtual_address"
}
