package import MeshDiscovery
import MeshHTTP
import MeshIdentity
package import MeshModel
import MeshStore

/// `/v1/discovery-chain`: what becomes of traffic to a service.
package struct ChainEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy
    let queries: Queries

    package init(backend: any ConsulBackend, access: any AccessPolicy, queries: Queries) {
        self.backend = backend
        self.access = access
        self.queries = queries
    }

    package var endpoints: [Endpoint] {
        [Endpoint("/v1/discovery-chain/", ["GET": chain, "POST": chain])]
    }

    @concurrent private func chain(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Bad request: Missing chain name") }
        let name: ServiceName
        let datacenter: DatacenterName
        do {
            name = try ServiceName(request.tail)
            datacenter =
                try request.query["compile-dc"].nonEmpty.map { try DatacenterName($0) }
                ?? backend.node.datacenter
        } catch {
            throw APIError(400, "Bad request: \(error)")
        }
        try authority.require(Access(.read, .service, name.text))
        let overrides = try ChainOverrides(request)
        let domain = try TrustDomain(await backend.connectRoots().trustDomain)
        return try await queries.json(
            request, watching: Self.watch(name, backend.store.snapshot), .catalog
        ) { state, _ in
            let entries = state.plainEntries.map(\.entry)
            do {
                let chain = try ChainCompiler.compile(
                    name, in: datacenter, entries: overrides.entries(ChainEntries(entries), entries)
                )
                return ["Chain": overrides.applied(to: chain).json(in: domain)]
            } catch let error as MeshError {
                throw APIError(500, error.message)
            }
        }
    }

    /// A chain follows from entries of every service that it leads to, those that there are not
    /// included.
    private static func watch(_ name: ServiceName, _ state: StoreState) -> Watch {
        let kinds = ["service-defaults", "service-router", "service-splitter", "service-resolver"]
        var names: Set<String> = [name.folded]
        var open = [name]
        while let next = open.popLast() {
            for kind in kinds {
                let key = ConfigEntry.Key(kind: kind, name: next.text)
                for other in state.configEntry(key)?.entry.linked ?? []
                where names.insert(other.folded).inserted {
                    open.append(other)
                }
            }
        }
        var keys: Set<String> = ["proxy-defaults/global"]
        for name in names { keys.formUnion(kinds.map { "\($0)/\(name)" }) }
        return Watch(.configEntries, .keys(keys))
    }
}

extension ConfigEntry {
    /// The services that the entry leads to.
    fileprivate var linked: [ServiceName] {
        switch self {
        case .serviceRouter(let router): router.routes.compactMap { $0.destination?.service }
        case .serviceSplitter(let splitter): splitter.splits.compactMap(\.service)
        case .serviceResolver(let resolver):
            [resolver.redirect?.service].compactMap { $0 }
                + resolver.failover.values.flatMap { failover in
                    ([failover.service] + failover.targets.map(\.service)).compactMap { $0 }
                }
        case .serviceDefaults, .proxyDefaults, .serviceIntentions, .ingressGateway,
            .terminatingGateway, .other:
            []
        }
    }
}

extension DiscoveryChain {
    /// The answer about the chain when the caller wants nothing otherwise.
    package func document(in domain: TrustDomain) -> JSON {
        ["Chain": ChainOverrides.Customized(chain: self, hash: "").json(in: domain)]
    }
}

/// What a caller wants otherwise than the entries say.
struct ChainOverrides: Sendable {
    private var spoken: ServiceProtocol?
    private var connectTimeout: MeshDuration?
    private var gateway: MeshGatewayMode?

    init(_ request: APIRequest) throws {
        guard request.method == "POST" else { return }
        do {
            let fields = try Fields(request.json(), "CompiledDiscoveryChainRequest")
            let text = try fields.text("OverrideProtocol")
            guard text.isEmpty || ServiceProtocol(rawValue: text.lowercased()) != nil else {
                throw APIError(400, "Bad request: OverrideProtocol \"\(text)\" is not known")
            }
            spoken = ServiceProtocol(rawValue: text.lowercased())
            connectTimeout = try timeout(fields)
            if let mode = try fields.object("OverrideMeshGateway", "MeshGatewayConfig") {
                let text = try mode.text("Mode")
                guard let known = MeshGatewayMode(rawValue: text) else {
                    throw APIError(400, "Invalid OverrideMeshGateway.Mode parameter")
                }
                gateway = known == .inherit ? nil : known
                try mode.finish()
            }
            try fields.finish()
        } catch let failure as JSONParser.Failure {
            throw EntryRules.undecodable("\(failure)")
        } catch let failure as BodyFailure {
            throw EntryRules.undecodable(failure.text)
        }
    }

    private func timeout(_ fields: Fields) throws -> MeshDuration? {
        do {
            return try fields.duration("OverrideConnectTimeout")
        } catch {
            throw BodyFailure(GoErrors.decoding("OverrideConnectTimeout", error.text))
        }
    }

    /// The entries with routers and splitters left out where the wanted protocol has no requests.
    func entries(_ whole: ChainEntries, _ all: [ConfigEntry]) -> ChainEntries {
        guard let spoken, !spoken.isHTTPLike else { return whole }
        return ChainEntries(
            all.filter { entry in
                switch entry {
                case .serviceRouter, .serviceSplitter: false
                case .serviceDefaults, .proxyDefaults, .serviceResolver, .serviceIntentions,
                    .ingressGateway, .terminatingGateway, .other:
                    true
                }
            })
    }

    /// The chain with what is left to change, and what was changed by it.
    func applied(to chain: DiscoveryChain) -> Customized {
        var chain = chain
        var marks: [String] = []
        if let spoken, spoken != chain.serviceProtocol || !spoken.isHTTPLike {
            marks.append("protocol=\(spoken.rawValue)")
            chain.serviceProtocol = spoken
        }
        if let connectTimeout {
            var isOther = false
            for (key, node) in chain.nodes {
                guard case .resolver(var resolver) = node else { continue }
                isOther = isOther || resolver.connectTimeout != connectTimeout
                resolver.connectTimeout = connectTimeout
                chain.nodes[key] = .resolver(resolver)
            }
            if isOther { marks.append("timeout=\(connectTimeout)") }
        }
        if let gateway {
            var isOther = false
            for (key, var target) in chain.targets where target.externalSNI.isEmpty {
                // Only ways to other datacenters lead through gateways.
                guard target.datacenter != chain.datacenter else { continue }
                isOther = isOther || target.meshGateway != gateway
                target.meshGateway = gateway
                chain.targets[key] = target
            }
            if isOther { marks.append("gateway=\(gateway.rawValue)") }
        }
        let hash = marks.isEmpty ? "" : String(ContentHash.of(.texts(marks)).prefix(8))
        return Customized(chain: chain, hash: hash)
    }

    /// A chain and what tells it from the usual one; empty when nothing does.
    struct Customized {
        let chain: DiscoveryChain
        let hash: String

        func json(in domain: TrustDomain) -> JSON {
            .members([
                "ServiceName": .string(chain.service.text), "Namespace": "default",
                "Datacenter": .string(chain.datacenter.text),
                "CustomizationHash": hash.isEmpty ? nil : .string(hash),
                "Protocol": .string(chain.serviceProtocol.rawValue),
                "StartNode": .string(chain.start),
                "Nodes": .object(
                    chain.nodes.sorted { $0.key < $1.key }.map {
                        .init($0.key, $0.value.json($0.key))
                    }
                ),
                "Targets": .map(
                    chain.targets.mapValues { $0.json(in: domain, seenFrom: chain.datacenter) }),
            ])
        }
    }
}

extension DiscoveryChain.Node {
    fileprivate func json(_ key: String) -> JSON {
        let name = key.split(separator: ":", maxSplits: 1).last.map(String.init) ?? key
        switch self {
        case .router(let routes):
            return [
                "Type": "router", "Name": .string(name),
                "Routes": .array(
                    routes.map { route in
                        [
                            "Definition": route.definition.json(ofChain: true),
                            "NextNode": .string(route.next),
                        ]
                    }),
            ]
        case .splitter(let legs, let balancer):
            return .members([
                "Type": "splitter", "Name": .string(name),
                "Splits": .array(
                    legs.map { leg in
                        .members([
                            "Weight": leg.weight == 0
                                ? nil : .double(Double(leg.weight) / 100),
                            "NextNode": .string(leg.next),
                        ])
                    }), "LoadBalancer": balancer?.json,
            ])
        case .resolver(let resolver):
            return .members([
                "Type": "resolver", "Name": .string(name),
                "Resolver": .members([
                    "ConnectTimeout": .string(resolver.connectTimeout.goText),
                    "RequestTimeout": resolver.requestTimeout.map { .number($0.nanoseconds) },
                    "Default": resolver.isDefault ? true : nil,
                    "Target": .string(resolver.target),
                    "Failover": resolver.failover.isEmpty
                        ? nil : ["Targets": .texts(resolver.failover)],
                ]), "LoadBalancer": resolver.loadBalancer?.json,
            ])
        }
    }
}

extension ServiceRouter.Route {
    /// The route that every chain ends with names its namespace, as Consul's does.
    fileprivate func json(ofChain: Bool) -> JSON {
        let isLast = match == HTTPMatch(path: .prefix("/")) && destination?.service != nil
        guard isLast, let destination,
            destination == ServiceRouter.Destination(service: destination.service)
        else { return json }
        return [
            "Match": ["HTTP": ["PathPrefix": "/"]],
            "Destination": [
                "Service": .string(destination.service?.text ?? ""), "Namespace": "default",
            ],
        ]
    }
}

extension DiscoveryChain.Target {
    /// Only ways to other datacenters lead through gateways, so only they name one.
    fileprivate func json(in domain: TrustDomain, seenFrom own: DatacenterName) -> JSON {
        .members([
            "ID": .string(id), "Service": .string(service.text),
            "ServiceSubset": subsetName.map { .string($0.text) }, "Namespace": "default",
            "Datacenter": .string(datacenter.text),
            "MeshGateway": meshGateway == .inherit || datacenter == own
                ? [:] : ["Mode": .string(meshGateway.rawValue)],
            "Subset": subset.json, "External": externalSNI.isEmpty ? nil : true,
            "SNI": .string(sni(in: domain)), "Name": .string(name(in: domain)),
        ])
    }
}
