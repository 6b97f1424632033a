import MeshDiscovery
import MeshModel
import MeshTables

/// What becomes of traffic to a service: through its discovery chain to targets.
extension PartCompiler {
    /// A try that fails before anything can have happened is repeated elsewhere.
    static let retries: UInt32 = 3
    static let retryOn: RetryConditions = [.connect, .reset]

    /// The chain of a service; nil, and reported, when it cannot be had: it leads nowhere.
    private mutating func chain(of service: ServiceName, _ reach: Reach) -> ChainTraffic? {
        if let way = reach.way { return traffic(of: way) }
        return chains.traffic(
            to: service, in: reach.datacenter, &part.asked, &part.problems)
    }

    /// Where streams to a service go: what a chain says about requests does not concern them.
    mutating func splits(to service: ServiceName, _ reach: Reach) -> [SplitPlan] {
        guard let rest = chain(of: service, reach)?.routes.last else {
            return SplitPlan.all(to: nowhere(service, reach))
        }
        return rest.shares.map { SplitPlan(weight: $0.weight, target: target($0, reach)) }
    }

    /// Where requests to a service go that `host` and `match` cover.
    mutating func routes(
        to service: ServiceName, _ reach: Reach, host: String? = nil,
        match: HTTPMatch = HTTPMatch(),
        policy: ServiceRouter.Destination = ServiceRouter.Destination(), rule: String,
        origin: String
    ) -> [RoutePlan] {
        guard let chain = chain(of: service, reach) else {
            let splits = SplitPlan.all(to: nowhere(service, reach))
            return [
                RoutePlan(
                    host: host, match: match, action: .forward(splits), rule: rule,
                    origin: origin)
            ]
        }
        return chain.routes.compactMap { route in
            let named = route.number == 0 ? rule : "\(rule); service-router \(service), route "
            switch match.both(route.match) {
            case .never: return nil
            case .impossible(let why):
                refuse("\(named)\(route.number): \(why)", nil)
                return nil
            case .match(let both):
                var plan = RoutePlan(
                    host: host, match: both,
                    action: .forward(
                        route.shares.map {
                            SplitPlan(weight: $0.weight, target: target($0, reach))
                        }),
                    retries: Self.retries, retryOn: Self.retryOn,
                    rule: route.number == 0 ? rule : "\(named)\(route.number)",
                    origin: place(of: route, to: service) ?? origin)
                plan.requestTimeout = milliseconds(
                    route.shares.first?.resolver.requestTimeout ?? .zero)
                apply(policy, &plan)
                if plan.prefixRewrite != nil, both.path != match.path {
                    refuse(
                        "\(plan.rule): its prefix_rewrite is about another path than that of "
                            + "service-router \(service), route \(route.number)", nil)
                    return nil
                }
                if let destination = route.destination { apply(destination, &plan) }
                Self.applyLegs(route.shares, &plan)
                if let mirror = route.destination?.mirror ?? policy.mirror {
                    apply(mirror, reach, &plan)
                }
                return plan
            }
        }
    }

    /// A leg's header rules go first: the route's, which are less exact, have the last word, as in
    /// Consul's proxies.
    private static func applyLegs(_ shares: [ChainTraffic.Share], _ plan: inout RoutePlan) {
        guard case .forward(var splits) = plan.action else { return }
        for (index, share) in shares.enumerated() {
            let own =
                changes(share.requestHeaders, onResponse: false)
                + changes(share.responseHeaders, onResponse: true)
            if !own.isEmpty { splits[index].headerOps = own + plan.headerOps }
        }
        plan.action = .forward(splits)
    }

    /// Where a route of a config entry was written; nil when nobody wrote one.
    private mutating func place(of route: ChainTraffic.Route, to service: ServiceName) -> String? {
        guard let key = route.entry else { return nil }
        return chains.place(of: key, about: service, line: route.location, &part.asked)
    }

    private func apply(_ destination: ServiceRouter.Destination, _ plan: inout RoutePlan) {
        if let rewrite = destination.prefixRewrite { plan.prefixRewrite = rewrite }
        plan.headerOps +=
            Self.changes(destination.requestHeaders, onResponse: false)
            + Self.changes(destination.responseHeaders, onResponse: true)
        if let timeout = destination.requestTimeout { plan.requestTimeout = milliseconds(timeout) }
        applyRetries(destination, &plan)
        applyBounds(destination, &plan)
    }

    private func applyBounds(
        _ destination: ServiceRouter.Destination, _ plan: inout RoutePlan
    ) {
        if let bytes = destination.maxHeaderBytes {
            plan.traffic = plan.traffic ?? TrafficPlan()
            plan.traffic?.maxHead = UInt32(clamping: bytes)
        }
        if let bytes = destination.maxRequestBytes {
            plan.traffic = plan.traffic ?? TrafficPlan()
            plan.traffic?.maxBody = UInt64(clamping: bytes)
        }
        if let idle = destination.idleTimeout, idle > .zero {
            plan.traffic = plan.traffic ?? TrafficPlan()
            plan.traffic?.idleTimeout = milliseconds(idle)
        }
        if let bytes = destination.retryBodyBytes {
            plan.traffic = plan.traffic ?? TrafficPlan()
            plan.traffic?.maxReplay = UInt32(clamping: bytes)
        }
        Self.add(destination.rateLimits ?? [], of: plan.rule, to: &plan)
    }

    /// Copies go where streams to the service would.
    private mutating func apply(_ mirror: RequestMirror, _ reach: Reach, _ plan: inout RoutePlan) {
        guard reach.way == nil else {
            refuse("\(plan.rule): the way to its mirror \(mirror.service) is not known here", nil)
            return
        }
        let shares = splits(to: mirror.service, reach)
        if defaults(of: mirror.service)?.proxyProtocol != nil {
            refuse(
                "\(plan.rule): its mirror \(mirror.service) wants PROXY headers, copies have none",
                nil)
        }
        guard shares.count == 1, let share = shares.first else {
            refuse(
                "\(plan.rule): its mirror \(mirror.service) is divided by a service-splitter: name "
                    + "a service that is not", nil)
            return
        }
        plan.traffic = plan.traffic ?? TrafficPlan()
        plan.traffic?.mirror = SplitPlan(
            weight: max(1, Int((mirror.percent * 100).rounded())), target: share.target)
    }

    /// Further rates; equal names share a bucket.
    static func add(_ limits: [RateLimit], of name: String, to plan: inout RoutePlan) {
        guard !limits.isEmpty else { return }
        var traffic = plan.traffic ?? TrafficPlan()
        for (index, limit) in limits.enumerated() {
            traffic.rates.append(RatePlan(limit, name: "\(name), rate \(index + 1)"))
        }
        plan.traffic = traffic
    }

    private func applyRetries(
        _ destination: ServiceRouter.Destination, _ plan: inout RoutePlan
    ) {
        var conditions = RetryConditions(destination.retryOn)
        if destination.retryOnConnectFailure { conditions.insert(.connect) }
        let codes = destination.retryOnStatusCodes.filter { (200...599).contains($0) }
        if destination.numRetries > 0 || !conditions.isEmpty || !codes.isEmpty {
            plan.retries = min(
                UInt32(clamping: max(1, destination.numRetries)), RoutePlan.greatestRetries)
            plan.retryOn = conditions.isEmpty ? Self.retryOn : conditions
        }
        if destination.retryNonIdempotent == true { plan.retryOn.insert(.anyMethod) }
        if destination.tryTimeout != nil { plan.retryOn.insert(.timeout) }
        let onAnswers = !codes.isEmpty || !plan.retryOn.isDisjoint(with: .answers)
        guard onAnswers || destination.tryTimeout != nil else { return }
        let pause = destination.retryBackoff ?? .milliseconds(25)
        var traffic = plan.traffic ?? TrafficPlan()
        traffic.retryCodes = Array(Set(codes).sorted().prefix(TrafficPlan.greatestRetryCodes))
            .map { UInt16($0) }
        traffic.tryTimeout = milliseconds(destination.tryTimeout ?? .zero)
        traffic.backoff = milliseconds(pause)
        traffic.backoffMax = milliseconds(
            destination.retryBackoffMax
                ?? MeshDuration(nanoseconds: min(pause.nanoseconds * 10, 60_000_000_000)))
        traffic.backoff = min(traffic.backoff, traffic.backoffMax)
        plan.traffic = traffic
    }

    static func changes(
        _ modifiers: HeaderModifiers?, onResponse: Bool
    ) -> [HeaderOpPlan] {
        guard let modifiers else { return [] }
        func plan(_ name: String, _ kind: HeaderOpPlan.Kind) -> HeaderOpPlan {
            HeaderOpPlan(name: name, kind: kind, onResponse: onResponse)
        }
        return modifiers.add.sorted { $0.key < $1.key }.map { plan($0.key, .add($0.value)) }
            + modifiers.set.sorted { $0.key < $1.key }.map { plan($0.key, .set($0.value)) }
            + modifiers.remove.map { plan($0, .remove) }
    }
}

extension RatePlan {
    fileprivate init(_ limit: RateLimit, name: String) {
        let nanoseconds = (1_000_000_000 / limit.requestsPerSecond).rounded()
        let standard = max(1, min(limit.requestsPerSecond, Double(RateLimit.greatestBurst)))
        let sharing: Sharing =
            switch limit.sharing {
            case .all: .all
            case .client: .client
            case .identity: .identity
            case .connection: .connection
            }
        self.init(
            name: name, nanoseconds: UInt64(max(1, min(nanoseconds, 86_400e9))),
            burst: UInt32(clamping: limit.requestsMaxBurst ?? Int(standard)), sharing: sharing)
    }
}
