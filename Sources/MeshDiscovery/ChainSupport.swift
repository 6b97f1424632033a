package import MeshModel

/// What config entries can say and the data plane of this version cannot do. It is refused with the
/// entry's name, never left out silently.
package enum ChainSupport {
    static func problems(
        of chain: DiscoveryChain, reachesDatacenters: Bool = false
    ) -> [Problem] {
        var found: [String] = []
        for (_, node) in chain.nodes.sorted(by: { $0.key < $1.key }) {
            switch node {
            case .router(let routes):
                for (index, route) in routes.enumerated() {
                    let name = "service-router \"\(chain.service)\", route \(index + 1)"
                    found += problems(of: route.definition.destination).map { "\(name): \($0)" }
                }
            case .splitter: break
            case .resolver(let resolver): found += problems(of: resolver, chain)
            }
        }
        for (_, target) in chain.targets.sorted(by: { $0.key < $1.key }) {
            found += problems(of: target, chain, reachesDatacenters: reachesDatacenters)
        }
        return found.map(problem)
    }

    /// Those of a chain that is nothing but its service's own target.
    static func problems(ofPlain target: DiscoveryChain.Target) -> [Problem] {
        target.externalSNI.isEmpty ? [] : [problem(outside(target))]
    }

    private static func problem(_ what: String) -> Problem {
        Problem(.error, "\(what): this version's data plane cannot do that")
    }

    private static func outside(_ target: DiscoveryChain.Target) -> String {
        "service-defaults \"\(target.service)\": external_sni"
    }

    /// What of a service's defaults is not acted on.
    package static func problems(of defaults: ServiceDefaults) -> [String] {
        var found: [String] = []
        let all = defaults.upstreamDefaults.map { [("defaults", $0)] } ?? []
        let single = defaults.upstreamOverrides.map { ("overrides", $0) }
        for (key, upstream) in all + single {
            let name = "upstream_config.\(key)"
            if (upstream.serviceProtocol ?? .tcp) != .tcp { found.append("\(name).protocol") }
        }
        return found.map {
            "service-defaults \"\(defaults.name)\": \($0): this version's data plane cannot do that"
        }
    }

    static let greatestRetryCodes = 8

    /// What of a destination is not acted on.
    package static func problems(of destination: ServiceRouter.Destination?) -> [String] {
        guard let destination else { return [] }
        var found: [String] = []
        let codes = Set(destination.retryOnStatusCodes)
        if codes.count > greatestRetryCodes {
            found.append("more than \(greatestRetryCodes) retry_on_status_codes")
        }
        for code in codes.sorted() where code < 200 {
            found.append("retry_on_status_codes \(code)")
        }
        if destination.numRetries > 3 { found.append("num_retries above 3") }
        if let timeout = destination.requestTimeout, timeout < .zero {
            found.append("a request_timeout below 0")
        }
        return found
    }

    private static func problems(
        of resolver: DiscoveryChain.Resolver, _ chain: DiscoveryChain
    ) -> [String] {
        var found: [String] = []
        let service = chain.targets[resolver.target]?.service ?? chain.service
        let name = "service-resolver \"\(service)\""
        if let mode = resolver.failoverPolicy?.mode, !mode.isEmpty, mode != "sequential" {
            found.append("\(name): the failover policy \(mode)")
        }
        if resolver.failover.count > 16 { found.append("\(name): more than 16 failover targets") }
        return found
    }

    private static func problems(
        of target: DiscoveryChain.Target, _ chain: DiscoveryChain, reachesDatacenters: Bool
    ) -> [String] {
        var found: [String] = []
        if target.datacenter != chain.datacenter, !reachesDatacenters {
            found.append(
                "the chain of \"\(chain.service)\" leads to datacenter \"\(target.datacenter)\"")
        }
        if !target.externalSNI.isEmpty {
            found.append(outside(target))
        }
        return found
    }
}
