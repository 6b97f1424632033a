import MeshConfig
package import MeshDiscovery
package import MeshModel

/// Reads discovery chains that an agent has compiled.
///
/// What routes, splits and balancing say is read by the readers of config entries: an agent writes
/// them as it was given them. What these do not know is told, and the part is left out.
package enum Chains {
    package struct Read: Sendable, Equatable {
        package var chain: DiscoveryChain
        package var problems: [String]
    }

    /// Reads `/v1/discovery-chain/<service>`.
    package static func read(_ json: AgentJSON, service: ServiceName) throws -> Read {
        guard let chain = json["Chain"] else { throw json.lacking("Chain") }
        var reader = Reader(service: service)
        let datacenter = try DatacenterName(try chain.need("Datacenter"))
        for (id, target) in chain["Targets"]?.members ?? [] {
            reader.targets[id] = try Reader.target(target, id: id, home: datacenter)
        }
        for (key, node) in chain["Nodes"]?.members ?? [] {
            reader.nodes[key] = try reader.node(node)
        }
        let start = try chain.need("StartNode")
        let read = DiscoveryChain(
            service: service, datacenter: datacenter,
            serviceProtocol: ServiceProtocol(consul: chain.text("Protocol") ?? "tcp"),
            start: start, nodes: reader.nodes, targets: reader.targets, meta: [:])
        try check(read, chain)
        return Read(chain: read, problems: reader.problems)
    }

    /// The chain of a service when there is nothing that compiles one: a Consul before 1.6.
    package static func plain(
        _ service: ServiceName, in datacenter: DatacenterName, timeout: MeshDuration = .seconds(5),
        id: String? = nil
    ) -> DiscoveryChain {
        let id = id ?? "\(service.text).default.\(datacenter.text)"
        let target = DiscoveryChain.Target(
            id: id, service: service, subset: ServiceResolver.Subset(), datacenter: datacenter,
            connectTimeout: timeout, meshGateway: .inherit, externalSNI: "")
        return DiscoveryChain(
            service: service, datacenter: datacenter, serviceProtocol: .tcp,
            start: "resolver:\(id)",
            nodes: [
                "resolver:\(id)": .resolver(
                    DiscoveryChain.Resolver(
                        target: id, isDefault: true, connectTimeout: timeout, failover: []))
            ], targets: [id: target], meta: [:])
    }

    /// Everything that leads on leads to what is there, and in the way that chains have: routes to
    /// splitters or resolvers, splitters to resolvers. So the way ends, whatever was sent.
    private static func check(_ chain: DiscoveryChain, _ json: AgentJSON) throws {
        func broken(_ what: String) -> MeshError {
            MeshError(.invalid, "\(json.subject): the chain leads from \(what)")
        }
        func isResolver(_ key: String) -> Bool {
            if case .resolver? = chain.nodes[key] { return true }
            return false
        }
        guard chain.nodes[chain.start] != nil else { throw broken("its start to nothing") }
        for (key, node) in chain.nodes {
            switch node {
            case .router(let routes):
                guard key == chain.start, !routes.isEmpty else { throw broken("a second router") }
                for route in routes {
                    guard let next = chain.nodes[route.next] else {
                        throw broken("a route to nothing")
                    }
                    if case .router = next { throw broken("a route to a router") }
                }
            case .splitter(let legs, _):
                guard !legs.isEmpty, legs.allSatisfy({ isResolver($0.next) }) else {
                    throw broken("a splitter to something else than resolvers")
                }
            case .resolver(let resolver):
                guard chain.targets[resolver.target] != nil else {
                    throw broken("a resolver to no target")
                }
            }
        }
    }

    private struct Reader {
        let service: ServiceName
        var nodes: [String: DiscoveryChain.Node] = [:]
        var targets: [String: DiscoveryChain.Target] = [:]
        var problems: [String] = []

        static func target(
            _ json: AgentJSON, id: String, home: DatacenterName
        ) throws -> DiscoveryChain.Target {
            if let peer = json.text("Peer") {
                throw MeshError(.invalid, "\(json.subject): peer \(peer) is not connected")
            }
            for key in ["Namespace", "Partition"] {
                guard let name = json.text(key), name != "default" else { continue }
                throw MeshError(.invalid, "\(json.subject): \(key) \(name): only default is known")
            }
            let subset = json["Subset"]
            return DiscoveryChain.Target(
                id: id, service: try ServiceName(try json.need("Service")),
                subsetName: try json.text("ServiceSubset").map { try SubsetName($0) },
                subset: ServiceResolver.Subset(
                    filter: subset?.text("Filter") ?? "",
                    onlyPassing: subset?.bool("OnlyPassing") ?? false),
                datacenter: try json.text("Datacenter").map { try DatacenterName($0) } ?? home,
                connectTimeout: try Reader.duration(json["ConnectTimeout"]) ?? .seconds(5),
                meshGateway: json["MeshGateway"]?.text("Mode")
                    .flatMap { MeshGatewayMode(rawValue: $0) } ?? .inherit,
                externalSNI: json.bool("External") ? json.text("SNI") ?? "" : "")
        }

        /// A text with a unit, or nanoseconds: of resolvers Consul writes one so, one so.
        static func duration(_ json: AgentJSON?) throws -> MeshDuration? {
            guard let json else { return nil }
            if let text = json.value.string { return try MeshDuration(text) }
            return json.value.int.map { MeshDuration(nanoseconds: $0) }
        }

        mutating func node(_ json: AgentJSON) throws -> DiscoveryChain.Node {
            switch json.text("Type") {
            case "router": return .router(try routes(json))
            case "splitter": return .splitter(try legs(json), try balancer(json))
            case "resolver": return .resolver(try resolver(json))
            default:
                throw MeshError(.invalid, "\(json.subject): a node of no known type")
            }
        }

        private mutating func routes(_ json: AgentJSON) throws -> [DiscoveryChain.Route] {
            let all = json.items("Routes")
            return try all.enumerated().compactMap { index, route in
                let next = try route.need("NextNode")
                let definition = route["Definition"]?.value ?? .object([:])
                let document = DataValue.object([
                    "Kind": .string("service-router"), "Name": .string(service.text),
                    "Routes": .array([Reader.cleaned(definition)]),
                ])
                switch entry(document, "route \(index + 1)") {
                case .serviceRouter(let router)? where router.routes.count == 1:
                    return DiscoveryChain.Route(definition: router.routes[0], next: next)
                default:
                    // The last one takes what is left, whatever is written in it.
                    return index == all.count - 1
                        ? DiscoveryChain.Route(definition: ServiceRouter.Route(), next: next) : nil
                }
            }
        }

        private mutating func legs(_ json: AgentJSON) throws -> [DiscoveryChain.Leg] {
            try json.items("Splits").enumerated().map { index, split in
                let weight: Double =
                    switch split["Weight"]?.value {
                    case .int(let whole)?: Double(whole)
                    case .double(let number)?: number
                    default: 0
                    }
                guard (0...100).contains(weight) else {
                    throw MeshError(.invalid, "\(split.subject): a weight of \(weight)")
                }
                var definition = ServiceSplitter.Split(weight: weight)
                if case .object(var members)? = split["Definition"]?.value {
                    members["Weight"] = .int(100)
                    let document = DataValue.object([
                        "Kind": .string("service-splitter"), "Name": .string(service.text),
                        "Splits": .array([Reader.cleaned(.object(members))]),
                    ])
                    if case .serviceSplitter(let entry)? = entry(document, "split \(index + 1)"),
                        let first = entry.splits.first
                    {
                        definition = first
                        definition.weight = weight
                    }
                }
                return DiscoveryChain.Leg(
                    weight: definition.hundredths, definition: definition,
                    next: try split.need("NextNode"))
            }
        }

        private mutating func resolver(_ json: AgentJSON) throws -> DiscoveryChain.Resolver {
            guard let resolver = json["Resolver"] else { throw json.lacking("Resolver") }
            let failover = resolver["Failover"]
            let policy = failover?["Policy"].map {
                FailoverPolicy(
                    mode: $0.text("Mode") ?? "",
                    regions: $0.items("Regions").compactMap(\.value.string))
            }
            return DiscoveryChain.Resolver(
                target: try resolver.need("Target"), isDefault: resolver.bool("Default"),
                connectTimeout: try Reader.duration(resolver["ConnectTimeout"]) ?? .seconds(5),
                requestTimeout: try Reader.duration(resolver["RequestTimeout"]),
                loadBalancer: try balancer(json),
                failover: (failover?.items("Targets") ?? []).compactMap(\.value.string),
                failoverPolicy: policy)
        }

        private mutating func balancer(_ json: AgentJSON) throws -> LoadBalancer? {
            guard let balancer = json["LoadBalancer"] else { return nil }
            let document = DataValue.object([
                "Kind": .string("service-resolver"), "Name": .string(service.text),
                "LoadBalancer": Reader.cleaned(balancer.value),
            ])
            guard case .serviceResolver(let entry)? = entry(document, "load balancer") else {
                return nil
            }
            return entry.loadBalancer
        }

        /// The entry in a document; nil, and told, when it cannot be read whole: half of what
        /// somebody wrote would be something else.
        private mutating func entry(_ document: DataValue, _ what: String) -> ConfigEntry? {
            let read = AgentJSON(document, what).entries()
            if let entry = read.values.first?.value, read.isSound { return entry }
            let errors = read.problems.filter { $0.severity == .error }
            problems.append(
                "the chain of \(service), \(what): "
                    + (errors.first.map { "\($0.key): \($0.message)" } ?? "it cannot be read"))
            return nil
        }

        /// Without what an agent adds to what was written, and what says nothing.
        static func cleaned(_ value: DataValue) -> DataValue {
            guard case .object(let members) = value else {
                if case .array(let items) = value { return .array(items.map(cleaned)) }
                return value
            }
            var kept: [String: DataValue] = [:]
            for (key, member) in members {
                let folded = FoldedKey(key).text
                if ["namespace", "partition"].contains(folded) {
                    if member.string == "" || member.string == "default" { continue }
                }
                let cleaned = cleaned(member)
                switch cleaned {
                case .null, .string(""), .object([:]), .array([]): continue
                default: kept[key] = cleaned
                }
            }
            return .object(kept)
        }
    }
}

extension AgentJSON {
    /// What is here as config entries.
    func entries() -> Documents<ConfigEntry> {
        guard let bytes = try? bytes() else {
            return Documents(
                values: [], problems: [Problem(.error, "\(subject) cannot be written again")])
        }
        return DocumentLoader.configEntries(bytes, source: subject)
    }
}
