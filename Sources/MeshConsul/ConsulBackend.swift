package import MeshIdentity
package import MeshModel
package import MeshStore

/// What the API asks of the control plane besides the store, which it reads and waits on itself.
package protocol ConsulBackend: Sendable {
    var store: any StateStore { get }
    /// This node, the only one that is its own server.
    var node: NodeInfo { get }

    /// What runs on this node, sidecars too, in any order.
    func localInstances(_ selection: CatalogSelection) async -> [LocalInstance]
    /// What is said of this node itself.
    func nodeChecks() async -> [CatalogCheck]

    /// Makes the data plane follow what was written; returns when it does, or is known not to.
    func settle(_ cause: String) async
    /// What a TTL check reports. Throws `notFound` when there is no such check, `invalid` when it
    /// is none that reports.
    func report(check id: String, _ status: CheckStatus, _ output: String) async throws
    /// Who is believed in the mesh.
    func connectRoots() async throws -> ConnectRoots
    /// The certificate of a service, which need not be registered: one that is good for a while.
    func connectLeaf(of service: ServiceName) async throws -> ConnectLeaf
    /// Whether there is one already.
    func hasLeaf(of service: ServiceName) async throws -> Bool
    /// How long certificates of services are good, unless something else was set.
    var leafTTL: MeshDuration { get }
    /// What was set of the authority.
    func authoritySettings() async -> AuthoritySettings
    /// Takes other settings of the authority; with a key, its root takes over and the data plane
    /// knows it when this returns. Throws, and nothing is changed, when the key is none.
    func configureAuthority(_ settings: AuthoritySettings, key: AuthorityKey?) async throws
    /// What holds where no intention covers a call.
    func intentionsDefault() async -> IntentionAction
    /// Reads a config entry; throws ``EntryFailure``.
    func configEntry(_ document: [UInt8]) throws -> ConfigEntry

    /// Makes or replaces a check of the node itself.
    func putNodeCheck(_ check: CheckDefinition) async throws
    /// Says whether there was one.
    func removeNodeCheck(_ id: String) async throws -> Bool
}

extension ConsulBackend {
    /// The node's id: that of the installation, which is kept with the store.
    package var nodeID: String { store.snapshot.installationID }

    /// Where servers would talk to each other. Nothing listens there: clients only compare it.
    package var serverAddress: String {
        HostPort(host: node.address, port: ConsulVersion.serverPort).description
    }
}

/// What the API says it is.
package enum ConsulVersion {
    package static let text = "1.9.8"
    static let serverPort: UInt16 = 8300
    static let serfPort: UInt16 = 8301
    static let wanPort: UInt16 = 8302
}
