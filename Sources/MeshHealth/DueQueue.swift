/// Things that are due at instants, the earliest first: a binary heap.
struct DueQueue<Item: Sendable>: Sendable {
    private struct Entry: Sendable {
        let due: ContinuousClock.Instant
        let item: Item
    }

    private var heap: [Entry] = []

    var next: ContinuousClock.Instant? { heap.first?.due }
    var count: Int { heap.count }

    /// Makes room for items that are about to come.
    mutating func reserve(_ count: Int) { heap.reserveCapacity(heap.count + count) }

    mutating func insert(_ item: Item, due: ContinuousClock.Instant) {
        heap.append(Entry(due: due, item: item))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].due < heap[parent].due else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest if it is due.
    mutating func take(now: ContinuousClock.Instant) -> Item? {
        guard let first = heap.first, first.due <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].due < heap[least].due { least = child }
            guard least != parent else { return first.item }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
