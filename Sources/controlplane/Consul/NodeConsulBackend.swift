import MeshConsul
import MeshModel
import MeshStore

/// The node, as the Consul-compatible API asks for it.
struct NodeConsulBackend: ConsulBackend {
    let store: any StateStore
    let node: NodeInfo
}
