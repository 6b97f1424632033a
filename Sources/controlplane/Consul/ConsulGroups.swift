import MeshConfig
import MeshConsul
import MeshHTTP
import MeshModel
import MeshStore
import MeshTelemetry

/// The Consul-compatible API of a node: its groups of endpoints and the addresses it has.
struct ConsulGroups {
    let configuration: Configuration
    let backend: any ConsulBackend
    let control: ConsulAccess
    let sessions: SessionKeeper
    let instances: CatalogInstances
    let proxies: ProxyTokens
    let log: Logger

    /// Every group. A new one is added here and nowhere else.
    private var groups: [any EndpointGroup] {
        [
            StatusEndpoints(backend: backend),
            AgentSelfEndpoints(backend: backend, access: access),
            AgentServiceEndpoints(backend: backend, access: access, queries: queries),
            ManagedProxyEndpoints(backend: backend, access: access, queries: queries),
            AgentCheckEndpoints(backend: backend, access: access),
            CatalogEndpoints(backend: backend, access: access, queries: queries),
            CatalogWriteEndpoints(backend: backend, access: access),
            HealthEndpoints(backend: backend, access: access, queries: queries),
            ConfigEndpoints(backend: backend, access: access, queries: queries),
            ChainEndpoints(backend: backend, access: access, queries: queries),
            AuthorityEndpoints(backend: backend, access: access, queries: queries),
            IntentionEndpoints(
                backend: backend, access: access, queries: queries,
                now: { WallTime.nanoseconds() }),
        ]
            + StateGroups(
                configuration: configuration, backend: backend, access: control,
                sessions: sessions, instances: instances
            ).groups
    }

    private var queries: Queries {
        Queries(store: backend.store, datacenter: backend.node.datacenter.text)
    }

    private var access: any AccessPolicy {
        ProxyTokenAccess(control.policy, tokens: proxies, isOpen: control.isOpen)
    }

    /// A server for each address of the configuration, with the name that errors call it by.
    func servers() throws -> [(name: String, server: HTTPServer)] {
        let api = ConsulAPI(groups: groups, access: access, logger: log)
        var servers: [(name: String, server: HTTPServer)] = []
        if let path = configuration.api.socket {
            let options = ServerOptions(.unix(path: path), key: "api.socket")
            servers.append(("api socket", HTTPServer(options, responder: api)))
        }
        if let address = configuration.api.bindAddr {
            let host = address.host.isEmpty ? "::" : address.host
            let tls = try configuration.api.tls.map {
                try ServerTLS(certificate: $0.cert, key: $0.key, clientCA: $0.clientCA)
            }
            let options = ServerOptions(
                .tcp(host: host, port: Int(address.port)), key: "api.bind_addr", tls: tls)
            servers.append(("api port", HTTPServer(options, responder: api)))
        }
        return servers
    }
}
