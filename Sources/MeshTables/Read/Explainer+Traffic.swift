import CMeshABI
import MeshModel

/// What a route asks for beyond a destination and what bounds a target, in words.
extension Explainer {
    /// What makes another try of a request, and how often.
    mutating func explainRetries(_ route: abi_route, _ method: String) {
        guard route.retries > 0 else {
            note(
                .retry, .none, "one try", rule: reader.text(route.rule),
                origin: reader.text(route.origin))
            return
        }
        let traffic = route.traffic == ABI_NONE ? nil : reader.traffic[Int(route.traffic)]
        let conditions = RetryConditions(rawValue: route.retry_on)
        let isSafe = Self.idempotent.contains(method.uppercased())
        let afterSending = isSafe || conditions.contains(.anyMethod)
        var reasons = ["an instance that cannot be reached"]
        if afterSending { reasons += Self.reasons(conditions, traffic) }
        let calls = Self.calls(conditions)
        if !calls.isEmpty { reasons.append("grpc-status " + calls.joined(separator: ", ")) }
        var detail =
            "at most \(route.retries) further tries after " + reasons.joined(separator: ", ")
        if let traffic, afterSending || !calls.isEmpty {
            if traffic.try_timeout_ms > 0 {
                detail += "; \(traffic.try_timeout_ms) ms for each try"
            }
            if traffic.backoff_ms > 0 {
                detail += "; pauses of \(traffic.backoff_ms) to \(traffic.backoff_max_ms) ms"
            }
        }
        if !afterSending, calls.isEmpty {
            detail += "; \(method) is not repeated once it was sent"
        }
        let kept = traffic?.max_replay ?? TrafficPlan.standardReplay
        if kept != TrafficPlan.standardReplay { detail += "; with bodies up to \(kept) bytes" }
        note(
            .retry, .matched, detail, rule: reader.text(route.rule),
            origin: reader.text(route.origin))
    }

    private static let idempotent: Set<String> = [
        "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE",
    ]

    private static func reasons(
        _ conditions: RetryConditions, _ traffic: abi_traffic?
    ) -> [String] {
        let named: [(RetryConditions, String)] = [
            (.reset, "an end without an answer"), (.serverErrors, "5xx"),
            (.gatewayErrors, "502, 503, 504"), (.conflict, "409"), (.limited, "429"),
        ]
        var reasons = named.filter { conditions.contains($0.0) }.map(\.1)
        guard let traffic else { return reasons }
        withUnsafeBytes(of: traffic.retry_codes) { raw in
            reasons += raw.bindMemory(to: UInt16.self).filter { $0 != 0 }.map { "\($0)" }
        }
        if traffic.try_timeout_ms > 0, conditions.contains(.timeout) { reasons.append("silence") }
        return reasons
    }

    /// The statuses of gRPC that are reasons, by their names in Consul.
    private static func calls(_ conditions: RetryConditions) -> [String] {
        let named: [(RetryConditions, String)] = [
            (.cancelled, "cancelled"), (.deadlineExceeded, "deadline-exceeded"),
            (.failedInside, "internal"), (.exhausted, "resource-exhausted"),
            (.unavailable, "unavailable"),
        ]
        return named.filter { conditions.contains($0.0) }.map(\.1)
    }

    /// What bounds the traffic to a target, and when its endpoints are left out.
    mutating func explainGuard(_ target: abi_target, _ listener: abi_listener) {
        guard target.guard != ABI_NONE else { return }
        let record = reader.guards[Int(target.guard)]
        var parts = [
            (record.max_connections, "connections"), (record.max_pending, "requests that wait"),
            (record.max_requests, "requests"), (record.max_retries, "further tries"),
        ].filter { $0.0 > 0 }.map { "at most \($0.0) \($0.1)" }
        for (count, what) in [
            (record.failures, "failures"), (record.gateway_failures, "gateway failures"),
        ] where count > 0 {
            parts.append(
                "an endpoint is left out after \(count) \(what) in a row, for "
                    + "\(record.ejection_ms) ms and more, at most \(record.ejected_most) % of them")
        }
        let caller =
            listener.identity == ABI_NONE
            ? nil : reader.text(reader.identities[Int(listener.identity)].service)
        note(
            .limits, .matched, "\(reader.text(target.name)): " + parts.joined(separator: "; "),
            about: .calls(of: reader.text(target.service), by: caller))
    }

    /// Who gets copies of the request.
    mutating func explainMirror(_ route: abi_route) {
        guard route.traffic != ABI_NONE else { return }
        let traffic = reader.traffic[Int(route.traffic)]
        guard traffic.mirror_share > 0 else { return }
        let target = reader.targets[Int(traffic.mirror_target)]
        note(
            .mirror, .matched,
            "\(Double(traffic.mirror_share) / 100) % are copied to \(reader.text(target.name))",
            rule: reader.text(route.rule), origin: reader.text(route.origin))
    }

    /// How many requests the route takes, and how long they may be.
    mutating func explainBounds(_ route: abi_route) {
        guard route.traffic != ABI_NONE else { return }
        let traffic = reader.traffic[Int(route.traffic)]
        var parts: [String] = []
        for index in traffic.rates.at..<traffic.rates.at + traffic.rates.count {
            let rate = reader.rates[Int(index)]
            let sharing = ["", " of a client", " of an identity", " of a connection"][Int(rate.by)]
            let each = Double(rate.interval_ns) / 1_000_000_000
            parts.append("\(rate.burst) requests\(sharing) at once, then one in \(each) s, or 429")
        }
        if traffic.max_head > 0 { parts.append("heads up to \(traffic.max_head) bytes, or 431") }
        if traffic.max_body > 0 { parts.append("bodies up to \(traffic.max_body) bytes, or 413") }
        guard !parts.isEmpty else { return }
        note(
            .limits, .matched, parts.joined(separator: "; "), rule: reader.text(route.rule),
            origin: reader.text(route.origin))
    }
}
