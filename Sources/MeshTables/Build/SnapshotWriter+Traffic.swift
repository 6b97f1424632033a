import CMeshABI

/// What routes ask for beyond destinations, and what bounds targets.
extension SnapshotWriter {
    /// The record of a route's traffic; equal ones stand once.
    mutating func index(of traffic: TrafficPlan?, _ name: @autoclosure () -> String) -> UInt32 {
        guard let traffic else { return UInt32.max }
        if let index = trafficIndexes[traffic] { return index }
        let index = UInt32(out.traffic.count)
        trafficIndexes[traffic] = index
        out.traffic.append(record(of: traffic, name()))
        return index
    }

    private mutating func record(of plan: TrafficPlan, _ name: String) -> abi_traffic {
        var record = abi_traffic()
        let codes = plan.retryCodes
        if codes.count > TrafficPlan.greatestRetryCodes
            || codes.contains(where: { !(200...599).contains($0) })
            || zip(codes, codes.dropFirst()).contains(where: { $0 >= $1 })
        {
            refuse(
                "\(name): the statuses \(codes) to be tried again: list at most "
                    + "\(TrafficPlan.greatestRetryCodes) of 200 to 599, growing")
        }
        withUnsafeMutableBytes(of: &record.retry_codes) { raw in
            let places = raw.bindMemory(to: UInt16.self)
            for (at, code) in codes.prefix(places.count).enumerated() { places[at] = code }
        }
        if plan.backoff > plan.backoffMax || plan.backoffMax > LIMIT_BACKOFF_MS {
            refuse("\(name): the pauses between tries are out of bounds")
        }
        record.try_timeout_ms = plan.tryTimeout
        record.backoff_ms = plan.backoff
        record.backoff_max_ms = plan.backoffMax
        record.max_head = plan.maxHead
        record.max_body = plan.maxBody
        record.idle_timeout_ms = plan.idleTimeout
        record.max_replay = plan.maxReplay
        if plan.maxReplay > TrafficPlan.greatestReplay {
            refuse(
                "\(name): \(plan.maxReplay) bytes of a body kept for another try; "
                    + "\(TrafficPlan.greatestReplay) are the limit")
        }
        if let mirror = plan.mirror {
            record.mirror_target = index(ofTarget: mirror.target, "the mirror of \(name)")
            record.mirror_share = UInt32(clamping: mirror.weight)
        }
        if plan.rates.count > Int(LIMIT_ROUTE_RATES) {
            refuse("\(name): \(plan.rates.count) rates; \(LIMIT_ROUTE_RATES) are the limit")
        }
        if !plan.rates.isEmpty {
            record.rates = abi_ref(at: UInt32(out.rates.count), count: UInt32(plan.rates.count))
            for rate in plan.rates { out.rates.append(self.record(of: rate, name)) }
        }
        return record
    }

    private mutating func record(of rate: RatePlan, _ name: String) -> abi_rate {
        var record = abi_rate()
        var hash = StableHash()
        hash.combine(rate.name)
        record.key = hash.finish()
        record.interval_ns = rate.nanoseconds
        record.burst = rate.burst
        record.by =
            switch rate.sharing {
            case .all: UInt8(ABI_RATE_ALL.rawValue)
            case .client: UInt8(ABI_RATE_CLIENT.rawValue)
            case .identity: UInt8(ABI_RATE_IDENTITY.rawValue)
            case .connection: UInt8(ABI_RATE_CONNECTION.rawValue)
            }
        if !(1...UInt64(LIMIT_RATE_INTERVAL_NS)).contains(rate.nanoseconds)
            || !(1...LIMIT_RATE_BURST).contains(rate.burst)
        {
            refuse("\(name): its rate \(rate.name) is out of bounds")
        }
        return record
    }

    /// The record of a target's guard; equal ones stand once.
    mutating func index(of guarded: GuardPlan?, _ name: @autoclosure () -> String) -> UInt32 {
        guard let guarded else { return UInt32.max }
        if let index = memory.guardIndexes[guarded] { return index }
        let index = UInt32(memory.guards.count)
        memory.guardIndexes[guarded] = index
        var record = abi_guard()
        record.max_connections = guarded.maxConnections
        record.max_pending = guarded.maxPending
        record.max_requests = guarded.maxRequests
        record.max_retries = guarded.maxRetries
        record.failures = guarded.failures
        record.gateway_failures = guarded.gatewayFailures
        record.ejection_ms = guarded.ejection
        record.ejection_max_ms = guarded.ejectionMax
        record.interval_ms = guarded.interval
        record.ejected_most = guarded.ejectedMost
        record.ejected_chance = guarded.ejectedChance
        if guarded.watches, guarded.ejection == 0 || guarded.interval == 0 {
            refuse("\(name()): the times of its passive health check are missing")
        }
        if guarded.ejection > guarded.ejectionMax || guarded.ejectionMax > LIMIT_EJECTION_MS {
            refuse("\(name()): an instance cannot be left out for so long")
        }
        if guarded.ejectedMost > 100 || guarded.ejectedChance > 100 {
            refuse("\(name()): the shares of its passive health check are above 100 %")
        }
        memory.guards.append(record)
        return index
    }
}
