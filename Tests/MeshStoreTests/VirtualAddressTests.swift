import Foundation
import MeshIdentity
import MeshModel
import Testing

@testable import MeshStore

/// Addresses of services of the mesh.
@Suite struct VirtualAddressTests {
    private func member(_ name: String, id: String? = nil) throws -> ServiceDefinition {
        var definition = try service(name, id: id)
        definition.connect.native = true
        return definition
    }

    private func resolver(_ name: String) throws -> ConfigEntry {
        .serviceResolver(ServiceResolver(name: try ServiceName(name)))
    }

    private func key(_ name: String) -> ConfigEntry.Key {
        ConfigEntry.Key(kind: ConfigEntry.Kind.serviceResolver.rawValue, name: name)
    }

    private func picture(_ store: SQLiteStore) -> [String: String] {
        store.snapshot.virtualAddresses.mapValues(\.description)
    }

    @Test func addressesAreCountedUpAndKept() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        let (web, db) = (try member("Web"), try member("db"))
        let plain = try service("plain")
        try await store.write { draft in
            for definition in [web, db, plain] { try draft.putService(definition) }
        }
        // In the order of names, within one write.
        #expect(picture(store) == ["db": "240.0.0.1", "web": "240.0.0.2"])
        #expect(store.snapshot.virtualAddress(of: try ServiceName("WEB"))?.bits == 0xF000_0002)
        try await store.close()
        let again = try await open(folder)
        #expect(picture(again) == ["db": "240.0.0.1", "web": "240.0.0.2"])
        try await again.close()
    }

    @Test func theLastInstanceGivesItsAddressBack() async throws {
        let folder = try Folder()
        var store = try await open(folder)
        let all = [try member("web"), try member("web", id: "web-2"), try member("db")]
        try await store.write { draft in for one in all { try draft.putService(one) } }
        try await store.write { try $0.removeService(ServiceID("web")) }
        #expect(picture(store)["web"] == "240.0.0.2")
        // Still an instance, though out of the mesh: it may come back.
        let plain = try service("web", id: "web-2")
        try await store.write { try $0.putService(plain) }
        #expect(picture(store)["web"] == "240.0.0.2")
        try await store.write { try $0.removeService(ServiceID("web-2")) }
        #expect(picture(store) == ["db": "240.0.0.1"])
        try await store.close()
        store = try await open(folder)
        #expect(picture(store) == ["db": "240.0.0.1"])
        // Who knows the old address calls nobody else.
        let shop = try member("shop")
        try await store.write { try $0.putService(shop) }
        #expect(picture(store) == ["db": "240.0.0.1", "shop": "240.0.0.3"])
        try await store.close()
    }

    @Test func aWriteThatFailsGivesNothing() async throws {
        struct Refused: Error {}
        let store = try await SQLiteStore.inMemory()
        let web = try member("web")
        _ = await failure {
            try await store.write { draft in
                try draft.putService(web)
                throw Refused()
            }
        }
        #expect(picture(store) == [:])
        try await store.write { try $0.putService(web) }
        #expect(picture(store) == ["web": "240.0.0.1"])
    }

    @Test func proxiesEntriesAndGatewaysMakeMembers() async throws {
        let store = try await SQLiteStore.inMemory()
        var proxy = try service("web-proxy")
        proxy.kind = .connectProxy
        proxy.proxy = ProxyDefinition(destinationServiceName: try ServiceName("web"))
        var owner = try service("shop")
        owner.connect.sidecarService = SidecarDefinition()
        let canary = try resolver("canary")
        let gateway = ConfigEntry.terminatingGateway(
            TerminatingGateway(
                name: try ServiceName("out"),
                services: [
                    .init(name: .exact(try ServiceName("legacy"))), .init(name: .any),
                ]))
        let node = CatalogNode(
            name: try NodeName("far"), address: "10.0.0.1",
            services: [.init(try member("remote"), createIndex: .zero, modifyIndex: .zero)])
        try await store.write { [proxy, owner] draft in
            try draft.putService(proxy)
            try draft.putService(owner)
            _ = try draft.putEntry(canary)
            _ = try draft.putEntry(gateway)
            _ = draft.changeCatalogNode("far") { _, _ in node }
        }
        #expect(
            picture(store).keys.sorted() == ["canary", "legacy", "remote", "shop", "web"])
        #expect(Set(picture(store).values).count == 5)
        let canaryKey = key("canary")
        try await store.write { draft in
            try draft.removeService(ServiceID("web-proxy"))
            _ = try draft.removeEntry(canaryKey)
            _ = try draft.removeEntry(gateway.key)
            _ = draft.changeCatalogNode("far") { _, _ in nil }
        }
        #expect(picture(store).keys.sorted() == ["shop"])
    }

    @Test func servicesOfFilesKeepTheirsOverRestarts() async throws {
        let folder = try Folder()
        var store = try await open(folder)
        let origin = Origin.file(SourceLocation(source: "/etc/mesh.yaml", line: 1, column: 1))
        func layer(_ names: String...) throws -> FileLayer {
            try FileLayer(services: names.map { (try member($0), origin) }, entries: [])
        }
        let both = try layer("web", "db")
        try await store.write { $0.setFileLayer(both) }
        #expect(picture(store) == ["db": "240.0.0.1", "web": "240.0.0.2"])
        try await store.close()
        store = try await open(folder)
        let one = try layer("web")
        try await store.write { $0.setFileLayer(one) }
        #expect(picture(store) == ["web": "240.0.0.2"])
        try await store.close()
        // The last of them goes while nobody looks.
        store = try await open(folder)
        try await store.write { $0.setFileLayer(FileLayer()) }
        #expect(picture(store) == [:])
        try await store.close()
    }

    @Test func whoWritesAnAddressDownHasIt() async throws {
        let store = try await SQLiteStore.inMemory()
        let web = try member("web")
        try await store.write { try $0.putService(web) }
        let before = store.index(.services, .key("web"))
        var db = try member("db")
        db.taggedAddresses = ["virtual": TaggedAddress(address: "240.0.0.1")]
        try await store.write { [db] in try $0.putService(db) }
        // Nobody is given what is written down, not even who wrote it.
        #expect(picture(store) == ["web": "240.0.0.2", "db": "240.0.0.3"])
        #expect(store.index(.services, .key("web")) > before, "it is shown with another address")
        db.taggedAddresses = nil
        try await store.write { [db] in try $0.putService(db) }
        var own = web
        own.taggedAddresses = ["virtual": TaggedAddress(address: "240.0.0.2")]
        try await store.write { [own] in try $0.putService(own) }
        #expect(picture(store)["web"] == "240.0.0.2", "its own it keeps")
    }

    @Test func behindTheLastComesTheFirst() async throws {
        let store = try await SQLiteStore.inMemory()
        try await store.write { $0.putFact(Fact.virtualAddress, "255.255.255.252") }
        for name in ["a", "b", "c"] {
            let definition = try member(name)
            try await store.write { try $0.putService(definition) }
        }
        #expect(
            picture(store) == ["a": "255.255.255.253", "b": "240.0.0.1", "c": "240.0.0.2"])
    }

    @Test func thereIsALimit() async throws {
        let store = try await SQLiteStore.inMemory()
        let most = VirtualAddress.most
        let many = try (0...most).map { try resolver(String(format: "s%05d", $0)) }
        try await store.write { draft in
            for entry in many { _ = try draft.putEntry(entry) }
        }
        #expect(store.snapshot.virtualAddresses.count == most)
        #expect(Set(store.snapshot.virtualAddresses.values).count == most)
        #expect(store.snapshot.withoutVirtualAddress == 1)
        let last = try ServiceName(String(format: "s%05d", most))
        #expect(store.snapshot.virtualAddress(of: last) == nil)
        let first = key("s00000")
        try await store.write { _ = try $0.removeEntry(first) }
        #expect(store.snapshot.virtualAddress(of: last) != nil, "what is free goes to who waits")
        #expect(store.snapshot.withoutVirtualAddress == 0)
    }

    @Test func anAddressThatIsThereTwiceIsDamage() async throws {
        let folder = try Folder()
        let store = try await open(folder)
        let web = try member("web")
        try await store.write { try $0.putService(web) }
        try await store.close()
        let insert = "INSERT INTO virtual_addresses VALUES ('db', "
        #expect(try await python(insert + "'240.0.0.1')", folder) != 0)
        try #require(try await python(insert + "'10.0.0.1')", folder) == 0)
        let error = await failure { try await open(folder) }
        #expect(error?.code == .corrupt)
        #expect(error?.description.contains("virtual_addresses") == true)
    }

    private func python(_ sql: String, _ folder: Folder) async throws -> Int32 {
        let code = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit(); db.close()
            """
        return try await run("/usr/bin/python3", ["-c", code, folder.database, sql])
    }

    /// Random registrations: every member has an address, nobody shares one, nobody's changes.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomRegistrationsNeverShareAnAddress(seed: UInt64) async throws {
        let folder = try Folder()
        var random = ModelTests.Generator(state: seed)
        var store = try await open(folder)
        var members: [String: Set<String>] = [:]
        var known: [String: String] = [:]
        for step in 0..<200 {
            let name = "s\(Int.random(in: 0..<6, using: &random))"
            let id = "\(name)-\(Int.random(in: 0..<2, using: &random))"
            switch Int.random(in: 0..<9, using: &random) {
            case 0..<5:
                let definition = try member(name, id: id)
                try await store.write { try $0.putService(definition) }
                members[name, default: []].insert(id)
            case 5..<8:
                guard members[name]?.remove(id) != nil else { continue }
                try await store.write { try $0.removeService(ServiceID(id)) }
            default:
                try await store.close()
                store = try await open(folder)
            }
            let now = picture(store)
            let wanted = members.filter { !$0.value.isEmpty }.keys.sorted()
            try #require(now.keys.sorted() == wanted, "seed \(seed), step \(step)")
            try #require(Set(now.values).count == now.count, "seed \(seed), step \(step)")
            for (name, address) in known where now[name] != nil {
                try #require(now[name] == address, "seed \(seed), step \(step)")
            }
            known = now
        }
        try await store.close()
    }
}
