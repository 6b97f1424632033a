import Foundation
import MeshTables
import MeshWorkers

/// The generations that were published last: what they held, why they came, how far they got.
///
/// Bounded by number and by the size of their snapshots, which their plans are about as large as.
/// Over a restart ``GenerationArchive`` keeps them. Pure.
struct GenerationHistory: Sendable {
    /// One publication.
    struct Entry: Sendable, Codable {
        var generation: UInt64
        var at: Date
        /// What it came from, in words.
        var causes: [String]
        /// Published again because somebody went back to it: that generation's number.
        var copyOf: UInt64?
        var plan: CompiledNode
        /// What it was published with: going back to it needs the keys of what has gone since.
        var secrets: [SecretPlan]
        /// Bytes of its snapshot.
        var size: Int
        var outcome: Outcome

        /// Whether workers have taken it, at least some.
        var wasTaken: Bool { outcome.kind == .live || outcome.kind == .partial }
    }

    /// How far it came; the numbers are those of workers.
    struct Outcome: Sendable, Equatable, Codable {
        enum Kind: String, Sendable, Codable { case live, partial, refused, unknown }
        var kind: Kind
        var laggards: [Int] = []
        var refusals: [String] = []
    }

    let mostEntries: Int
    let mostBytes: Int
    /// The oldest first.
    private(set) var entries: [Entry] = []

    init(mostEntries: Int = 50, mostBytes: Int = 64 << 20, _ kept: [Entry] = []) {
        self.mostEntries = mostEntries
        self.mostBytes = mostBytes
        for entry in kept { add(entry) }
    }

    /// The newest stays whatever its size.
    mutating func add(_ entry: Entry) {
        entries.append(entry)
        var bytes = entries.reduce(0) { $0 + $1.size }
        while entries.count > 1, entries.count > mostEntries || bytes > mostBytes {
            bytes -= entries.removeFirst().size
        }
    }

    subscript(_ generation: UInt64) -> Entry? {
        entries.last { $0.generation == generation }
    }

    /// What a generation held: its own entry, or, when that is forgotten, the newest of those that
    /// were published in its place.
    func content(of generation: UInt64) -> Entry? {
        self[generation] ?? entries.last { $0.copyOf == generation && $0.wasTaken }
    }

    /// The newest that workers have taken.
    var live: Entry? {
        entries.last(where: \.wasTaken)
    }

    /// The one that was live before this one.
    func predecessor(of generation: UInt64) -> Entry? {
        entries.last { $0.generation < generation && $0.wasTaken }
    }
}

/// What the next publication comes from, gathered until it begins.
struct ChangeCauses: Sendable, Equatable {
    static let most = 16
    private(set) var texts: [String] = []
    private var more = 0

    mutating func add(_ text: String) {
        if texts.contains(text) { return }
        if texts.count < Self.most { texts.append(text) } else { more += 1 }
    }

    /// All of them, and afterwards none.
    mutating func take() -> [String] {
        defer { self = ChangeCauses() }
        return all
    }

    var all: [String] { more > 0 ? texts + ["and \(more) more"] : texts }
    var count: Int { texts.count + more }
}

extension GenerationHistory.Outcome {
    init(_ outcome: PublishOutcome) {
        switch outcome {
        case .live: self.init(kind: .live)
        case .partial(let laggards): self.init(kind: .partial, laggards: laggards)
        case .refused(let refusals):
            self.init(
                kind: .refused,
                refusals: refusals.map { refusal in
                    (refusal.worker.map { "worker \($0): " } ?? "") + refusal.reason
                })
        case .unknown(let reason): self.init(kind: .unknown, refusals: [reason])
        }
    }
}
