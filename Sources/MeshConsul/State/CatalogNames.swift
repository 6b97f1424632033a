package import MeshDNS
import MeshDiscovery
import MeshModel
package import MeshStore

/// The catalog for resolvers. Who asks shows no token, so it shows what the anonymous one may see.
package struct CatalogNames: DNSCatalog {
    private let store: any StateStore
    private let source: any InstanceSource
    private let access: any AccessPolicy
    private let datacenter: String
    private let onlyPassing: Bool

    package init(
        store: any StateStore, source: any InstanceSource, access: any AccessPolicy,
        datacenter: String, onlyPassing: Bool
    ) {
        self.store = store
        self.source = source
        self.access = access
        self.datacenter = datacenter
        self.onlyPassing = onlyPassing
    }

    private func readable(
        _ service: String, isConnect: Bool, token: String
    ) async throws -> [FoundInstance] {
        let authority = try await access.authority(of: token)
        return await source.instances(of: service, isConnect: isConnect)
            .filter { $0.isReadable(by: authority) }
    }

    package func instances(
        of service: String, tag: String, isConnect: Bool
    ) async -> [DNSInstance] {
        guard let found = try? await readable(service, isConnect: isConnect, token: "") else {
            return []
        }
        let wanted = PreparedQuery.Service(
            service, onlyPassing: onlyPassing, tags: tag.isEmpty ? [] : [tag])
        var random = SystemRandomNumberGenerator()
        return QueryExecution.choose(found, for: wanted, using: &random).map(Self.shown)
    }

    package func virtualAddress(of service: String) async -> String? {
        guard let name = try? ServiceName(service),
            let address = store.snapshot.virtualAddress(of: name),
            let authority = try? await access.authority(of: ""),
            authority.allows(Access(.read, .service, name.text))
        else { return nil }
        return address.description
    }

    package func node(_ name: String) async -> DNSNode? {
        guard let node = await source.node(name),
            let authority = try? await access.authority(of: ""),
            authority.allows(Access(.read, .node, node.name.text))
        else { return nil }
        return DNSNode(name: node.name.text, address: node.address, meta: node.meta)
    }

    package func query(_ name: String) async throws -> DNSQueryResult? {
        let all = store.snapshot.preparedQueries.map(\.value)
        guard let query = try QueryLookup.resolve(name, among: all) else { return nil }
        let found = try await readable(
            query.service.service, isConnect: query.service.connect, token: query.token)
        var random = SystemRandomNumberGenerator()
        let chosen = QueryExecution.choose(
            found, for: query.service, near: query.service.near, using: &random)
        let ttl = (try? MeshDuration(query.dnsTTL)).map {
            UInt32(clamping: $0.nanoseconds / 1_000_000_000)
        }
        return DNSQueryResult(
            instances: chosen.map(Self.shown), datacenter: datacenter, ttl: ttl)
    }

    private static func shown(_ found: FoundInstance) -> DNSInstance {
        let definition = found.definition
        let weights = definition.weights
        let warns = found.checks.contains { $0.status == .warning }
        return DNSInstance(
            node: found.node.name.text, nodeAddress: found.node.address,
            address: definition.address, port: definition.port,
            weight: warns ? weights.warning : weights.passing)
    }
}
