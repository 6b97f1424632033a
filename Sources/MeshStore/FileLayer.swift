package import MeshModel

/// What the configuration and its folders own. It lies over what the store holds: an object of a
/// file hides one of the same name that was written over the API, and cannot be written over it.
package struct FileLayer: Sendable, Hashable {
    package private(set) var services: [ServiceID: ServiceRecord] = [:]
    /// Without intentions, which stand for themselves.
    package private(set) var entries: [ConfigEntry.Key: ConfigEntryRecord] = [:]
    package private(set) var intentions: [IntentionKey: Intention] = [:]

    package init() {}

    /// Takes objects with the places that own them. Throws when two of them claim one name.
    package init(
        services: [(ServiceDefinition, Origin)], entries: [(ConfigEntry, Origin)]
    ) throws {
        for (definition, origin) in services {
            let record = ServiceRecord(
                definition: definition, origin: origin, createIndex: .zero, modifyIndex: .zero)
            if let other = self.services.updateValue(record, forKey: definition.id) {
                throw Self.twice("service \(definition.id)", origin, other.origin)
            }
        }
        for (entry, origin) in entries { try add(entry, origin) }
    }

    private mutating func add(_ entry: ConfigEntry, _ origin: Origin) throws {
        guard case .serviceIntentions(let intentions) = entry else {
            let record = ConfigEntryRecord(
                entry: entry, origin: origin, createIndex: .zero, modifyIndex: .zero)
            if let other = entries.updateValue(record, forKey: entry.key) {
                throw Self.twice("\(entry.kind) \(entry.name)", origin, other.origin)
            }
            return
        }
        for intention in intentions.intentions(origin: origin) {
            let key = IntentionKey(source: intention.source, destination: intention.destination)
            if let other = self.intentions.updateValue(intention, forKey: key) {
                throw Self.twice(
                    "the intention \(key.source) => \(key.destination)", origin, other.origin)
            }
        }
    }

    private static func twice(_ what: String, _ here: Origin, _ there: Origin) -> MeshError {
        MeshError(.conflict, "\(what) is defined in \(here) and in \(there): keep one of them")
    }

    /// This layer with the history of what it replaces: unchanged objects keep their indexes.
    func taking(_ old: FileLayer, index: Index) -> FileLayer {
        var next = self
        for (id, record) in services {
            let before = old.services[id]
            let same = before?.definition == record.definition && before?.origin == record.origin
            next.services[id]?.createIndex = before?.createIndex ?? index
            next.services[id]?.modifyIndex = same ? before?.modifyIndex ?? index : index
        }
        for (key, record) in entries {
            let before = old.entries[key]
            let same = before?.entry == record.entry && before?.origin == record.origin
            next.entries[key]?.createIndex = before?.createIndex ?? index
            next.entries[key]?.modifyIndex = same ? before?.modifyIndex ?? index : index
        }
        for (key, intention) in intentions {
            var before = old.intentions[key]
            next.intentions[key]?.createIndex = before?.createIndex ?? index
            let modified = before?.modifyIndex ?? index
            before?.createIndex = .zero
            before?.modifyIndex = .zero
            next.intentions[key]?.modifyIndex = before == intention ? modified : index
        }
        return next
    }

    /// The objects that differ between two layers.
    static func touched(
        _ old: FileLayer, _ new: FileLayer
    ) -> [(object: Touched, isGone: Bool)] {
        var all: [(object: Touched, isGone: Bool)] = []
        for id in changed(old.services, new.services) {
            all += Change.services(old.services[id], new.services[id])
        }
        for key in changed(old.entries, new.entries) {
            all.append((Touched(.configEntries, Change.key(key)), new.entries[key] == nil))
        }
        for key in changed(old.intentions, new.intentions) {
            all += Change.intention(key, isGone: new.intentions[key] == nil)
        }
        return all
    }

    private static func changed<Key: Hashable, Value: Hashable>(
        _ old: [Key: Value], _ new: [Key: Value]
    ) -> Set<Key> {
        Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }
    }
}
