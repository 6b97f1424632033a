import MeshModel

/// What is done to the graph of a chain once it is assembled.
enum ChainGraph {
    typealias Nodes = [String: DiscoveryChain.Node]

    private static func following(_ node: DiscoveryChain.Node?) -> [String] {
        switch node {
        case .router(let routes): routes.map(\.next)
        case .splitter(let legs, _): legs.map(\.next)
        case .resolver, nil: []
        }
    }

    /// Throws ``MeshError`` when a node leads back to itself; resolvers have been followed already.
    static func refuseCircles(_ nodes: Nodes, from start: String) throws {
        var done: Set<String> = []
        var path: [String] = []
        /// What is still to be visited below each node of the path.
        var open: [[String]] = [[start]]
        while let next = open.last?.first {
            open[open.count - 1].removeFirst()
            if path.contains(next) {
                throw MeshError(
                    .invalid,
                    "detected circular reference: ["
                        + (path + [next]).joined(separator: " -> ") + "]")
            }
            if !done.contains(next) {
                path.append(next)
                open.append(following(nodes[next]))
            }
            while open.last?.isEmpty == true, let finished = path.popLast() {
                open.removeLast()
                done.insert(finished)
            }
        }
    }

    static func reachable(_ nodes: Nodes, from start: String) -> Set<String> {
        var seen: Set<String> = []
        var open = [start]
        while let key = open.popLast() {
            if seen.insert(key).inserted { open += following(nodes[key]) }
        }
        return seen
    }

    /// Legs that lead to splitters replaced by the legs of those. A share is the exact product of
    /// the weights on its way, rounded once, half up; Consul rounds at every level, in the order of
    /// a random walk, so that its weights can differ from run to run.
    static func flattened(_ nodes: Nodes) throws -> Nodes {
        try nodes.mapValues { node in
            guard case .splitter(let legs, let balancer) = node else { return node }
            return .splitter(try legs.flatMap { try expanded(Share($0), nodes) }, balancer)
        }
    }

    /// A leg with its exact share of the whole: `product` of `depth` weights of 10,000 each.
    private struct Share {
        var leg: DiscoveryChain.Leg
        var product: UInt128
        var depth: Int

        init(_ leg: DiscoveryChain.Leg) {
            self.leg = leg
            product = UInt128(leg.weight)
            depth = 1
        }

        /// More factors of 10,000 do not fit into 128 bits.
        static let greatestDepth = 9

        var rounded: DiscoveryChain.Leg {
            var unit: UInt128 = 1
            for _ in 1..<depth { unit *= 10_000 }
            var leg = leg
            leg.weight = Int((product + unit / 2) / unit)
            return leg
        }
    }

    private static func expanded(_ share: Share, _ nodes: Nodes) throws -> [DiscoveryChain.Leg] {
        guard case .splitter(let inner, _) = nodes[share.leg.next] else { return [share.rounded] }
        guard share.depth < Share.greatestDepth else {
            throw MeshError(
                .invalid,
                "\(share.leg.next) is nested too deeply: use at most \(Share.greatestDepth) "
                    + "splitters in a row")
        }
        return try inner.flatMap { leg in
            var next = share
            next.product *= UInt128(leg.weight)
            next.depth += 1
            next.leg = leg
            next.leg.definition = merged(share.leg.definition, leg.definition)
            return try expanded(next, nodes)
        }
    }

    /// The inner leg's definition with the header rules of both: of a request's the inner ones win,
    /// of a response's the outer ones.
    private static func merged(
        _ outer: ServiceSplitter.Split, _ inner: ServiceSplitter.Split
    ) -> ServiceSplitter.Split {
        var leg = inner
        leg.requestHeaders = merged(outer.requestHeaders, inner.requestHeaders)
        leg.responseHeaders = merged(inner.responseHeaders, outer.responseHeaders)
        return leg
    }

    private static func merged(
        _ first: HeaderModifiers?, _ winner: HeaderModifiers?
    ) -> HeaderModifiers? {
        guard let first else { return winner }
        guard let winner else { return first }
        let added = first.remove.filter { !winner.remove.contains($0) }
        return HeaderModifiers(
            add: first.add.merging(winner.add) { _, last in last },
            set: first.set.merging(winner.set) { _, last in last }, remove: added + winner.remove)
    }
}
