import Foundation
import MeshIdentity
import MeshModel
import MeshTables

@testable import MeshStore
@testable import controlplane

/// Makes desired states for tests, with real certificates.
struct World {
    var services: [ServiceDefinition] = []
    var entries: [ConfigEntry] = []
    var intentions: [Intention] = []
    var listeners: [ListenerDefinition] = []
    var ports = SidecarPorts()
    var addresses: [String: String] = ["localhost": "127.0.0.1"]
    var certificates: [String: ListenerCertificate] = [:]
    var locality: Locality?
    var queries: [PreparedQuery] = []
    var virtualAddresses: [String: String] = [:]

    static let authority: MeshAuthority = {
        var generator = SystemRandomNumberGenerator()
        do {
            return try MeshAuthority.make(
                trustDomain: TrustDomain("test.consul"), now: Date(), using: &generator)
        } catch { fatalError("no authority can be made: \(error)") }
    }()

    var inventory: Inventory {
        var ports = ports
        let records = services.map {
            ServiceRecord(definition: $0, origin: .api, createIndex: .zero, modifyIndex: .zero)
        }
        _ = ports.assign(Inventory.withoutPort(records), range: 21000...21255, taken: [])
        return Inventory(records, ports: ports)
    }

    func state() throws -> DesiredState {
        let node = NodeInfo(
            name: try NodeName("n1"), datacenter: try DatacenterName("dc1"), address: "127.0.0.1",
            locality: locality)
        let inventory = inventory
        var generator = SystemRandomNumberGenerator()
        var leaves: [ServiceName: LeafCertificate] = [:]
        for service in DesiredState.identities(
            inventory: inventory, listeners: listeners, entries: entries)
        {
            let id = SpiffeID(
                trustDomain: Self.authority.trustDomain, datacenter: node.datacenter,
                service: service)
            leaves[service] = try Self.authority.issue(id, now: Date(), using: &generator)
        }
        let tickets = TicketKeyRing(now: Date(), period: 43200, using: &generator)
        return DesiredState(
            settings: DesiredState.Settings(
                node: node, congestion: "", intentionsDefault: .deny, leafTTL: .hours(72)),
            inventory: inventory, change: nil,
            entries: entries.map {
                ConfigEntryRecord(
                    entry: $0, origin: .api, createIndex: .zero, modifyIndex: .zero)
            }, intentions: intentions, listeners: listeners.map { ($0, .api) },
            mesh: MeshMaterials(
                trustDomain: Self.authority.trustDomain,
                trust: Self.authority.bundle.rootsDER.flatMap { $0 }, leaves: leaves,
                ticketKeys: tickets.inUse.map(\.packed), ticketsVersion: 1, ticketLifetime: 3600),
            certificates: certificates, addresses: addresses,
            virtualAddresses: virtualAddresses.compactMapValues { VirtualAddress($0) },
            queries: queries)
    }

    func plan() throws -> NodePlan { NodeCompiler.compile(try state()) }
}

/// A service, with a sidecar when it has upstreams or asks for one.
func service(
    _ name: String, id: String? = nil, port: UInt16, sidecar: Bool = false,
    upstreams: [String: UInt16] = [:], address: String = "127.0.0.1"
) throws -> ServiceDefinition {
    var connect = ConnectDefinition()
    if sidecar || !upstreams.isEmpty {
        connect.sidecarService = SidecarDefinition(
            proxy: ProxyDefinition(
                upstreams: try upstreams.sorted { $0.key < $1.key }.map {
                    UpstreamDefinition(
                        destinationName: try ServiceName($0.key), localBindPort: $0.value)
                }))
    }
    return ServiceDefinition(
        name: try ServiceName(name), id: try id.map { try ServiceID($0) }, address: address,
        port: port, connect: connect)
}

func http(_ name: String) throws -> ConfigEntry {
    .serviceDefaults(ServiceDefaults(name: try ServiceName(name), serviceProtocol: .http))
}

func listener(
    _ name: String, port: UInt16, kind: ListenerDefinition.Kind = .l7, service: String? = "web",
    identity: String? = nil, routes: [ListenerDefinition.Route] = []
) throws -> ListenerDefinition {
    ListenerDefinition(
        name: name, bindAddr: HostPort(host: "127.0.0.1", port: port), kind: kind,
        service: try service.map { try ServiceName($0) },
        identity: try identity.map { try ServiceName($0) }, routes: routes)
}

extension NodePlan {
    func listener(_ name: String) -> ListenerPlan? {
        compiled.listeners.first { $0.name == name }
    }

    func target(_ id: String) -> TargetPlan? { compiled.targets.first { $0.id == id } }
}
