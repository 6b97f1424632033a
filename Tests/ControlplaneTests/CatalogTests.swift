import MeshConfig
import MeshHealth
import MeshModel
import Testing

@testable import controlplane

@Suite struct CatalogTests {
    private func id(_ text: String) throws -> ServiceID { try ServiceID(text) }

    @Test func portsAreTheLowestFreeOnesAndStay() throws {
        var ports = SidecarPorts()
        let (a, b, c) = (try id("a"), try id("b"), try id("c"))
        #expect(ports.assign([b, c], range: 21000...21255, taken: [21001]) == [])
        #expect(ports.ports == [b: 21000, c: 21002])
        #expect(ports.assign([a, b, c], range: 21000...21255, taken: [21001]) == [])
        #expect(ports.ports == [a: 21003, b: 21000, c: 21002])
        #expect(ports.assign([a, c], range: 21000...21255, taken: [21001]) == [])
        #expect(ports.ports == [a: 21003, c: 21002])
        #expect(SidecarPorts(ports.plain) == ports)
    }

    @Test func whoGetsNoPortIsTold() throws {
        var ports = SidecarPorts()
        let ids = try ["a", "b", "c"].map(id)
        #expect(ports.assign(ids, range: 21000...21001, taken: []) == [ids[2]])
        #expect(ports.assign(ids, range: 21000...21001, taken: [21000, 21001]) == ids)
    }

    @Test func aPortThatIsClaimedMoves() throws {
        var ports = SidecarPorts()
        let a = try id("a")
        _ = ports.assign([a], range: 21000...21255, taken: [])
        _ = ports.assign([a], range: 21000...21255, taken: [21000])
        #expect(ports.ports == [a: 21001])
    }

    @Test func sidecarsAreExpanded() throws {
        var world = World()
        world.services = [
            try service("web", port: 80, sidecar: true), try service("db", port: 5432),
        ]
        let inventory = world.inventory
        #expect(inventory.proxies.map(\.id.text) == ["web-sidecar-proxy"])
        #expect(inventory.proxies.map(\.port) == [21000])
        #expect(inventory.instances.map(\.definition.id.text) == ["db", "web"])
        let web = try #require(inventory[ServiceID("web")]?.definition)
        #expect(inventory.proxy(of: web)?.id.text == "web-sidecar-proxy")
        #expect(inventory.proxy(of: try service("db", port: 5432)) == nil)
    }

    @Test func aProxyRegisteredByHandIsFoundByWhatItStandsFor() throws {
        var proxy = try service("web-proxy", port: 21500)
        proxy.kind = .connectProxy
        proxy.proxy = ProxyDefinition(
            destinationServiceName: try ServiceName("web"), localServicePort: 80)
        var world = World()
        world.services = [try service("web", port: 80), proxy]
        let web = try #require(world.inventory.instances.first?.definition)
        #expect(world.inventory.proxy(of: web)?.id.text == "web-proxy")
    }

    @Test func checksOfASidecarCountForItsService() throws {
        var web = try service("web", port: 80, sidecar: true)
        web.checks = [CheckDefinition(tcp: "127.0.0.1:80", interval: .seconds(1))]
        web.connect.sidecarService?.checks = [
            CheckDefinition(tcp: "127.0.0.1:21000", interval: .seconds(1))
        ]
        var world = World()
        world.services = [web]
        let checks = Array(world.inventory.checks.joined())
        #expect(checks.map(\.id) == ["service:web", "service:web-sidecar-proxy"])
        #expect(checks.map(\.service.text) == ["web", "web"])
    }

    // MARK: - folders

    private func owned(_ name: String, port: UInt16, file: String) throws -> Owned<
        ServiceDefinition
    > {
        Owned(
            try service(name, port: port), at: SourceLocation(source: file, line: 1, column: 1))
    }

    @Test func aFaultyFileKeepsWhatItSaid() throws {
        let before = FolderContents(services: [
            try owned("web", port: 1, file: "d/web.json"),
            try owned("db", port: 2, file: "d/db.json"),
        ])
        let now = FolderContents(
            services: [try owned("db", port: 3, file: "d/db.json")],
            problems: [Problem(.error, "broken", at: SourceLocation(source: "d/web.json", line: 1))]
        )
        let merged = now.keeping(before)
        #expect(Set(merged.services.map(\.value.port)) == [1, 3])
    }

    @Test func aFileThatIsGoneTakesItsServicesAlong() throws {
        let before = FolderContents(services: [try owned("web", port: 1, file: "d/web.json")])
        #expect(FolderContents().keeping(before).services == [])
    }

    @Test func aFolderThatCannotBeReadKeepsEverything() throws {
        let before = FolderContents(services: [try owned("web", port: 1, file: "d/web.json")])
        let now = FolderContents(
            problems: [Problem(.error, "cannot open", at: SourceLocation(source: "d"))])
        #expect(now.keeping(before).services == before.services)
    }

    @Test func whatMovedToAnotherFileIsNotKeptTwice() throws {
        let before = FolderContents(services: [try owned("web", port: 1, file: "d/a.json")])
        let now = FolderContents(
            services: [try owned("web", port: 2, file: "d/b.json")],
            problems: [Problem(.error, "broken", at: SourceLocation(source: "d/a.json", line: 1))])
        #expect(now.keeping(before).services.map(\.value.port) == [2])
    }
}
