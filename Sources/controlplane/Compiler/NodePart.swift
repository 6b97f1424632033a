import MeshModel
import MeshTables

/// What one listener of the configuration, or one sidecar, adds to a plan.
struct NodePart: Sendable {
    struct Listener: Sendable {
        /// Without TLS settings: those of ``tls`` get their place when parts are put together.
        var plan: ListenerPlan
        var tls: TLSPlan?
        var origin: Origin?
    }

    var listeners: [Listener] = []
    /// In the order in which they are met, each once.
    var targets: [TargetShape] = []
    /// Certificates from files.
    var secrets: [SecretPlan] = []
    var problems: [Problem] = []
    /// The services whose entries it is made of: see ``ChainBook``.
    var asked: Set<ServiceName> = []

    private var places: [String: Int] = [:]

    func contains(_ target: String) -> Bool { places[target] != nil }

    /// Whether nothing more can be said about a target.
    func hasSettled(_ target: String) -> Bool {
        places[target].map { targets[$0].isSettled } ?? false
    }

    /// Adds a target. What only the way that leads to a target itself knows may be told later, of
    /// one that was met as the failover of another.
    mutating func add(_ target: TargetShape) {
        guard let place = places[target.plan.id] else {
            places[target.plan.id] = targets.count
            targets.append(target)
            return
        }
        targets[place].settle(as: target)
    }
}

/// A target as listeners ask for it: all of it but the endpoints that instances make. It is large
/// and goes through many hands: copies share what never changes.
struct TargetShape: Equatable, Sendable {
    private final class Content: Sendable {
        let plan: TargetPlan
        let instancesOf: ServiceName?
        let subset: ServiceResolver.Subset
        let only: ServiceID?
        let tls: TLSPlan?
        let isDirect: Bool

        init(
            _ plan: TargetPlan, _ instancesOf: ServiceName?, _ subset: ServiceResolver.Subset,
            _ only: ServiceID?, _ tls: TLSPlan?, isDirect: Bool
        ) {
            self.plan = plan
            self.instancesOf = instancesOf
            self.subset = subset
            self.only = only
            self.tls = tls
            self.isDirect = isDirect
        }
    }

    private var content: Content
    /// Whether a way leads to the target itself, not only as the failover of another one.
    private(set) var isSettled: Bool

    init(
        plan: TargetPlan, instancesOf: ServiceName? = nil,
        subset: ServiceResolver.Subset = ServiceResolver.Subset(), only: ServiceID? = nil,
        tls: TLSPlan? = nil, isDirect: Bool = false, isSettled: Bool = false
    ) {
        content = Content(plan, instancesOf, subset, only, tls, isDirect: isDirect)
        self.isSettled = isSettled
    }

    /// Lent, not copied.
    var plan: TargetPlan {
        _read { yield content.plan }
    }
    /// The service whose instances are its endpoints; nil: none but those of the plan.
    var instancesOf: ServiceName? { content.instancesOf }
    /// Which of them.
    var subset: ServiceResolver.Subset { content.subset }
    /// The one instance that is meant; nil: all of the subset.
    var only: ServiceID? { content.only }
    /// How the proxies of instances are dialled; nil: the instances themselves are.
    var tls: TLSPlan? { content.tls }
    /// Whether the instances themselves are dialled, by ``tls`` if there is one.
    var isDirect: Bool { content.isDirect }
    /// Whether the near endpoints come first.
    var isByDistance: Bool { content.plan.balancing?.healthyShare != nil }

    /// Takes what the way to the target itself says, unless one has said it.
    mutating func settle(as other: TargetShape) {
        guard !isSettled, other.isSettled else { return }
        isSettled = true
        var plan = content.plan
        plan.balance = other.plan.balance
        plan.balancing = other.plan.balancing
        plan.failover = other.plan.failover
        content = Content(plan, instancesOf, subset, only, tls, isDirect: isDirect)
    }

    static func == (left: TargetShape, right: TargetShape) -> Bool {
        left.isSettled == right.isSettled
            && (left.content === right.content
                || (left.plan == right.plan && left.instancesOf == right.instancesOf
                    && left.subset == right.subset && left.only == right.only
                    && left.tls == right.tls
                    && left.isDirect == right.isDirect))
    }
}

/// What a sidecar's part is made of, besides what holds for all parts and the entries it asks for.
struct SidecarSource: Equatable, Sendable {
    var definition: ServiceDefinition
    var origin: Origin?
    /// Whether it was registered by hand, not made for a service that asks for a sidecar.
    var isHandmade: Bool
    /// The version of the certificate of its service; nil: there is none.
    var leafVersion: UInt64?
    /// The address of the application's host when that is a name that is known.
    var applicationAddress: String?
    /// The prepared queries that its upstreams name, by these names.
    var queries: [ServiceName: PreparedQuery] = [:]
    /// Of one that may be transparent: what it reaches then.
    var mesh: TransparentMesh?
    /// The services that intentions let it call, where there is not room for all; nil: there is.
    var mayCall: Set<ServiceName>?
}

/// What a plain listener's part is made of, besides what holds for all parts and the entries it
/// asks for.
struct PlainSource: Equatable, Sendable {
    var definition: ListenerDefinition
    var origin: Origin
    var certificate: ListenerCertificate?
    /// Whether the certificate of its identity is there, if it has one.
    var hasLeaf: Bool
}

/// What a gateway's part is made of, besides what holds for all parts and the entries it asks for.
struct GatewaySource: Equatable, Sendable {
    var definition: ServiceDefinition
    var origin: Origin?
    /// The version of the certificate of its own service; nil: there is none.
    var leafVersion: UInt64?
    /// What was written about the gateways of its name; nil: nothing.
    var entry: ConfigEntry?
    /// The services that `*` means in the entry, by name.
    var all: [ServiceName] = []
    /// Of a terminating gateway: the services whose certificates are there.
    var certified: Set<ServiceName> = []
    /// What the entry's files hold.
    var files = GatewayFiles()
}
