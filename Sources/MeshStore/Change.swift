import MeshModel

/// One change of one object: what it was and what it is. A write is a list of these, which can be
/// applied, taken back and written to disk.
enum Change: Sendable {
    case service(ServiceID, from: ServiceRecord?, to: ServiceRecord?)
    case entry(ConfigEntry.Key, from: ConfigEntryRecord?, to: ConfigEntryRecord?)
    case intention(IntentionKey, from: Intention?, to: Intention?)
    case keyValue(KeyName, from: KeyValueRecord?, to: KeyValueRecord?)
    case session(String, from: Stored<Session>?, to: Stored<Session>?)
    case query(String, from: Stored<PreparedQuery>?, to: Stored<PreparedQuery>?)
    case policy(String, from: Stored<ACLPolicy>?, to: Stored<ACLPolicy>?)
    case token(String, from: Stored<KeptToken>?, to: Stored<KeptToken>?)
    /// Until when nobody gets a key; forgotten with the process.
    case lockDelay(KeyName, from: ContinuousClock.Instant?, to: ContinuousClock.Instant?)
    /// A node that was registered in the catalog, by its name in lower case.
    case catalogNode(String, from: Stored<CatalogNode>?, to: Stored<CatalogNode>?)
    /// Where a service of the mesh is called as a whole, by its name in lower case.
    case virtualAddress(String, from: VirtualAddress?, to: VirtualAddress?)
    case root(String, from: RootRecord?, to: RootRecord?)
    case leaf(SpiffeID, from: LeafRecord?, to: LeafRecord?)
    case secret(String, from: SecretRecord?, to: SecretRecord?)
    case fact(String, from: String?, to: String?)
    /// The parts that a file owns; they are never written to disk.
    case fileLayer(from: FileLayer, to: FileLayer)
    /// Something outside the store changed; only waiters learn of it.
    case note(StoreTopic, key: String)

    /// Whether the change is for memory only.
    var isVolatile: Bool {
        switch self {
        case .fileLayer, .note, .lockDelay: true
        case .service, .entry, .intention, .keyValue, .session, .query, .policy, .token,
            .catalogNode, .virtualAddress, .root, .leaf,
            .secret, .fact:
            false
        }
    }

    /// The objects that waiters see changed, with whether each of them is gone.
    var touched: [(object: Touched, isGone: Bool)] {
        switch self {
        case .service(_, let old, let new):
            Self.services(old, new)
        case .entry(let key, _, let new):
            [(Touched(.configEntries, Self.key(key)), new == nil)]
        case .intention(let key, _, let new):
            Self.intention(key, isGone: new == nil)
        case .keyValue(let key, _, let new): [(Touched(.keyValues, key.text), new == nil)]
        case .session(let id, _, let new): [(Touched(.sessions, id), new == nil)]
        case .query(let id, _, let new): [(Touched(.preparedQueries, id), new == nil)]
        case .policy(let id, _, let new): [(Touched(.policies, id), new == nil)]
        case .token(let id, _, let new): [(Touched(.tokens, id), new == nil)]
        case .catalogNode(let key, let old, let new):
            Self.catalogNode(key, old?.value, new?.value)
        // Shown with instances, which are others then, too.
        case .lockDelay, .virtualAddress: []
        case .root(let id, _, let new): [(Touched(.roots, id), new == nil)]
        case .leaf(let id, _, let new): [(Touched(.leaves, id.uri), new == nil)]
        case .secret(let name, _, let new): [(Touched(.secrets, name), new == nil)]
        case .fact(let name, _, let new): [(Touched(.facts, name), new == nil)]
        case .fileLayer(let old, let new): FileLayer.touched(old, new)
        case .note(let topic, let key): [(Touched(topic, key), false)]
        }
    }

    static func key(_ key: ConfigEntry.Key) -> String { "\(key.kind)/\(key.name)" }

    /// A service that was renamed is gone under its old name.
    static func services(
        _ old: ServiceRecord?, _ new: ServiceRecord?
    ) -> [(object: Touched, isGone: Bool)] {
        let definitions = [old?.definition, new?.definition].compactMap { $0 }
        return definitions.reduce(into: Set()) { $0.formUnion(concerned(by: $1)) }
            .map { ($0, false) }
    }

    /// An intention is also a part of its destination's config entry.
    static func intention(
        _ key: IntentionKey, isGone: Bool
    ) -> [(object: Touched, isGone: Bool)] {
        let destination = IntentionKey.column(key.destination)
        let entry = ConfigEntry.Key(
            kind: ConfigEntry.Kind.serviceIntentions.rawValue, name: destination)
        return [
            (Touched(.intentions, destination), false),
            (Touched(.configEntries, Self.key(entry)), false),
        ]
    }
}
