/// Gives small numbers to 64-bit keys, the same ones as long as a key is in use.
///
/// A slot whose key is gone is given to another key only when every worker has released the last
/// generation that used it: until then a worker may still read or count through it.
package struct SlotAllocator: Sendable {
    private var slots: [UInt64: UInt32] = [:]
    /// By slot: its key, and the newest generation that has it. A free slot has generation 0.
    private var uses: [(key: UInt64, generation: UInt64)] = []
    private var free: [UInt32] = []
    package let capacity: UInt32

    package init(capacity: UInt32) { self.capacity = capacity }

    /// Slots in use, or not yet released.
    package var count: Int { slots.count }

    /// Makes room for keys that are about to come.
    mutating func reserve(_ count: Int) {
        slots.reserveCapacity(slots.count + count)
        uses.reserveCapacity(uses.count + count)
    }

    /// The slot of a key in this generation, or nil when all are taken.
    package mutating func slot(for key: UInt64, generation: UInt64) -> UInt32? {
        if let slot = slots[key] {
            uses[Int(slot)].generation = generation
            return slot
        }
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
            uses[Int(slot)] = (key, generation)
        } else if uses.count < capacity {
            slot = UInt32(uses.count)
            uses.append((key, generation))
        } else {
            return nil
        }
        slots[key] = slot
        return slot
    }

    /// Notes that this generation uses a slot that the key has already. False when it has not.
    mutating func keep(_ slot: UInt32, for key: UInt64, generation: UInt64) -> Bool {
        guard Int(slot) < uses.count, uses[Int(slot)].key == key,
            uses[Int(slot)].generation != 0
        else { return false }
        uses[Int(slot)].generation = generation
        return true
    }

    /// The slot that a key has now.
    package func current(_ key: UInt64) -> UInt32? { slots[key] }

    /// Frees the slots of keys that no generation from `oldest` on uses; returns them, so that
    /// their owner can clear what was kept there.
    package mutating func release(before oldest: UInt64) -> [UInt32] {
        var freed: [UInt32] = []
        for slot in uses.indices where (1..<max(oldest, 1)).contains(uses[slot].generation) {
            slots[uses[slot].key] = nil
            uses[slot] = (0, 0)
            freed.append(UInt32(slot))
        }
        free.append(contentsOf: freed.reversed())
        return freed
    }

    /// Takes over a key of a running snapshot; false when the slot is another's.
    mutating func adopt(key: UInt64, slot: UInt32, generation: UInt64) -> Bool {
        if let known = slots[key] { return known == slot }
        guard slot < capacity else { return false }
        while uses.count <= Int(slot) { uses.append((0, 0)) }
        guard uses[Int(slot)].generation == 0 else { return false }
        uses[Int(slot)] = (key, generation)
        slots[key] = slot
        return true
    }

    /// Ends a series of adopt(): everything else is free.
    mutating func finishAdopting() {
        free = uses.indices.reversed().filter { uses[$0].generation == 0 }.map { UInt32($0) }
    }
}
