import MeshModel
import MeshStore
import MeshTables
import Testing

@testable import controlplane

/// Where the rules stand that the tables do not tell of.
@Suite struct RulePlacesTests {
    private func places(_ entries: [ConfigEntry]) throws -> RulePlaces {
        var world = World()
        world.services = [try service("web", port: 8000, sidecar: true)]
        let records = Dictionary(
            uniqueKeysWithValues: entries.enumerated().map { index, entry in
                let place = SourceLocation(source: "mesh.yaml", line: index + 1, column: 1)
                return (
                    entry.key,
                    ConfigEntryRecord(
                        entry: entry, origin: .file(place), createIndex: Index(1),
                        modifyIndex: Index(1))
                )
            })
        return RulePlaces(
            listeners: ["public": .derived], inventory: world.inventory, entry: { records[$0] })
    }

    @Test func ceilingsOfTheCallerComeFirst() throws {
        let (web, api) = (try ServiceName("web"), try ServiceName("api"))
        var resolver = ServiceResolver(name: web)
        resolver.limits = UpstreamLimits(maxConnections: 1)
        let own = ServiceDefaults(
            name: api,
            upstreamOverrides: [
                UpstreamConfig(name: web, limits: UpstreamLimits(maxConnections: 2))
            ])
        let places = try places([.serviceResolver(resolver), .serviceDefaults(own)])
        #expect(places.place(of: .calls(of: "web", by: "api"))?.origin == "mesh.yaml:2:1")
        #expect(places.place(of: .calls(of: "web", by: "api"))?.rule == "service-defaults api")
        #expect(places.place(of: .calls(of: "web", by: nil))?.origin == "mesh.yaml:1:1")
        #expect(places.place(of: .calls(of: "web", by: "shop"))?.origin == "mesh.yaml:1:1")
        #expect(places.place(of: .calls(of: "db", by: "api")) == nil)
        #expect(places.place(of: .choice("web")) == nil, "it says nothing about the choice")
        #expect(places.place(of: .language("web")) == nil)
    }

    @Test func listenersOfSidecarsAreWrittenWithTheirServices() throws {
        let places = try places([])
        #expect(places.place(of: .listener("public"))?.rule == "listener public")
        #expect(places.place(of: .listener("web-sidecar-proxy")) != nil)
        #expect(places.place(of: .listener("web-sidecar-proxy:db:9191")) != nil)
        #expect(places.place(of: .listener("other")) == nil)
        #expect(places.place(of: .instance("web"))?.rule == "service web")
    }
}
