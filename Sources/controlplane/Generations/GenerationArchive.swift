import Foundation
import MeshHealth
import MeshIdentity
import MeshStore
import Synchronization

/// Keeps the generations that were published last over a restart, in the store, where they are
/// encrypted: they hold keys of certificates.
///
/// A publication waits for no write: what is new is written together, at most once a second and at
/// the end. Bounded by the history it follows, by the size of one record and of all. A record that
/// cannot be read, as one of another version may be, is left out.
actor GenerationArchive {
    /// Bytes of records.
    static let mostOfOne = 4 << 20
    static let mostOfAll = 16 << 20

    private let store: any StateStore
    private let board: ProblemBoard
    private let pause: Duration
    /// What is stored, the oldest first.
    private var stored: [GenerationIndex.Item]
    /// Generations whose records were too large: they are not made again.
    private var tooLarge: Set<UInt64> = []
    private nonisolated let waiting = Mutex<GenerationHistory?>(nil)
    private let signal = WakeSignal()

    init(store: any StateStore, board: ProblemBoard, pause: Duration = .seconds(1)) throws {
        self.store = store
        self.board = board
        self.pause = pause
        stored = try NodeRecord.generations.load(store.snapshot)?.items ?? []
    }

    /// The generations of before, the oldest first.
    nonisolated static func load(_ store: any StateStore) throws -> [GenerationHistory.Entry] {
        let state = store.snapshot
        let items = try NodeRecord.generations.load(state)?.items ?? []
        return items.compactMap { try? NodeRecord.entry($0.generation).load(state) }
    }

    /// The history is this now; it is stored soon. Making records takes long: nobody waits for it.
    nonisolated func keep(_ history: GenerationHistory) {
        waiting.withLock { $0 = history }
        signal.wake()
    }

    /// Stores what is to be kept until the task is cancelled; ``flush()`` stores the rest.
    func run() async {
        while !Task.isCancelled {
            await signal.wait()
            await flush()
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: pause)
        }
    }

    /// Stores what has not been stored yet.
    func flush() async {
        let next = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        guard let history = next else { return }
        let known = Set(stored.map(\.generation)).union(tooLarge)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        do {
            var records: [(item: GenerationIndex.Item, bytes: Data)] = []
            for entry in history.entries where !known.contains(entry.generation) {
                // As large as the snapshot, about: not made to be thrown away.
                if entry.size > 2 * Self.mostOfOne { continue }
                let bytes = try encoder.encode(entry)
                if bytes.count > Self.mostOfOne {
                    tooLarge.insert(entry.generation)
                    continue
                }
                records.append(
                    (GenerationIndex.Item(generation: entry.generation, size: bytes.count), bytes))
            }
            let wanted = Set(history.entries.map(\.generation))
            tooLarge.formIntersection(wanted)
            let all = Self.bounded(
                stored.filter { wanted.contains($0.generation) } + records.map(\.item))
            let left = Set(all.map(\.generation))
            let gone = stored.filter { !left.contains($0.generation) }
            let fresh = records.filter { left.contains($0.item.generation) }
            if gone.isEmpty, fresh.isEmpty { return }
            try await store.write { draft in
                for item in gone { try draft.putSecret(item.record, nil) }
                for (item, bytes) in fresh { try draft.putSecret(item.record, SecretBytes(bytes)) }
                try NodeRecord.generations.save(GenerationIndex(items: all), &draft)
            }
            stored = all
            board.clear(.store, "history")
        } catch {
            // Tried again with the next publication.
            board.set(.store, "history", "the list of generations is not stored: \(error)")
        }
    }

    /// The newest of them that fit.
    static func bounded(_ items: [GenerationIndex.Item]) -> [GenerationIndex.Item] {
        var bytes = 0
        var kept: [GenerationIndex.Item] = []
        for item in items.reversed() {
            bytes += item.size
            if bytes > mostOfAll { break }
            kept.append(item)
        }
        return kept.reversed()
    }
}

/// Which generations are stored, the oldest first.
struct GenerationIndex: Codable, Sendable {
    struct Item: Codable, Sendable, Equatable {
        var generation: UInt64
        /// Bytes of its record.
        var size: Int

        var record: String { NodeRecord.entry(generation).name }
    }

    var items: [Item]
}

extension NodeRecord<GenerationIndex> {
    static var generations: NodeRecord { NodeRecord(name: "node/generations") }
}

extension NodeRecord<GenerationHistory.Entry> {
    static func entry(_ generation: UInt64) -> NodeRecord {
        NodeRecord(name: "node/generations/\(generation)")
    }
}
