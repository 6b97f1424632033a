import MeshIdentity
import MeshModel
import MeshStore
import MeshTables

/// Everything that the snapshot of this node follows from. A value: the compiler has no other
/// input.
struct DesiredState: Sendable {
    /// What the configuration says about the whole node.
    struct Settings: Sendable, Equatable {
        var node: NodeInfo
        /// Empty keeps the system's.
        var congestion: String
        /// Every member is set.
        var accessLog = AccessLogDefinition.off
        var tracing = TracingDefinition.off
        var intentionsDefault: IntentionAction
        var leafTTL: MeshDuration

        /// The name of a listener in `Via`. Each has its own: a request that passes two sidecars of
        /// one node is no loop, one that passes the same listener twice is.
        func via(_ listener: String) -> String {
            let name = listener.map { $0 == ":" ? "-" : $0 }
            return "ringmesh-\(node.name)-\(String(name))"
        }

        /// What is believed of those in front and told of requests where a listener says nothing
        /// about it; nil: nothing.
        var tracesOnly: HopsPlan? { traced(nil, by: nil) }

        /// The plan with what the listener, or else the node, says about traces.
        func traced(_ plan: HopsPlan?, by own: ListenerDefinition.Trace?) -> HopsPlan? {
            let records = tracing.endpoint != nil && own?.export != false
            let share = own.map { $0.start ? $0.sample : nil } ?? (records ? tracing.sample : nil)
            guard plan != nil || share != nil || records else { return nil }
            var plan = plan ?? HopsPlan()
            plan.sampledPerMillion = share.map { UInt32(($0 * 1_000_000).rounded()) }
            plan.recordsSpans = records
            return plan
        }

        /// Where a listener's requests and connections are written down; nil: nowhere. The
        /// configuration has been checked: a format that cannot be read writes JSON.
        func log(_ own: AccessLogDefinition? = nil) -> AccessLogPlan? {
            let log = own?.over(accessLog) ?? accessLog
            let format = log.format.flatMap { try? AccessLogFormat($0) }
            return AccessLogPlan(
                path: log.path ?? "", format: format ?? .json, sample: log.sample ?? 1)
        }
    }

    /// Of states that one source gathered, each has the next number.
    var number: UInt64 = 0
    var settings: Settings
    var inventory: Inventory
    /// What of the inventory is another than in the state with the number before; nil: all may be.
    var change: InventoryChange?
    var entries: [ConfigEntryRecord]
    var intentions: [Intention]
    var listeners: [(definition: ListenerDefinition, origin: Origin)]
    var mesh: MeshMaterials
    /// Certificates of plain listeners, by the listener's name; one without is left out.
    var certificates: [String: ListenerCertificate]
    /// Addresses of host names that services are registered with.
    var addresses: [String: String]
    /// Where services of the mesh are called as a whole, by their names in lower case.
    var virtualAddresses: [String: VirtualAddress] = [:]
    /// Named questions that upstreams may lead to.
    var queries: [PreparedQuery] = []
    /// What an agent has told about the mesh; nil: this node knows it by itself.
    var told: ToldMesh?
    /// What the files hold that entries of this node's gateways name.
    var gatewayFiles = GatewayFiles()
    /// How long the inventory had been worked on, for others, before the state was asked for.
    var ahead = Duration.zero
    /// Those who issue tokens that intentions ask for, with their keys.
    var tokenProviders: [String: TokenProviderPlan] = [:]

    /// The services whose certificates this node needs.
    var identities: Set<ServiceName> {
        Self.identities(
            inventory: inventory, listeners: listeners.map(\.definition),
            entries: entries.map(\.entry))
    }

    static func identities(
        inventory: Inventory, listeners: [ListenerDefinition], entries: [ConfigEntry]
    ) -> Set<ServiceName> {
        Set(inventory.proxies.compactMap { $0.proxy?.destinationServiceName })
            .union(listeners.compactMap(\.identity))
            .union(GatewayLinks.identities(entries, inventory))
    }
}

/// What the mesh's authority gave this node.
struct MeshMaterials: Sendable, Equatable {
    var trustDomain: TrustDomain
    /// The roots that peers are checked against, DER, one behind the other.
    var trust: [UInt8]
    var leaves: [ServiceName: LeafCertificate]
    /// 80 bytes each, the encrypting one first.
    var ticketKeys: [SecretBytes]
    /// When the newest of the ticket keys was made, in milliseconds of Unix time.
    var ticketsVersion: UInt64
    /// Seconds that a session may be resumed for.
    var ticketLifetime: UInt32
}

/// The certificates of a plain listener, read from their files.
struct ListenerCertificate: Sendable, Equatable {
    struct Named: Sendable, Equatable {
        /// What its secret's id is made of: its files.
        var name: String
        var files: CertificateFiles
    }

    /// The first serves clients that ask for no known name.
    var certificates: [Named]
    /// Authorities that a client's certificate is checked against, and lists of revoked ones, DER,
    /// one behind the other; empty asks for none.
    var clientTrust: [UInt8]
}
