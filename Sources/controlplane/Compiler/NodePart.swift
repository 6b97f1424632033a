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

    mutating func add(_ target: TargetShape) {
        guard places[target.plan.id] == nil else { return }
        places[target.plan.id] = targets.count
        targets.append(target)
    }

    /// Says what only the way that leads to a target itself knows. One that was met as the failover
    /// of another learns it later.
    mutating func settle(
        _ id: String, balance: TargetPlan.Balance, balancing: BalancingPlan?, failover: [String]
    ) {
        guard let place = places[id] else { return }
        targets[place].settle(balance: balance, balancing: balancing, failover: failover)
    }
}

/// A target as listeners ask for it: all of it but the endpoints that instances make.
struct TargetShape: Equatable, Sendable {
    var plan: TargetPlan
    /// The service whose instances are its endpoints; nil: none but those of the plan.
    var instancesOf: ServiceName?
    /// Which of them.
    var subset = ServiceResolver.Subset()
    /// How the proxies of instances are dialled; nil: the instances themselves are.
    var tls: TLSPlan?
    /// Whether a way leads to the target itself, not only as the failover of another one.
    var isSettled = false

    mutating func settle(
        balance: TargetPlan.Balance, balancing: BalancingPlan?, failover: [String]
    ) {
        if isSettled { return }
        isSettled = true
        plan.balance = balance
        plan.balancing = balancing
        plan.failover = failover
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
