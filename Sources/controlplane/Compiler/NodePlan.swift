import MeshModel
import MeshTables

/// What the compiler made of a desired state.
struct NodePlan: Sendable {
    var compiled: CompiledNode
    var secrets: [SecretPlan]
    /// The endpoints of instances, as far as they are others than in the plan before.
    var endpoints: EndpointChange
    /// What was left out, and why.
    var problems: [Problem]
}

/// Where one instance is dialled, over all targets.
struct InstanceEndpoints: Sendable, Equatable {
    var id: ServiceID
    var weights: ServiceWeights
    /// The ``EndpointPlan/key`` of each of its endpoints.
    var keys: [UInt64]
    /// Those of them that take no traffic while a check warns.
    var onlyPassing: Set<UInt64> = []
}

/// What of the endpoints of instances is another than in the plan that the compiler made before.
struct EndpointChange: Sendable, Equatable {
    /// Instances that have no endpoints any more.
    var gone: [ServiceID] = []
    /// Instances with others than before, or the first ones. They hold where an instance is in both
    /// lists: it has come to another service.
    var present: [InstanceEndpoints] = []
}

extension SecretPlan {
    /// The id of a service's certificate.
    static func leafID(of service: ServiceName) -> UInt64 { id(of: "leaf/\(service.folded)") }

    /// The id of a plain listener's certificate.
    static func filesID(_ name: String) -> UInt64 { id(of: "files/\(name)") }
}
