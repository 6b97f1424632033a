import MeshConfig
import MeshConsul
import MeshDiscovery
import MeshIdentity
import MeshModel
import MeshStore

extension NodeBackend {
    /// Of entries as they are wanted: of a service about which nothing is written, too.
    func chain(service: String, datacenter: String?) async throws -> [UInt8] {
        let name = try ServiceName(service)
        let place =
            try datacenter.map { try DatacenterName($0) } ?? configuration.node.datacenter
        let entries = ChainEntries(store.snapshot.plainEntries.map(\.entry))
        let chain = try ChainCompiler.compile(name, in: place, entries: entries)
        return chain.document(in: await identity.authority.trustDomain).bytes(pretty: true)
    }
}
