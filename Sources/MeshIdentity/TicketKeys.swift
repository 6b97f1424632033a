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

/// The ticket keys of a node: one that makes tickets, the one that will make them next, and those
/// that only open tickets which are still valid. Pure: clock and randomness are parameters.
///
/// The next key is given out a whole period before its first ticket, so that every worker, and
/// every node that shares the ring, can open a ticket whichever of them made it.
package struct TicketKeyRing: Sendable, Equatable {
    /// Newest first: the next one, the one that makes tickets, older ones. Each was made when the
    /// one behind it began to make tickets.
    package private(set) var keys: [TicketKey]
    /// How long a key makes tickets.
    package let period: TimeInterval

    /// Tickets live at most this long: an hour, and never so long that many old keys are needed.
    package var ticketLifetime: TimeInterval { min(3600, 4 * period) }

    package init(
        now: Date, period: TimeInterval, using generator: inout some RandomNumberGenerator
    ) {
        keys = [.make(now: now, using: &generator), .make(now: now, using: &generator)]
        self.period = period
    }

    /// The ring as it was stored; nil when keys are missing.
    package init?(keys: [TicketKey], period: TimeInterval) {
        guard keys.count >= 2 else { return nil }
        self.keys = keys
        self.period = period
    }

    /// As workers take them: the key that makes tickets first, then all that open them.
    package var inUse: [TicketKey] { [keys[1], keys[0]] + keys[2...] }

    /// When the keys in use are others: a rotation, or the end of an old key.
    package var nextChange: Date {
        let retirement = keys.indices.dropFirst(2).map { end(of: $0) }
        return retirement.reduce(rotation, min)
    }

    /// When the next key begins to make tickets.
    private var rotation: Date { keys[0].createdAt.addingTimeInterval(period) }

    /// When the last ticket of an old key expires: it made tickets until the key before the one
    /// before it was made.
    private func end(of index: Int) -> Date {
        keys[index - 2].createdAt.addingTimeInterval(ticketLifetime)
    }

    /// Does what is due by now. Says whether anything changed.
    package mutating func rotate(
        now: Date, using generator: inout some RandomNumberGenerator
    ) -> Bool {
        let before = keys.count
        let isDue = now >= rotation
        // A clock that was set back would keep a key for as long as it was wrong.
        let isAhead = keys[0].createdAt.timeIntervalSince(now) > 60
        if isDue || isAhead { keys.insert(.make(now: now, using: &generator), at: 0) }
        let ended = keys.indices.dropFirst(2).filter { end(of: $0) <= now }
        for index in ended.reversed() { keys.remove(at: index) }
        return isDue || isAhead || keys.count != before
    }
}
