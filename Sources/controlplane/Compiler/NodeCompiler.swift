import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshStore
import MeshTables

/// Turns the desired state of a node into the plan of its snapshot. Pure.
///
/// One object that cannot be had is left out and reported; the others go on.
struct NodeCompiler {
    let state: DesiredState
    var plan: CompiledNode
    var problems: [Problem] = []
    var health: [UInt64: ServiceID] = [:]
    var secrets: [SecretPlan] = []
    /// Ids of certificates from files that are among the secrets.
    var fileSecrets: Set<UInt64> = []
    var catalog = TargetCatalog()
    /// The entries by kind and name.
    let entries: [ConfigEntry.Key: ConfigEntryRecord]
    /// The entries that discovery chains are made of.
    let chainEntries: ChainEntries
    /// Chains that were compiled; nil: one that cannot be had.
    var chains: [ServiceName: ChainTraffic?] = [:]
    /// What listens where, by address.
    private var addresses: [String: String] = [:]

    static func compile(_ state: DesiredState) -> NodePlan {
        var compiler = NodeCompiler(state)
        compiler.addIdentities()
        compiler.checkDefaults()
        for (listener, origin) in state.listeners { compiler.addPlain(listener, origin) }
        for proxy in state.inventory.proxies { compiler.addSidecar(proxy) }
        compiler.plan.targets = compiler.catalog.targets
        return NodePlan(
            compiled: compiler.plan, secrets: compiler.secrets, health: compiler.health,
            weights: Dictionary(
                state.inventory.instances.map { ($0.definition.id, $0.definition.weights) }
            ) { first, _ in first },
            problems: state.inventory.problems + compiler.problems)
    }

    private init(_ state: DesiredState) {
        self.state = state
        plan = CompiledNode(
            node: state.settings.node.name.text, datacenter: state.settings.node.datacenter.text,
            trustDomain: state.mesh.trustDomain.text, intentions: state.intentions,
            intentionsDefault: state.settings.intentionsDefault)
        chainEntries = ChainEntries(state.entries.map(\.entry))
        entries = Dictionary(state.entries.map { ($0.entry.key, $0) }) { first, _ in first }
    }

    mutating func refuse(_ message: String, _ origin: Origin?) {
        problems.append(Problem(.error, message, at: origin?.location))
    }

    private mutating func checkDefaults() {
        for record in state.entries {
            guard case .serviceDefaults(let defaults) = record.entry else { continue }
            for problem in ChainSupport.problems(of: defaults) { refuse(problem, record.origin) }
        }
    }

    private mutating func addIdentities() {
        let mesh = state.mesh
        for (service, leaf) in mesh.leaves.sorted(by: { $0.key < $1.key }) {
            let id = SecretPlan.leafID(of: service)
            plan.identities.append(
                IdentityPlan(service: service, spiffeID: leaf.id.uri, secret: id))
            secrets.append(
                SecretPlan(
                    id: id, version: leaf.notBefore.milliseconds,
                    notAfterMilliseconds: leaf.notAfter.milliseconds,
                    content: .certificate(
                        chain: leaf.chainDER.flatMap { $0 }, key: leaf.privateKeyDER.exposed,
                        names: [])))
        }
        secrets.append(
            SecretPlan(
                id: SecretPlan.ticketKeysID, version: mesh.ticketsVersion, notAfterMilliseconds: 0,
                content: .ticketKeys(mesh.ticketKeys.flatMap(\.exposed))))
    }

    /// Adds a listener unless its address is taken already.
    mutating func add(_ listener: ListenerPlan, _ origin: Origin?) {
        for claimed in Self.claims(of: listener.address) {
            if let other = addresses[claimed] {
                refuse("\(listener.name): \(listener.address) is taken by \(other)", origin)
                return
            }
        }
        addresses[listener.address.description] = listener.name
        plan.listeners.append(listener)
    }

    /// The addresses that cannot be listened on beside this one.
    private static func claims(of address: AddressPlan) -> [String] {
        guard case .ip(let ip, let port) = address else { return [address.description] }
        let any = [IPAddress(v4: 0), IPAddress(v6High: 0, low: 0)].map {
            AddressPlan.ip($0, port: port).description
        }
        return [AddressPlan.ip(ip, port: port).description] + any
    }

    /// The listening address of a text that names one, or nil with a problem.
    mutating func listen(
        on host: String, port: UInt16, _ name: String, _ origin: Origin?
    ) -> AddressPlan? {
        let text = host == "localhost" ? "127.0.0.1" : host.isEmpty ? "::" : host
        if let address = try? AddressPlan(ip: text, port: port) { return address }
        refuse("\(name): \(host) is not an address to listen on", origin)
        return nil
    }

    /// Mesh TLS of one side, with the certificate of `service`.
    mutating func meshTLS(server: Bool, as service: ServiceName, http: Bool) -> TLSRef? {
        let mesh = state.mesh
        guard let leaf = mesh.leaves[service] else { return nil }
        return plan.intern(
            TLSPlan(
                server: server, verify: .require, mesh: true, alpn: http ? ["http/1.1"] : [],
                certificates: [SecretPlan.leafID(of: service)], trust: mesh.trust,
                sessionLifetime: sessionLifetime,
                secretsVersion: server ? 0 : leaf.notBefore.milliseconds))
    }

    /// A session outlives neither its ticket key nor the certificate it was made with, which is
    /// renewed with a tenth of its life left at least.
    var sessionLifetime: UInt32 {
        let leaf = UInt32(clamping: state.settings.leafTTL.nanoseconds / 10_000_000_000)
        return min(state.mesh.ticketLifetime, leaf)
    }
}
