import MeshTables
import MeshWorkers

/// The snapshot that the data plane runs, as this control plane published it.
struct PublishedNode: Sendable {
    var plan: NodePlan
    var generation: UInt64
    /// The sealed file.
    var snapshot: Descriptor
    /// The names of its listeners.
    let listeners: Set<String>

    init(plan: NodePlan, generation: UInt64, snapshot: Descriptor) {
        self.plan = plan
        self.generation = generation
        self.snapshot = snapshot
        listeners = Set(plan.compiled.listeners.map(\.name))
    }

    /// The snapshot, opened with the lookups of the workers.
    func reader() throws -> SnapshotReader { try SnapshotReader.open(snapshot) }
}

extension SnapshotReader {
    /// Reads a file that nobody can change any more.
    static func open(_ file: Descriptor) throws -> SnapshotReader {
        let mapping = try SharedMapping(file, size: SharedMemory.size(of: file))
        return try mapping.withBytes { try SnapshotReader($0) }
    }
}
