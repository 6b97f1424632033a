package import MeshModel

/// What config entries can say and the data plane of this version cannot do. It is refused with the
/// entry's name, never left out silently.
package enum ChainSupport {
    static func problems(
        of chain: DiscoveryChain, reached: DatacenterName?
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
        let targets = chain.targets.sorted { $0.key < $1.key }.map(\.value)
        found += targets.filter { !$0.externalSNI.isEmpty }.map(outside)
        let far = targets.filter { reached != nil && $0.datacenter != reached }
        return found.map(problem) + far.map { unreached($0, chain) }
    }

    /// Those of a chain that is nothing but its service's own target.
    static func problems(ofPlain target: DiscoveryChain.Target) -> [Problem] {
        target.externalSNI.isEmpty ? [] : [problem(outside(target))]
    }

    private static func problem(_ what: String) -> Problem {
        Problem(.error, "\(what): this version's data plane cannot do that")
    }

    /// Of another datacenter no instance is known here: as long as that is so, what leads there
    /// finds nobody, and failover goes on to what comes next.
    private static func unreached(
        _ target: DiscoveryChain.Target, _ chain: DiscoveryChain
    ) -> Problem {
        Problem(
            .warning,
            "the chain of \"\(chain.service)\" leads to \"\(target.service)\" in datacenter "
                + "\"\(target.datacenter)\", which is not connected: it has no instance there")
    }

    private static func outside(_ target: DiscoveryChain.Target) -> String {
        "service-defaults \"\(target.service)\": external_sni"
    }

    package static let greatestRetryCodes = 8
    package static let greatestRetries = 10

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
        if destination.numRetries > greatestRetries {
            found.append("num_retries above \(greatestRetries)")
        }
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
}
