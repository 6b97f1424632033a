import MeshHealth
import MeshModel
import MeshStore
import Testing

@testable import controlplane

/// Services on nodes that others speak for, as this node's data plane dials them.
@Suite struct RemoteServicesTests {
    private func far(_ status: CheckStatus = .passing) throws -> CatalogNode {
        let web = ServiceDefinition(
            name: try ServiceName("web"), port: 8080, meta: ["version": "2"])
        let proxy = ServiceDefinition(
            name: try ServiceName("web-sidecar-proxy"), kind: .connectProxy, port: 21000,
            proxy: ProxyDefinition(destinationServiceName: try ServiceName("web")))
        return CatalogNode(
            name: try NodeName("Far"), address: "192.0.2.7", meta: ["site": "oslo"],
            services: [web, proxy].map {
                CatalogNode.Service($0, createIndex: Index(5), modifyIndex: Index(5))
            },
            checks: [
                CatalogNode.Check(id: "alive", name: "alive", status: .passing),
                CatalogNode.Check(
                    id: "c", name: "c", status: status, service: try ServiceID("web")),
            ])
    }

    private func local(_ name: String, port: UInt16) throws -> ServiceRecord {
        ServiceRecord(
            definition: ServiceDefinition(name: try ServiceName(name), port: port), origin: .api,
            createIndex: Index(1), modifyIndex: Index(1))
    }

    private func inventory(_ node: CatalogNode) throws -> Inventory {
        let stored = Stored(node, createIndex: Index(5), modifyIndex: Index(5))
        let info = RemoteServices.info(node, datacenter: try DatacenterName("dc1"))
        return Inventory(
            [try local("web", port: 18000)] + RemoteServices.records([stored]),
            ports: SidecarPorts(), nodes: [info])
    }

    @Test func instancesOfAllNodesAreOneService() throws {
        let inventory = try inventory(far())
        let instances = inventory.instances(of: try ServiceName("web"))
        #expect(instances.map(\.id.text) == ["far/web", "web"])
        #expect(instances.map(\.definition.address) == ["192.0.2.7", ""])
        #expect(instances.map(\.isRemote) == [true, false])
        #expect(inventory.node(of: instances[0])?.meta == ["site": "oslo"])
        #expect(inventory.node(of: instances[1]) == nil)
    }

    /// A far proxy stands for its own node's instance alone, listens nowhere here and takes no port.
    @Test func farProxiesAreDialledAndNotServed() throws {
        let inventory = try inventory(far())
        let instances = inventory.instances(of: try ServiceName("web"))
        #expect(inventory.proxy(of: instances[0].definition)?.port == 21000)
        #expect(inventory.proxy(of: instances[1].definition) == nil)
        #expect(inventory.proxies.isEmpty)
        #expect(inventory.claims.contains(18000))
        #expect(!inventory.claims.contains(8080) && !inventory.claims.contains(21000))
    }

    @Test func whatIsSaidOfThemIsTheirHealth() throws {
        for status in [CheckStatus.passing, .warning, .critical] {
            let checks = try inventory(far(status)).checks.joined().filter {
                $0.service.text == "far/web"
            }
            #expect(checks.map(\.definition.initialStatus) == [.passing, status])
            // Nobody here makes them.
            #expect(checks.allSatisfy { $0.definition.kind == nil })
            #expect(Set(checks.map(\.id)).count == 2)
        }
    }
}
