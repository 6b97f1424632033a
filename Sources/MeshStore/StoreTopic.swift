/// A kind of objects that change and are waited for.
package enum StoreTopic: String, Sendable, CaseIterable {
    /// Registered services; the key is the service's name in lower case.
    case services
    /// Instances that take part in the mesh for a service: proxies and native ones; the key is the
    /// service's name in lower case.
    case proxies
    /// Nodes that were registered in the catalog; the key is the name in lower case.
    case nodes
    /// Config entries; the key is `kind/name`.
    case configEntries
    /// Intentions; the key is the destination in lower case, or `*`.
    case intentions
    /// Roots of the mesh; the key is the root's id.
    case roots
    /// Certificates of services; the key is the identity's URI.
    case leaves
    /// Pairs of the key/value store; the key is theirs.
    case keyValues
    /// Sessions, which hold keys; the key is the session's id.
    case sessions
    /// Prepared queries; the key is the query's id.
    case preparedQueries
    /// Policies of access control; the key is the policy's id.
    case policies
    /// Tokens; the key is the token's accessor.
    case tokens
    /// Other secrets; the key is their name.
    case secrets
    /// Facts about the installation; the key is their name.
    case facts
    /// Messages of users, which are never written to disk; the key is their name.
    case events
    /// Where nodes are in a map of round trips, never written to disk.
    case coordinates
    /// Health of instances, which is never written to disk; the key is the service's name.
    case health
}

/// What a waiter waits for.
package struct Watch: Sendable, Hashable {
    package enum Scope: Sendable, Hashable {
        case all
        case key(String)
        case keys(Set<String>)
        case prefix(String)

        func covers(_ key: String) -> Bool {
            switch self {
            case .all: true
            case .key(let own): own == key
            case .keys(let own): own.contains(key)
            case .prefix(let prefix): key.utf8.starts(with: prefix.utf8)
            }
        }
    }

    package var topics: Set<StoreTopic>
    package var scope: Scope

    /// One kind, or some objects of it.
    package init(_ topic: StoreTopic, _ scope: Scope = .all) {
        self.topics = [topic]
        self.scope = scope
    }

    /// Several kinds, or the objects of these that the scope covers.
    package init(_ topics: Set<StoreTopic>, _ scope: Scope = .all) {
        self.topics = topics
        self.scope = scope
    }

    /// Whatever changes.
    package static let everything = Watch(Set(StoreTopic.allCases))

    func covers(_ touched: Touched) -> Bool {
        topics.contains(touched.topic) && scope.covers(touched.key)
    }
}

/// One object that a write changed.
struct Touched: Sendable, Hashable {
    var topic: StoreTopic
    var key: String

    init(_ topic: StoreTopic, _ key: String) {
        self.topic = topic
        self.key = key
    }
}
