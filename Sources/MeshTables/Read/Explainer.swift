import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel

/// Runs a request through the tables with the lookups that the workers use, and notes each
/// decision.
package struct Explainer {
    let reader: SnapshotReader
    /// The word of an overlay slot; 0 is healthy.
    let overlay: (UInt32) -> UInt64
    /// CLOCK_MONOTONIC in milliseconds, for weights that grow.
    let now: UInt64
    /// Whether a token is good, by the key of the question that workers would ask.
    package typealias TokenTest = (_ check: UInt64, _ token: [UInt8]) -> Bool

    private let tokens: ExplainedTokens
    private var phases: [Explanation.Phase] = []

    package init(
        _ reader: SnapshotReader, overlay: @escaping (UInt32) -> UInt64 = { _ in 0 },
        now: UInt64 = 0, token: TokenTest? = nil
    ) {
        self.reader = reader
        self.overlay = overlay
        self.now = now
        tokens = ExplainedTokens(reader.tokenChecks, token)
    }

    /// The decisions about a request. What a client could not even send throws ``MeshError``.
    package func explain(_ request: ExplainedRequest) throws -> Explanation {
        var explainer = self
        let outcome = try explainer.run(request)
        return Explanation(
            generation: reader.generation, phases: explainer.phases, outcome: outcome)
    }

    mutating func note(
        _ phase: Explanation.Phase.Name, _ verdict: Explanation.Phase.Verdict, _ detail: String,
        rule: String? = nil, origin: String? = nil, about subject: Explanation.Phase.Subject? = nil
    ) {
        phases.append(
            Explanation.Phase(
                phase: phase, verdict: verdict, detail: detail, rule: rule, origin: origin,
                subject: subject))
    }

    private mutating func run(_ request: ExplainedRequest) throws -> String {
        let input: RequestInput
        do {
            input = try RequestInput(request)
            input.judge(by: tokens)
        } catch {
            note(.normalize, .refused, "\(error)")
            return Self.ended("400", ABI_OUTCOME_BAD_REQUEST)
        }
        let entry: abi_listener
        switch try listener(request, input) {
        case .found(let found): entry = found
        case .ended(let how): return how
        }
        let listener = entry
        for line in reader.settings(of: listener).lines {
            note(
                .setting, .none, "\(line.name): \(line.text)",
                about: .listener(reader.text(listener.name)))
        }
        let source = source(request, listener)
        if let refusal = connect(listener, source) { return refusal }
        guard listener.kind == UInt8(ABI_LISTENER_L7.rawValue) else {
            return stream(listener, source, input)
        }
        explainCertificate(listener, input.host)
        note(.normalize, .matched, "host \"\(input.host)\", path \(input.path)")
        let route = route(listener, input)
        if let refusal = authorize(listener.policy, source, input, "callers of the listener") {
            return refusal
        }
        guard let route else { return Self.ended("404", ABI_OUTCOME_NO_ROUTE) }
        explainBounds(route)
        switch abi_action(rawValue: UInt32(route.action)) {
        case ABI_ACTION_RESPOND: return "\(route.status)"
        case ABI_ACTION_REDIRECT:
            return "\(route.status) to \(location(route, listener, input))"
        default:
            explainHeads(route, input.path)
            explainTimes(route, listener)
            explainRetries(route, request.method)
            explainMirror(route)
            return explainSplits(
                route.splits, place(of: route), source, listener, input,
                inherited: route.header_ops.count)
        }
    }

    // MARK: - listener and identity

    private mutating func listener(
        _ request: ExplainedRequest, _ input: RequestInput
    ) throws -> Entry {
        let port = input.port
        if let name = request.listener {
            guard let at = reader.listeners.firstIndex(where: { reader.text($0.name) == name })
            else { throw MeshError(.notFound, "there is no listener \"\(name)\"") }
            let found = reader.listeners[at]
            if found.isRedirected { return try behind(at, input) }
            note(.listener, .matched, describe(found), about: .listener(name))
            return .found(found)
        }
        if let inner = try redirected(request, input) { return inner }
        guard port != 0 else {
            throw MeshError(
                .invalid,
                "\"\(request.url)\" names no port: write http://host:port/path, or name the "
                    + "listener")
        }
        let found = reader.listeners.filter {
            $0.address.family != UInt8(ABI_FAMILY_UNIX.rawValue) && $0.address.port == port
                && !$0.isInner
        }
        guard let first = found.first else {
            note(.listener, .none, "nothing listens on port \(port)")
            return .ended("connection refused")
        }
        if found.count > 1 {
            throw MeshError(
                .invalid,
                "several listeners have port \(port): name one of "
                    + found.map { reader.text($0.name) }.sorted().joined(separator: ", "))
        }
        note(
            .listener, .matched, describe(first), about: .listener(reader.text(first.name)))
        return first.isRedirected
            ? .ended(Self.ended("connection closed", ABI_OUTCOME_NOT_REDIRECTED)) : .found(first)
    }

    func describe(_ listener: abi_listener) -> String {
        "\(reader.text(listener.name)) on \(reader.address(listener.address))"
    }

    /// Who the data plane takes the caller for: a folded name, or empty.
    private mutating func source(_ request: ExplainedRequest, _ listener: abi_listener) -> String {
        if listener.flags & UInt8(ABI_LISTENER_MESH_OUTBOUND.rawValue) != 0 {
            let identity = reader.identities[Int(listener.identity)]
            let service = reader.text(identity.service)
            if let from = request.from, !from.isEmpty {
                let asked = self.service(of: from)
                guard !asked.isEmpty else { return stranger(from) }
                if asked != service {
                    note(
                        .identity, .matched,
                        "supposed to be \(asked); what comes here calls as \(service)")
                    return asked
                }
            }
            note(.identity, .matched, "calls as \(service): \(reader.text(identity.spiffe_id))")
            return service
        }
        guard listener.flags & UInt8(ABI_LISTENER_MESH_INBOUND.rawValue) != 0 else {
            note(.identity, .none, "callers of this listener have no identity")
            return ""
        }
        guard let from = request.from, !from.isEmpty else {
            note(.identity, .refused, "a mesh listener asks for a certificate: name the caller")
            return ""
        }
        let service = service(of: from)
        if service.isEmpty { return stranger(from) }
        note(
            .identity, .matched,
            from.contains("://") ? "\(from) is the service \(service)" : "the caller is \(from)")
        return service
    }

    /// The folded name of a caller that is given as a name or as a SPIFFE id; empty for an id that
    /// is no service of this mesh.
    private func service(of from: String) -> String {
        guard from.contains("://") else { return from.lowercased() }
        var id = from
        return id.withUTF8 { bytes in
            let name = intent_service_of(reader.view, bytes_of(bytes.baseAddress, bytes.count))
            return String(
                decoding: UnsafeBufferPointer(start: name.ptr, count: name.len), as: UTF8.self)
        }.lowercased()
    }

    private mutating func stranger(_ from: String) -> String {
        note(.identity, .none, "\(from) is no service of \(reader.trustDomain)")
        return ""
    }

    /// What the client sees, and the flag that access logs and metrics have for it.
    static func ended(_ seen: String, _ outcome: abi_outcome) -> String {
        "\(seen), \(String(cString: abi_outcome_name(outcome.rawValue)))"
    }

    // MARK: - intentions

    /// What a connection meets before its first byte; the outcome when it ends there.
    private mutating func connect(_ listener: abi_listener, _ source: String) -> String? {
        let inbound = listener.flags & UInt8(ABI_LISTENER_MESH_INBOUND.rawValue) != 0
        if inbound, phases.last?.verdict == .refused {
            return Self.ended("connection refused", ABI_OUTCOME_TLS)
        }
        guard listener.policy != ABI_NONE else { return nil }
        let decision = decide(listener.policy, source)
        let asks = decision.verdict == INTENT_ASK_PERMISSIONS
        let isL7 = listener.kind == UInt8(ABI_LISTENER_L7.rawValue)
        if asks, isL7 { return nil }
        note(decision, of: listener.policy, phase: .intention, "the connection")
        return decision.verdict == INTENT_ALLOW
            ? nil : Self.ended("connection closed", ABI_OUTCOME_DENIED)
    }

    private func decide(_ policy: UInt32, _ source: String) -> intent_decision {
        var source = source
        return source.withUTF8 {
            intent_decide(reader.view, policy, bytes_of($0.baseAddress, $0.count))
        }
    }

    /// The policy's word on a request, or on a connection when there is none; the outcome when it
    /// is denied.
    private mutating func authorize(
        _ policy: UInt32, _ source: String, _ input: RequestInput?, _ what: String
    ) -> String? {
        guard policy != ABI_NONE else { return nil }
        var decision = decide(policy, source)
        if let input {
            var source = source
            var request = input.input
            decision = source.withUTF8 {
                intent_permit(
                    reader.view, policy, bytes_of($0.baseAddress, $0.count), &request)
            }
        }
        note(decision, of: policy, phase: .authorize, what)
        if decision.verdict == INTENT_ALLOW { return nil }
        return Self.ended(input == nil ? "connection closed" : "403", ABI_OUTCOME_DENIED)
    }

    private mutating func note(
        _ decision: intent_decision, of policy: UInt32, phase: Explanation.Phase.Name,
        _ what: String
    ) {
        let verdict: Explanation.Phase.Verdict =
            decision.verdict == INTENT_ALLOW ? .allow : .deny
        let destination = reader.text(reader.policies[Int(policy)].destination)
        guard decision.intention != ABI_NONE else {
            note(
                phase, verdict,
                "\(what): no intention covers the call"
                    + (destination == "*" ? "" : " to \(destination)") + "; the default decides",
                rule: "mesh.intentions_default")
            return
        }
        let intention = reader.intentions[Int(decision.intention)]
        var detail = what
        if decision.permission != ABI_NONE {
            let first = Int(intention.permissions.at)
            detail += ": permission \(Int(decision.permission) - first + 1)"
            let token = reader.permissions[Int(decision.permission)].token
            if token != 0 { detail += ", whose token the request has" }
        } else if decision.verdict == INTENT_ASK_PERMISSIONS {
            detail += ": its permissions are about requests"
        } else if intention.permissions.count > 0 {
            detail += ": no permission covers the request; "
            detail +=
                intention.closed == 1 ? "every caller is asked for a token" : "the default decides"
        }
        note(
            phase, verdict, detail,
            rule: "\(reader.text(intention.source)) => \(reader.text(intention.destination)) "
                + "(precedence \(intention.precedence))",
            origin: reader.text(intention.origin))
    }

    // MARK: - routes

    private mutating func route(_ listener: abi_listener, _ input: RequestInput) -> abi_route? {
        var request = input.input
        let found = route_find(reader.view, listener.route_table, &request)
        let list = route_candidates(reader.view, listener.route_table, request.host)
        for place in list.at..<list.at + list.count {
            let index = reader.routeList[Int(place)]
            var record = reader.routes[Int(index)]
            if index == found {
                let asks = reader.describeMatch(record)
                note(
                    .route, .matched,
                    reader.describe(record) + (asks == "any request" ? "" : ": \(asks)"),
                    rule: reader.text(record.rule), origin: reader.text(record.origin))
                return record
            }
            var why: UnsafePointer<CChar>?
            _ = route_matches(reader.view, &record, &request, &why)
            note(
                .route, .passed, why.map { String(cString: $0) } ?? "",
                rule: reader.text(record.rule), origin: reader.text(record.origin))
        }
        note(.route, .none, "no route matches")
        return nil
    }

    /// The Location of the answer, as a worker writes it.
    private func location(
        _ route: abi_route, _ listener: abi_listener, _ input: RequestInput
    ) -> String {
        func part(_ text: abi_text, _ otherwise: String) -> String {
            text.len == 0 ? otherwise : reader.text(text)
        }
        let query = input.query.isEmpty ? "" : "?\(input.query)"
        let target = part(route.redirect_path, input.path + query)
        let host = part(route.redirect_host, input.authority)
        if host.isEmpty { return target }
        let scheme = part(route.redirect_scheme, listener.tls == ABI_NONE ? "http" : "https")
        return "\(scheme)://\(host)\(target)"
    }

    /// Where a stream leads: with `sni` by its server name, the URL's host.
    private mutating func stream(
        _ listener: abi_listener, _ source: String, _ input: RequestInput
    ) -> String {
        let isGateway = listener.flags & UInt8(ABI_LISTENER_GATEWAY.rawValue) != 0
        if isGateway || listener.flags & UInt8(ABI_LISTENER_SNI.rawValue) != 0 {
            note(.normalize, .matched, "server name \"\(input.host)\"")
            if let route = route(listener, input) {
                let understands = isGateway && speaksHTTP(route.splits)
                if understands { note(.normalize, .matched, "path \(input.path)") }
                return explainSplits(
                    route.splits, place(of: route), source, listener, understands ? input : nil)
            }
            if listener.splits.count == 0 {
                return Self.ended(
                    isGateway ? "closed" : "alert unrecognized_name", ABI_OUTCOME_NO_ROUTE)
            }
        }
        return explainSplits(listener.splits, ("the listener", nil), source, listener, nil)
    }

    /// Whether a gateway understands what is said to these targets, by the first of them.
    private func speaksHTTP(_ splits: abi_ref) -> Bool {
        let target = reader.targets[Int(reader.splits[Int(splits.at)].target)]
        return target.protocol != UInt8(ABI_PROTOCOL_TCP.rawValue)
    }

    private func place(of route: abi_route) -> Rule {
        (reader.text(route.rule), reader.text(route.origin))
    }

    // MARK: - targets

    /// What a person calls a rule, and where it was written.
    private typealias Rule = (name: String, origin: String?)

    /// Every target that the splits lead to; the outcome, for the most of the traffic.
    private mutating func explainSplits(
        _ splits: abi_ref, _ rule: Rule, _ source: String, _ listener: abi_listener,
        _ input: RequestInput?, inherited: UInt32 = 0
    ) -> String {
        let records = (splits.at..<splits.at + splits.count).map { reader.splits[Int($0)] }
        var outcomes: [(weight: UInt32, outcome: String)] = []
        for split in records.sorted(by: { $0.weight > $1.weight }) {
            let target = reader.targets[Int(split.target)]
            let name = reader.text(target.name)
            let share = Double(split.weight) * 100 / Double(ABI_SPLIT_TOTAL)
            note(
                .split, .matched, "\(share) % of the traffic goes to \(name)", rule: rule.name,
                origin: rule.origin)
            if split.header_ops.count > inherited {
                let own = split.header_ops.count - inherited
                explainChanges(
                    abi_ref(at: split.header_ops.at, count: own), on: "\(name), ",
                    rule: rule.name, origin: rule.origin ?? "")
            }
            let asking =
                UInt8(ABI_LISTENER_MESH_OUTBOUND.rawValue) | UInt8(ABI_LISTENER_GATEWAY.rawValue)
            if listener.flags & asking != 0,
                let refusal = authorize(target.policy, source, input, "calls of \(name)")
            {
                outcomes.append((split.weight, refusal))
            } else {
                outcomes.append((split.weight, choose(target, listener, input)))
            }
        }
        return outcomes.first?.outcome ?? Self.ended("503", ABI_OUTCOME_NO_ENDPOINT)
    }

    /// The healthy endpoints of a target, or of the first failover target that has some.
    private mutating func choose(
        _ target: abi_target, _ listener: abi_listener, _ input: RequestInput?
    ) -> String {
        let failover = (target.failover.at..<target.failover.at + target.failover.count).map {
            reader.targets[Int(reader.targetList[Int($0)])]
        }
        explainGuard(target, listener)
        for candidate in [target] + failover {
            let range = candidate.endpoints.at..<candidate.endpoints.at + candidate.endpoints.count
            let up = range.filter { refusal(of: reader.endpoints[Int($0)]) == nil }
            explainEndpoints(candidate)
            let name = reader.text(candidate.name)
            if up.isEmpty {
                note(
                    .choose, .none, "\(name): none of \(range.count) endpoints takes new work",
                    about: .choice(reader.text(target.service)))
                continue
            }
            explainUpstream(candidate, listener)
            let proxyOut = reader.proxyVersions(candidate.proxy_out).first
            let shown = up.prefix(8).map { reader.describe(reader.endpoints[Int($0)]) }
            let how = choice(of: candidate, for: target, input)
            note(
                .choose, .matched,
                "\(name): \(up.count) of \(range.count) endpoints: "
                    + shown.joined(separator: ", ") + (up.count > 8 ? ", …" : "")
                    + (up.count > 1 || candidate.balancer != ABI_NONE ? "; \(how)" : "")
                    + (proxyOut.map { "; with a PROXY header, \($0), where it is not a sidecar" }
                        ?? ""),
                about: .choice(reader.text(target.service)))
            return "forwarded to \(name)"
        }
        return Self.ended(input != nil ? "503" : "connection closed", ABI_OUTCOME_NO_ENDPOINT)
    }
}
