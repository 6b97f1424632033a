package import Foundation
import MeshModel

/// The keys of one generation of TLS session tickets, in the layout that workers take: name,
/// HMAC key, AES key.
package struct TicketKey: Sendable, Equatable {
    package static let nameBytes = 16
    package static let hmacBytes = 32
    package static let aesBytes = 32
    package static let bytes = nameBytes + hmacBytes + aesBytes

    /// Tells workers which key a ticket was made with; not secret.
    package let name: [UInt8]
    package let hmacKey: SecretBytes
    package let aesKey: SecretBytes
    package let createdAt: Date

    package static func make(
        now: Date, using generator: inout some RandomNumberGenerator
    ) -> TicketKey {
        TicketKey(
            name: generator.bytes(nameBytes), hmacKey: SecretBytes(generator.bytes(hmacBytes)),
            aesKey: SecretBytes(generator.bytes(aesBytes)), createdAt: now)
    }

    private init(name: [UInt8], hmacKey: SecretBytes, aesKey: SecretBytes, createdAt: Date) {
        self.name = name
        self.hmacKey = hmacKey
        self.aesKey = aesKey
        self.createdAt = createdAt
    }

    /// The 80 bytes `name ‖ hmac ‖ aes`.
    package var packed: SecretBytes { SecretBytes(name + hmacKey.exposed + aesKey.exposed) }

    /// A key from its 80 bytes.
    package init(packed: SecretBytes, createdAt: Date) throws {
        let all = packed.exposed
        guard all.count == Self.bytes else {
            throw MeshError(
                .invalid, "a ticket key has \(Self.bytes) bytes, not \(all.count)")
        }
        let keys = Self.nameBytes + Self.hmacBytes
        self.init(
            name: Array(all[..<Self.nameBytes]), hmacKey: SecretBytes(all[Self.nameBytes..<keys]),
            aesKey: SecretBytes(all[keys...]), createdAt: createdAt)
    }
}

/// The ticket keys in use: new tickets are made with the first, the others only open tickets that
/// are still valid. Pure: clock and randomness are parameters.
package struct TicketKeyRing: Sendable, Equatable {
    /// Tickets live at most this long, and a key makes new ones for as long.
    package static let ticketLifetime: TimeInterval = 3600

    /// The one that makes tickets first.
    package private(set) var keys: [TicketKey]

    package init(now: Date, using generator: inout some RandomNumberGenerator) {
        keys = [.make(now: now, using: &generator)]
    }

    /// The ring as it was stored, newest key first; nil when there is none.
    package init?(keys: [TicketKey]) {
        guard !keys.isEmpty else { return nil }
        self.keys = keys.sorted { $0.createdAt > $1.createdAt }
    }

    /// When the next rotation is due.
    package var rotation: Date { keys[0].createdAt.addingTimeInterval(Self.ticketLifetime) }

    /// Puts a new key first when it is time and drops keys whose last ticket has expired. Says
    /// whether anything changed.
    package mutating func rotate(
        now: Date, using generator: inout some RandomNumberGenerator
    ) -> Bool {
        guard now >= rotation else { return false }
        let retiredSince = keys.indices.map { $0 == 0 ? now : keys[$0 - 1].createdAt }
        keys = zip(keys, retiredSince)
            .filter { now.timeIntervalSince($0.1) < Self.ticketLifetime }.map(\.0)
        keys.insert(.make(now: now, using: &generator), at: 0)
        return true
    }
}
