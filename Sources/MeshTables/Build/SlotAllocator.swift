import MeshModel

/// Gives small numbers to 64-bit keys, the same ones as long as a key is in use.
///
/// A slot whose key is gone is given to another key only when every worker has released the last
/// generation that used it: until then a worker may still read or count through it.
package struct SlotAllocator: Sendable {
    private struct Entry {
        var slot: UInt32
        /// The newest generation that has the key.
        var generation: UInt64
    }

    private var entries: [UInt64: Entry] = [:]
    private var free: [UInt32] = []
    private var next: UInt32 = 0
    package let capacity: UInt32

    package init(capacity: UInt32) { self.capacity = capacity }

    /// Slots in use, or not yet released.
    package var count: Int { entries.count }

    /// The slot of a key in this generation, or nil when all are taken.
    package mutating func slot(for key: UInt64, generation: UInt64) -> UInt32? {
        if let index = entries.index(forKey: key) {
            entries.values[index].generation = generation
            return entries.values[index].slot
        }
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else if next < capacity {
            slot = next
            next += 1
        } else {
            return nil
        }
        entries[key] = Entry(slot: slot, generation: generation)
        return slot
    }

    /// The slot that a key has now.
    package func current(_ key: UInt64) -> UInt32? { entries[key]?.slot }

    /// Frees the slots of keys that no generation from `oldest` on uses; returns them, so that their
    /// owner can clear what was kept there.
    package mutating func release(before oldest: UInt64) -> [UInt32] {
        let gone = entries.filter { $0.value.generation < oldest }
        for key in gone.keys { entries[key] = nil }
        let slots = gone.values.map(\.slot).sorted()
        free.append(contentsOf: slots.reversed())
        return slots
    }

    /// Takes over a key of a running snapshot; false when the slot cannot be had.
    mutating func adopt(key: UInt64, slot: UInt32, generation: UInt64) -> Bool {
        if let entry = entries[key] { return entry.slot == slot }
        guard slot < capacity else { return false }
        entries[key] = Entry(slot: slot, generation: generation)
        return true
    }

    /// Ends a series of adopt(): everything else is free.
    mutating func finishAdopting() {
        let taken = Set(entries.values.map(\.slot))
        next = (taken.max() ?? 0) + (taken.isEmpty ? 0 : 1)
        free = (0..<next).filter { !taken.contains($0) }.reversed()
    }
}
