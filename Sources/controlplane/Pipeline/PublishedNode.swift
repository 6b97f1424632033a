import MeshModel
import MeshTables

/// The snapshot that the data plane runs, as this control plane published it.
struct PublishedNode: Sendable {
    var plan: NodePlan
    var image: SnapshotImage
    /// The endpoints of each instance, by their keys.
    let endpoints: [ServiceID: [UInt64]]

    init(plan: NodePlan, image: SnapshotImage) {
        self.plan = plan
        self.image = image
        endpoints = Dictionary(grouping: plan.health.keys) { key in
            guard let service = plan.health[key] else { fatalError("the key is one of the plan's") }
            return service
        }
    }

    var generation: UInt64 { image.generation }
}
