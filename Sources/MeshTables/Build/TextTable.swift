import CMeshABI
import Glibc

/// The TEXT section while it is written: every text stands once.
struct TextTable: Sendable {
    private(set) var bytes: [UInt8] = []
    private var entries: [abi_text] = []
    /// Open addressing: index of an entry + 1, or 0. A power of two, at most half full.
    private var slots: [UInt32]

    init(expecting count: Int = 1024) {
        var size = 2048
        while size < count * 2 { size *= 2 }
        slots = Array(repeating: 0, count: size)
        entries.reserveCapacity(count)
        bytes.reserveCapacity(count * 16)
    }

    /// The place of a text, or nil when it cannot stand in a snapshot: too long, or with a NUL.
    mutating func place(_ text: String) -> abi_text? {
        var text = text
        return text.withUTF8 { place($0) }
    }

    private mutating func place(_ text: UnsafeBufferPointer<UInt8>) -> abi_text? {
        if text.isEmpty { return abi_text() }
        guard text.count <= LIMIT_TEXT else { return nil }
        var slot = Int(truncatingIfNeeded: Self.hash(text)) & (slots.count - 1)
        while slots[slot] != 0 {
            let entry = entries[Int(slots[slot]) - 1]
            if Int(entry.len) == text.count, holds(text, at: Int(entry.at)) { return entry }
            slot = (slot + 1) & (slots.count - 1)
        }
        guard !text.contains(0) else { return nil }
        let entry = abi_text(at: UInt32(bytes.count), len: UInt32(text.count))
        bytes.append(contentsOf: text)
        entries.append(entry)
        slots[slot] = UInt32(entries.count)
        if entries.count * 2 > slots.count { grow() }
        return entry
    }

    /// Adds all texts of another table behind these, and says where they begin. They are not looked
    /// for among these, nor found later: for texts that are mostly met in one place.
    mutating func append(_ other: TextTable) -> UInt32 {
        let base = UInt32(bytes.count)
        bytes.append(contentsOf: other.bytes)
        return base
    }

    private func holds(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        let count = text.count
        return bytes.withUnsafeBytes { all in
            // Entries lie within the table, and no text is empty here.
            guard let known = all.baseAddress?.advanced(by: start), let text = text.baseAddress
            else { return false }
            return memcmp(known, text, count) == 0
        }
    }

    private mutating func grow() {
        var larger = [UInt32](repeating: 0, count: slots.count * 2)
        bytes.withUnsafeBufferPointer { all in
            for (index, entry) in entries.enumerated() {
                let start = Int(entry.at)
                let text = UnsafeBufferPointer(rebasing: all[start..<start + Int(entry.len)])
                var slot = Int(truncatingIfNeeded: Self.hash(text)) & (larger.count - 1)
                while larger[slot] != 0 { slot = (slot + 1) & (larger.count - 1) }
                larger[slot] = UInt32(index + 1)
            }
        }
        slots = larger
    }

    /// Only for this table: eight bytes a step.
    private static func hash(_ text: UnsafeBufferPointer<UInt8>) -> UInt64 {
        let raw = UnsafeRawBufferPointer(text)
        var hash = UInt64(raw.count) &* 0x9e37_79b9_7f4a_7c15
        var at = 0
        while at + 8 <= raw.count {
            hash =
                (hash ^ raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                &* 0xff51_afd7_ed55_8ccd
            hash ^= hash >> 32
            at += 8
        }
        var tail: UInt64 = 0
        while at < raw.count {
            tail = tail << 8 | UInt64(raw[at])
            at += 1
        }
        hash = (hash ^ tail) &* 0xc4ce_b9fe_1a85_ec53
        return hash ^ hash >> 29
    }
}
