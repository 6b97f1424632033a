package import Foundation
package import MeshModel

/// A registered service with its history. Definitions are large and many: copies share one.
package struct ServiceRecord: Sendable, Hashable {
    /// What was registered, shared by all copies of the record.
    package final class Content: Sendable {
        package let definition: ServiceDefinition
        package let origin: Origin
        /// Whether the definition asks for a sidecar.
        package let wantsSidecar: Bool
        /// Whether it is a proxy that was registered by hand.
        package let isProxy: Bool
        /// Whether it is a gateway that its node serves.
        package let isGateway: Bool

        fileprivate init(_ definition: ServiceDefinition, _ origin: Origin) {
            self.definition = definition
            self.origin = origin
            wantsSidecar = definition.connect.sidecarService != nil
            isProxy = definition.kind == .connectProxy
            isGateway =
                definition.kind == .ingressGateway || definition.kind == .terminatingGateway
        }
    }

    package let content: Content
    package var createIndex: Index
    package var modifyIndex: Index

    package init(
        definition: ServiceDefinition, origin: Origin, createIndex: Index, modifyIndex: Index
    ) {
        content = Content(definition, origin)
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }

    /// Lent, not copied: it is large, and most look at one member.
    package var definition: ServiceDefinition {
        _read { yield content.definition }
    }
    package var origin: Origin { content.origin }
    package var wantsSidecar: Bool { content.wantsSidecar }
    package var isProxy: Bool { content.isProxy }
    package var id: ServiceID { content.definition.id }

    package static func == (left: Self, right: Self) -> Bool {
        left.createIndex == right.createIndex && left.modifyIndex == right.modifyIndex
            && left.content == right.content
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension ServiceRecord.Content: Equatable {
    package static func == (left: ServiceRecord.Content, right: ServiceRecord.Content) -> Bool {
        left === right || (left.definition == right.definition && left.origin == right.origin)
    }
}

/// A config entry with its history.
package struct ConfigEntryRecord: Sendable, Hashable {
    package var entry: ConfigEntry
    package var origin: Origin
    package var createIndex: Index
    package var modifyIndex: Index

    package init(entry: ConfigEntry, origin: Origin, createIndex: Index, modifyIndex: Index) {
        self.entry = entry
        self.origin = origin
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }
}

/// What names an intention: there is at most one for a source and a destination.
package struct IntentionKey: Sendable, Hashable {
    package var source: NamePattern
    package var destination: NamePattern

    package init(source: NamePattern, destination: NamePattern) {
        self.source = source
        self.destination = destination
    }

    /// A pattern as a column of the database: compared without case.
    static func column(_ pattern: NamePattern) -> String {
        switch pattern {
        case .any: "*"
        case .exact(let name): name.folded
        }
    }
}

/// A pair of the key/value store.
package struct KeyValueRecord: Sendable, Hashable {
    package var key: String
    package var value: [UInt8]
    /// Whatever the writer means by it.
    package var flags: UInt64
    /// How often the key was locked.
    package var lockIndex: UInt64
    /// The session that holds the key.
    package var session: String?
    package var createIndex: Index
    package var modifyIndex: Index
}

/// A root of the mesh at rest: its key is sealed.
struct RootRecord: Sendable, Hashable {
    var id: String
    var certificateDER: [UInt8]
    var crossSignedDER: [[UInt8]]
    var rotatedOutAt: Date?
    var sealedKey: [UInt8]
    var createIndex: Index
    var modifyIndex: Index

    static func secretName(id: String) -> String { "root/\(id)" }
}

/// A service's certificate at rest: its key is sealed.
package struct LeafRecord: Sendable, Hashable {
    package var id: SpiffeID
    package var rootID: String
    package var chainDER: [[UInt8]]
    package var serial: [UInt8]
    package var notBefore: Date
    package var notAfter: Date
    var sealedKey: [UInt8]
    package var createIndex: Index
    package var modifyIndex: Index

    /// Bound to the serial as well: the key of an older leaf does not fit a newer one.
    static func secretName(id: SpiffeID, serial: [UInt8]) -> String {
        let digits = serial.map { String($0, radix: 16) }.joined(separator: ":")
        return "leaf/\(id.uri)/\(digits)"
    }
}

/// A secret of another kind at rest, for example ticket keys.
struct SecretRecord: Sendable, Hashable {
    var name: String
    var sealed: [UInt8]
    var createIndex: Index
    var modifyIndex: Index

    static func secretName(_ name: String) -> String { "secret/\(name)" }
}
