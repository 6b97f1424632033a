import MeshDiscovery
import MeshModel
import MeshTables

/// Ceilings towards services, and when their instances are left out.
extension PartCompiler {
    /// What the upstream says about the service; for what that leaves open, the caller's defaults;
    /// for what those do, the service's resolver.
    mutating func guarded(_ service: ServiceName, _ reach: Reach) -> GuardPlan? {
        var limits = reach.limits
        var passive = reach.passiveHealthCheck
        if let name = reach.caller.service, let defaults = defaults(of: name) {
            let own = defaults.upstreamOverrides.first { $0.name == service }
            limits = limits ?? own?.limits ?? defaults.upstreamDefaults?.limits
            passive =
                passive ?? own?.passiveHealthCheck
                ?? defaults.upstreamDefaults?.passiveHealthCheck
        }
        if let resolver = resolver(of: service) {
            limits = limits ?? resolver.limits
            passive = passive ?? resolver.passiveHealthCheck
        }
        var plan = GuardPlan()
        if let limits { plan.set(limits) }
        if let passive { plan.set(passive) }
        return plan == GuardPlan() ? nil : plan
    }
}

extension Reach.Caller {
    /// The service as which calls are made.
    var service: ServiceName? {
        switch self {
        case .plain: nil
        case .listener(let name), .sidecar(let name, _), .gateway(let name): name
        }
    }
}

extension GuardPlan {
    fileprivate mutating func set(_ limits: UpstreamLimits) {
        maxConnections = UInt32(clamping: limits.maxConnections ?? 0)
        maxPending = UInt32(clamping: limits.maxPendingRequests ?? 0)
        maxRequests = UInt32(clamping: limits.maxConcurrentRequests ?? 0)
        maxRetries = UInt32(clamping: limits.maxRetries ?? 0)
    }

    fileprivate mutating func set(_ passive: PassiveHealthCheck) {
        failures = UInt32(clamping: passive.maxFailures ?? 5)
        gatewayFailures = UInt32(clamping: passive.maxGatewayFailures ?? 0)
        guard watches else { return }
        let base = passive.baseEjectionTime ?? .seconds(30)
        ejection = UInt32(clamping: base.millisecondsRoundedUp)
        ejectionMax = UInt32(
            clamping: (passive.maxEjectionTime ?? max(base, .seconds(300))).millisecondsRoundedUp)
        ejection = min(ejection, ejectionMax)
        interval = UInt32(clamping: (passive.interval ?? .seconds(10)).millisecondsRoundedUp)
        ejectedMost = UInt8(clamping: passive.maxEjectionPercent ?? 10)
        ejectedChance = UInt8(clamping: passive.enforcingConsecutive5xx ?? 100)
    }
}
