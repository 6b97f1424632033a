import MeshModel
import MeshTables

/// What is different between two plans, object by object. Pure.
struct GenerationDiff: Sendable, Equatable {
    enum Kind: String, Sendable, CaseIterable {
        case listener, route, target, endpoint, policy, identity, setting
    }

    enum Change: String, Sendable { case added, removed, changed }

    struct Line: Sendable, Equatable {
        var kind: Kind
        var change: Change
        /// Names the object among those of its kind.
        var name: String
        /// nil where it was not, and where it is not any more.
        var before: String?
        var after: String?
    }

    /// By kind, then by name.
    private(set) var lines: [Line] = []

    init(from old: CompiledNode, to new: CompiledNode) {
        for kind in Kind.allCases {
            compare(Self.objects(kind, old), Self.objects(kind, new), kind)
        }
    }

    /// How many of each kind a plan has.
    static func counts(_ node: CompiledNode) -> [(kind: Kind, count: Int)] {
        Kind.allCases.filter { $0 != .setting }.map { ($0, objects($0, node).count) }
    }

    private mutating func compare(
        _ old: [String: String], _ new: [String: String], _ kind: Kind
    ) {
        for name in Set(old.keys).union(new.keys).sorted() {
            let (before, after) = (old[name], new[name])
            guard before != after else { continue }
            let change: Change = before == nil ? .added : after == nil ? .removed : .changed
            lines.append(Line(kind: kind, change: change, name: name, before: before, after: after))
        }
    }

    /// Every object of a kind in words that differ when it does.
    private static func objects(_ kind: Kind, _ node: CompiledNode) -> [String: String] {
        switch kind {
        case .listener:
            return unique(node.listeners.map { ($0.name, words($0, node)) })
        case .route: return unique(node.listeners.flatMap(routes))
        case .target:
            return unique(node.targets.map { ($0.id, words($0)) })
        case .endpoint:
            return unique(
                node.targets.flatMap { target in
                    target.endpoints.map {
                        ("\(target.id) \($0.instance) \($0.address)", words($0, node))
                    }
                })
        case .policy:
            return unique(
                node.intentions.map { ("\($0.source) to \($0.destination)", words($0)) })
        case .identity:
            return unique(node.identities.map { ("\($0.service)", "\($0)") })
        case .setting:
            let providers = node.tokenProviders.map { ("jwt-provider \($0.key)", words($0.value)) }
            return [
                "intentions_default": "\(node.intentionsDefault)", "datacenter": node.datacenter,
                "node": node.node, "trust_domain": node.trustDomain,
            ].merging(providers) { first, _ in first }
        }
    }

    /// Objects that share a name are told apart by their place.
    private static func unique(_ pairs: [(String, String)]) -> [String: String] {
        var result: [String: String] = [:]
        for (name, text) in pairs {
            var free = name
            var number = 2
            while result[free] != nil {
                free = "\(name) (\(number))"
                number += 1
            }
            result[free] = text
        }
        return result
    }

    // MARK: - words

    private static func routes(of listener: ListenerPlan) -> [(String, String)] {
        let routes: [RoutePlan]
        switch listener.kind {
        case .l4: return []
        case .redirected(let originals, _):
            return originals.map { plan in
                (
                    "\(listener.name): \(AddressPlan.ip(plan.address, port: plan.port))",
                    "to \(plan.listener)"
                )
            }
        case .serverName(let named, _), .gateway(let named): routes = named
        case .l7(let all): routes = all
        }
        return routes.enumerated().map { place, route in
            ("\(listener.name): \(route.rule)", "\(place + 1). \(words(route))")
        }
    }

    private static func words(_ route: RoutePlan) -> String {
        var parts = ["\(route.host ?? "*") \(route.match)", "\(action(route.action))"]
        if let rewrite = route.prefixRewrite { parts.append("rewritten to \(rewrite)") }
        if !route.headerOps.isEmpty { parts.append("headers \(route.headerOps)") }
        if route.requestTimeout != 0 { parts.append("within \(route.requestTimeout) ms") }
        if route.retries != 0 {
            parts.append("\(route.retries) retries on \(route.retryOn.rawValue)")
        }
        if let traffic = route.traffic { parts.append("traffic \(traffic)") }
        parts.append("by \(route.origin)")
        return parts.joined(separator: ", ")
    }

    private static func action(_ action: RoutePlan.Action) -> String {
        switch action {
        case .forward(let splits): "to \(words(splits))"
        case .respond(let status, let body, let type):
            "answers \(status)" + (body.isEmpty ? "" : " \(type) \(body)")
        case .redirect(let status, let scheme, let host, let path):
            "redirects \(status) to \(scheme) \(host) \(path)"
        }
    }

    private static func words(_ splits: [SplitPlan]) -> String {
        splits.count == 1 && splits[0].weight > 0
            ? splits[0].target
            : splits.map {
                "\($0.target) \($0.weight)"
                    + ($0.headerOps.isEmpty ? "" : " headers \($0.headerOps)")
            }.joined(separator: " + ")
    }

    private static func words(_ listener: ListenerPlan, _ node: CompiledNode) -> String {
        let kind =
            switch listener.kind {
            case .l4(let splits): "l4 to \(words(splits))"
            case .serverName(_, let splits): "by server name, else " + (splits.map(words) ?? "none")
            case .gateway: "by the server name of mesh TLS"
            case .redirected(_, let other):
                "by the address before redirection, else " + (other ?? "none")
            case .l7: "l7"
            }
        var rest = listener
        rest.kind = .l4([])
        rest.tls = nil
        let tls = listener.tls.map { ", tls \(words(node.tls[$0.index]))" } ?? ""
        return "\(listener.address) \(kind)\(tls), \(members(of: rest, without: ["kind", "tls"]))"
    }

    /// The bundle of trusted certificates by a sum of its bytes; the secrets' number is upkeep.
    private static func words(_ tls: TLSPlan) -> String {
        let trust = tls.trust.isEmpty ? "" : ", trust \(sum(of: tls.trust))"
        return "(\(members(of: tls, without: ["trust", "secretsVersion"]))\(trust))"
    }

    private static func words(_ provider: TokenProviderPlan) -> String {
        let keys = provider.keySet.isEmpty ? "none" : sum(of: provider.keySet)
        return "\(members(of: provider.provider, without: ["keys"])), keys \(keys)"
    }

    /// Tells two texts apart.
    private static func sum(of bytes: [UInt8]) -> String {
        let sum = bytes.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return String(sum, radix: 16)
    }

    private static func words(_ target: TargetPlan) -> String {
        members(of: target, without: ["id", "endpoints"])
    }

    private static func words(_ endpoint: EndpointPlan, _ node: CompiledNode) -> String {
        "weight \(endpoint.weight)"
            + (endpoint.tls.map { ", tls \(words(node.tls[$0.index]))" } ?? "")
    }

    /// Not where it stands in the store, which changes with every write.
    private static func words(_ intention: Intention) -> String {
        let token = intention.token.map { ", every caller with \($0)" } ?? ""
        return "\(intention.effect)\(token), written in \(intention.origin)"
    }

    /// The settings of a value that has many, each by its name; those that say nothing left out.
    private static func members(of value: Any, without hidden: Set<String>) -> String {
        Mirror(reflecting: value).children.compactMap { child in
            guard let label = child.label, !hidden.contains(label), label != "name",
                label != "address"
            else { return nil }
            let text = "\(child.value)"
            return ["nil", "0", "", "[]", "false"].contains(text) ? nil : "\(label) \(text)"
        }.joined(separator: ", ")
    }
}
