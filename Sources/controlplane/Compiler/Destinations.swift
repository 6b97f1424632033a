import MeshModel
import MeshStore
import MeshTables

/// What becomes of traffic to a service: through its discovery chain to targets.
extension NodeCompiler {
    /// A try that fails before anything can have happened is repeated elsewhere.
    static let retries = RoutePlan.greatestRetries
    static let retryOn: RetryConditions = [.connect, .reset]

    /// Whether requests to a service are understood by the data plane; HTTP/2 passes as bytes.
    func speaksHTTP(_ service: ServiceName) -> Bool {
        ServiceProtocols(entries).of(service) == .http
    }

    /// Where streams to a service go.
    mutating func splits(to service: ServiceName, _ reach: Reach) -> [SplitPlan] {
        SplitPlan.all(to: target(service, reach))
    }

    /// Where requests to a service go that `host` and `match` cover.
    mutating func routes(
        to service: ServiceName, _ reach: Reach, host: String? = nil,
        match: HTTPMatch = HTTPMatch(), rule: String, origin: String
    ) -> [RoutePlan] {
        [
            RoutePlan(
                host: host, match: match, action: .forward(splits(to: service, reach)),
                retries: Self.retries, retryOn: Self.retryOn, rule: rule, origin: origin)
        ]
    }

    /// The id of the target that stands for all instances of a service, made when it is new.
    private mutating func target(_ service: ServiceName, _ reach: Reach) -> String {
        let datacenter = state.settings.node.datacenter.text
        let id = "\(service.folded).default.\(datacenter)\(reach.suffix)"
        guard !catalog.contains(id) else { return id }
        let endpoints = state.inventory.instances(of: service).compactMap { endpoint($0, reach) }
        var plan = TargetPlan(
            id: id, service: service, endpoints: endpoints,
            wireProtocol: reach.http ? .http1 : .tcp,
            connectTimeout: UInt32(
                clamping: (reach.connectTimeout ?? .seconds(5)).millisecondsRoundedUp),
            congestion: state.settings.congestion)
        if reach.caller != .plain {
            plan.checksIntentions = true
            plan.sni = sni(of: service)
            plan.expectedID = spiffeID(of: service)
        }
        catalog.add(plan)
        return id
    }
}

/// What services speak: by their own entries, else by the defaults of all proxies.
struct ServiceProtocols {
    private let entries: [ConfigEntry.Key: ConfigEntryRecord]

    init(_ entries: [ConfigEntry.Key: ConfigEntryRecord]) { self.entries = entries }

    func of(_ service: ServiceName) -> ServiceProtocol {
        let own = ConfigEntry.Key(
            kind: ConfigEntry.Kind.serviceDefaults.rawValue, name: service.folded)
        if case .serviceDefaults(let entry) = entries[own]?.entry {
            return entry.serviceProtocol ?? .tcp
        }
        let all = ConfigEntry.Key(
            kind: ConfigEntry.Kind.proxyDefaults.rawValue, name: ProxyDefaults.name)
        if case .proxyDefaults(let entry) = entries[all]?.entry {
            return entry.serviceProtocol ?? .tcp
        }
        return .tcp
    }
}
