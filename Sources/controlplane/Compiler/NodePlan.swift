import MeshModel
import MeshTables

/// What the compiler made of a desired state.
struct NodePlan: Sendable {
    var compiled: CompiledNode
    var secrets: [SecretPlan]
    /// The instance whose health an endpoint has, by ``EndpointPlan/key``.
    var health: [UInt64: ServiceID]
    /// The weights of instances.
    var weights: [ServiceID: ServiceWeights]
    /// What was left out, and why.
    var problems: [Problem]
}

extension SecretPlan {
    /// The id of a service's certificate.
    static func leafID(of service: ServiceName) -> UInt64 { id(of: "leaf/\(service.folded)") }

    /// The id of a plain listener's certificate.
    static func filesID(_ name: String) -> UInt64 { id(of: "files/\(name)") }
}
