import MeshTables

/// The snapshot that the data plane runs, as this control plane published it.
struct PublishedNode: Sendable {
    var plan: NodePlan
    var image: SnapshotImage

    var generation: UInt64 { image.generation }
}
