/// A chain as a tree for people, one line a node or edge.
struct ChainTree {
    private let chain: ConsulChain
    private(set) var lines: [String] = []

    init(_ chain: ConsulChain) {
        self.chain = chain
        lines = ["\(chain.service) in \(chain.datacenter), protocol \(chain.spoken)"]
        add(Branch(root: chain.start, of: chain))
    }

    /// Nodes are nested as deep as a router, a splitter and a resolver; a document of somebody
    /// else's that leads in a circle ends here.
    private static let deepest = 16

    private struct Branch {
        var text: String
        var children: [Branch] = []

        init(_ text: String, _ children: [Branch] = []) {
            self.text = text
            self.children = children
        }

        init(root key: String, of chain: ConsulChain, depth: Int = 0) {
            guard let node = chain.nodes[key], depth < ChainTree.deepest else {
                self.init("\(key), which the chain does not have")
                return
            }
            let below = { Branch(root: $0, of: chain, depth: depth + 1) }
            if let routes = node.routes {
                self.init(
                    "router \(node.name)",
                    routes.map { Branch(Self.text(of: $0), [below($0.next)]) })
            } else if let splits = node.splits {
                self.init(
                    "splitter \(node.name)",
                    splits.map { split in
                        let next = below(split.next)
                        return Branch("\(Self.share(split.weight)) \(next.text)", next.children)
                    })
            } else {
                self.init(resolver: node, of: chain)
            }
        }

        private init(resolver node: ConsulChain.Node, of chain: ConsulChain) {
            guard let resolver = node.resolver else {
                self.init("\(node.type) \(node.name)")
                return
            }
            var text = "resolver \(node.name)"
            if resolver.isDefault == true { text += " (default)" }
            if let span = resolver.connectTimeout { text += ", connect timeout \(span.text)" }
            if let span = resolver.requestTimeout { text += ", timeout \(span.text)" }
            if let policy = node.balancer?.policy, !policy.isEmpty {
                text += ", balanced by \(policy)"
            }
            let others = resolver.failover?.targets ?? []
            self.init(
                text,
                [Branch("target " + Self.target(resolver.target, of: chain))]
                    + others.map { Branch("failover " + Self.target($0, of: chain)) })
        }

        private static func text(of route: ConsulChain.Route) -> String {
            let match = route.definition.match?.http?.text ?? "any request"
            let more = route.definition.destination?.texts ?? []
            return more.isEmpty ? match : "\(match): " + more.joined(separator: ", ")
        }

        private static func share(_ weight: Double?) -> String {
            let hundredths = Int(((weight ?? 0) * 100).rounded())
            let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
            let digits = rest % 10 == 0 ? "\(rest / 10)" : (rest < 10 ? "0\(rest)" : "\(rest)")
            return rest == 0 ? "\(whole) %" : "\(whole).\(digits) %"
        }

        private static func target(_ id: String, of chain: ConsulChain) -> String {
            guard let target = chain.targets[id] else { return id }
            var text = id
            if let filter = target.subset?.filter { text += ", where \(filter)" }
            if target.subset?.onlyPassing == true { text += ", only passing" }
            if target.isExternal == true { text += ", outside the mesh as \(target.sni ?? "")" }
            return text
        }
    }

    private mutating func add(_ branch: Branch, _ indent: String = "", isLast: Bool? = nil) {
        let (mark, more) =
            switch isLast {
            case nil: ("", "")
            case true?: ("└─ ", "   ")
            case false?: ("├─ ", "│  ")
            }
        lines.append(indent + mark + branch.text)
        for (index, child) in branch.children.enumerated() {
            add(child, indent + more, isLast: index == branch.children.count - 1)
        }
    }
}
