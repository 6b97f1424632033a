import MeshIdentity
import MeshModel
import MeshSidecar
import MeshStore

/// The desired state of a node that is the sidecar of one service, in a mesh that a Consul agent
/// knows: what the node has of its own (settings, ticket keys) with what the agent has told.
struct AgentStates: DesiredStates {
    let own: DesiredSource
    let mirror: AgentMirror
    let names: HostNames

    func gather() async -> DesiredState {
        let state = await own.gather()
        guard let view = await mirror.view else { return state }
        return Self.merge(view, into: state, await names.addresses(of: Self.hosts(view)))
    }

    /// The names, not addresses, that are dialled.
    static func hosts(_ view: MeshView) -> Set<String> {
        var hosts = Set(
            view.knownWays.flatMap { $0.endpoints.values.flatMap { $0 } }.map(\.host))
        hosts.insert(view.registration.definition.proxy?.localServiceAddress ?? "")
        return hosts.filter { !$0.isEmpty && $0 != "localhost" && !IPText.isAddress($0[...]) }
    }

    static func merge(
        _ view: MeshView, into own: DesiredState, _ addresses: [String: String]
    ) -> DesiredState {
        var state = own
        state.settings.node.datacenter = view.datacenter
        state.settings.intentionsDefault = view.intentionsDefault
        let record = ServiceRecord(
            definition: Self.listening(view), origin: .api, createIndex: Index(1),
            modifyIndex: Index(1))
        state.inventory = Inventory([record], ports: SidecarPorts())
        state.change = nil
        state.entries = [protocolEntry(view)]
        state.intentions = view.intentions
        state.listeners = []
        state.mesh.trustDomain = view.roots.trustDomain
        state.mesh.trust = view.roots.trust
        state.mesh.leaves = [view.service: view.leaf]
        state.addresses = addresses
        state.told = ToldMesh(ways: view.ways, reached: view.reached, addresses: addresses)
        return state
    }

    /// The proxy as one that this node listens for: what an agent has registered is run by others
    /// unless somebody says that he is the one.
    private static func listening(_ view: MeshView) -> ServiceDefinition {
        var definition = view.registration.definition
        definition.proxy?.config["external"] = .bool(false)
        return definition
    }

    /// What the application behind the sidecar speaks, as the compiler looks for it.
    private static func protocolEntry(_ view: MeshView) -> ConfigEntryRecord {
        ConfigEntryRecord(
            entry: .serviceDefaults(
                ServiceDefaults(name: view.service, serviceProtocol: view.serviceProtocol)),
            origin: .derived, createIndex: Index(1), modifyIndex: Index(1))
    }
}
