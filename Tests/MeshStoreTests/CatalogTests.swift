import MeshModel
import MeshStore
import Testing

@Suite struct CatalogTests {
    private let store: SQLiteStore

    init() async throws { store = try await .inMemory() }

    @Test func aServiceIsRegisteredReplacedAndRemoved() async throws {
        let one = try service("web", port: 80)
        let two = try service("web", port: 81)
        try await store.write { try $0.putService(one) }
        let first = try #require(store.snapshot.service(one.id))
        #expect(first.createIndex == first.modifyIndex && first.origin == .api)
        try await store.write { try $0.putService(one) }
        #expect(store.snapshot.service(one.id) == first)
        try await store.write { try $0.putService(two) }
        let second = try #require(store.snapshot.service(one.id))
        #expect(second.definition.port == 81)
        #expect(second.createIndex == first.createIndex)
        #expect(second.modifyIndex > first.modifyIndex)
        try await store.write { try $0.removeService(one.id) }
        #expect(store.snapshot.services.isEmpty)
        #expect(
            await failure { try await store.write { try $0.removeService(one.id) } }?.code
                == .notFound)
    }

    @Test func indexesRiseByOnePerWriteThatChangesSomething() async throws {
        let start = store.snapshot.index.value
        for port in 1...3 as ClosedRange<UInt16> {
            let definition = try service("web", port: port)
            let index = try await store.write { draft in
                try draft.putService(definition)
                return draft.index
            }
            #expect(index.value == start + UInt64(port))
            #expect(store.snapshot.index == index)
        }
        _ = await failure { try await store.write { try $0.removeService(ServiceID("no")) } }
        try await store.write { _ in }
        #expect(store.snapshot.index.value == start + 3)
    }

    @Test func aWriteThatThrowsChangesNothing() async throws {
        struct Stop: Error {}
        let definition = try service("web")
        let before = store.snapshot.index
        await #expect(throws: Stop.self) {
            try await store.write { draft in
                try draft.putService(definition)
                _ = try draft.putKeyValue("k", [1])
                throw Stop()
            }
        }
        #expect(store.snapshot.services.isEmpty && store.snapshot.keyValue("k") == nil)
        #expect(store.snapshot.index == before)
        try await store.write { try $0.putService(definition) }
        #expect(store.snapshot.index == before.next)
    }

    @Test func configEntriesAreComparedAndSet() async throws {
        let name = try ServiceName("Web")
        let http = ConfigEntry.serviceDefaults(ServiceDefaults(name: name, serviceProtocol: .http))
        let tcp = ConfigEntry.serviceDefaults(ServiceDefaults(name: name, serviceProtocol: .tcp))
        #expect(try await store.write { try $0.putEntry(http, cas: Index(1)) } == false)
        #expect(try await store.write { try $0.putEntry(http, cas: .zero) })
        #expect(try await store.write { try $0.putEntry(http, cas: .zero) } == false)
        let record = try #require(store.snapshot.configEntry(.init(kind: http.kind, name: "WEB")))
        #expect(record.entry == http)
        #expect(try await store.write { try $0.putEntry(tcp, cas: record.modifyIndex) })
        #expect(
            try await store.write { try $0.removeEntry(tcp.key, cas: record.modifyIndex) } == false)
        #expect(try await store.write { try $0.removeEntry(tcp.key) })
        #expect(try await store.write { try $0.removeEntry(tcp.key) } == false)
        #expect(store.snapshot.configEntries().isEmpty)
    }

    @Test func anInstallationHasOneIdAndKeepsItsTrustDomain() async throws {
        #expect(store.snapshot.installationID.count == 36)
        #expect(store.snapshot.trustDomain == nil)
        let domain = try TrustDomain("abc.consul")
        try await store.write { $0.putTrustDomain(domain) }
        #expect(store.snapshot.trustDomain == domain)
    }
}

@Suite struct IntentionTests {
    private let store: SQLiteStore

    init() async throws { store = try await .inMemory() }

    private func put(_ all: Intention..., replace: Bool = false) async throws {
        for one in all {
            try await store.write { try $0.putIntention(one, replace: replace) }
        }
    }

    @Test func thereIsOnePerSourceAndDestinationWhateverTheCase() async throws {
        try await put(intention("web", "db"))
        let again = await failure { try await put(intention("WEB", "Db", .deny)) }
        #expect(again?.code == .conflict)
        try await put(intention("WEB", "Db", .deny), replace: true)
        let all = store.snapshot.intentions
        #expect(all.count == 1 && all[0].effect == .action(.deny))
        #expect(all[0].modifyIndex > all[0].createIndex)
        try await store.write { try $0.removeIntention(pair("web", "DB")) }
        #expect(store.snapshot.intentions.isEmpty)
        let gone = await failure {
            try await store.write { try $0.removeIntention(pair("web", "db")) }
        }
        #expect(gone?.code == .notFound)
    }

    @Test func equalReplacementsChangeNothing() async throws {
        try await put(intention("web", "db"))
        let index = store.snapshot.index
        try await put(intention("web", "db"), replace: true)
        #expect(store.snapshot.index == index)
    }

    @Test func theyAreListedInConsulsOrder() async throws {
        try await put(
            intention("*", "*"), intention("b", "*"), intention("*", "db"), intention("web", "db"),
            intention("api", "db"), intention("a", "*"))
        let all = store.snapshot.intentions
        let names = all.map { "\($0.source)=>\($0.destination)" }
        #expect(names == ["api=>db", "web=>db", "*=>db", "a=>*", "b=>*", "*=>*"])
        #expect(all.map(\.precedence) == [9, 9, 8, 6, 6, 5])
        let towards = try store.snapshot.intentions(towards: ServiceName("other"))
        #expect(towards.map(\.precedence) == [6, 6, 5])
        let from = try store.snapshot.intentions(from: ServiceName("a"))
        #expect(from.map { "\($0.source)=>\($0.destination)" } == ["*=>db", "a=>*", "*=>*"])
    }

    @Test func theyAreThePartsOfTheirDestinationsConfigEntry() async throws {
        try await put(intention("web", "db"), intention("*", "db", .deny), intention("x", "y"))
        let key = ConfigEntry.Key(kind: "service-intentions", name: "DB")
        let record = try #require(store.snapshot.configEntry(key))
        guard case .serviceIntentions(let entry) = record.entry else {
            Issue.record("not intentions")
            return
        }
        #expect(entry.sources.map { "\($0.name)" } == ["web", "*"])
        #expect(entry.sources.map(\.action) == [.allow, .deny])
        #expect(store.snapshot.configEntries().count == 2)
        #expect(store.snapshot.configEntries(kind: "service-defaults").isEmpty)
        var changed = entry
        changed.sources = [
            .init(name: try NamePattern("api"), action: .allow),
            .init(name: try NamePattern("web"), action: .allow),
        ]
        let written = ConfigEntry.serviceIntentions(changed)
        #expect(
            try await store.write { try $0.putEntry(written, cas: record.modifyIndex.next) }
                == false)
        #expect(try await store.write { try $0.putEntry(written, cas: record.modifyIndex) })
        let left = store.snapshot.intentions.map { "\($0.source)=>\($0.destination)" }
        #expect(left == ["api=>db", "web=>db", "x=>y"])
        #expect(try await store.write { try $0.removeEntry(key) })
        #expect(store.snapshot.intentions.count == 1)
    }
}

@Suite struct FileLayerTests {
    private let store: SQLiteStore
    private let origin = Origin.file(SourceLocation(source: "/etc/mesh.yaml", line: 3, column: 1))

    init() async throws { store = try await .inMemory() }

    private func layer(_ services: [ServiceDefinition], _ entries: [ConfigEntry] = []) throws
        -> FileLayer
    {
        try FileLayer(
            services: services.map { ($0, origin) }, entries: entries.map { ($0, origin) })
    }

    @Test func whatAFileOwnsIsReadLikeTheRestAndCannotBeWritten() async throws {
        let web = try service("web")
        let entry = ConfigEntry.serviceIntentions(
            ServiceIntentions(
                name: try NamePattern("web"),
                sources: [.init(name: try NamePattern("api"), action: .allow)]))
        let defaults = ConfigEntry.serviceDefaults(
            ServiceDefaults(name: try ServiceName("web"), serviceProtocol: .http))
        let layer = try layer([web], [entry, defaults])
        try await store.write { $0.setFileLayer(layer) }
        #expect(store.snapshot.service(web.id)?.origin == origin)
        #expect(try store.snapshot.intention(pair("api", "web"))?.origin == origin)
        let key = ConfigEntry.Key(kind: "service-intentions", name: "web")
        let replaced = try intention("api", "web", .deny)
        let refusals = [
            await failure { try await store.write { try $0.putService(web) } },
            await failure { try await store.write { try $0.removeService(web.id) } },
            await failure { try await store.write { try $0.putEntry(defaults) } },
            await failure { try await store.write { try $0.removeEntry(defaults.key) } },
            await failure { try await store.write { try $0.removeEntry(key) } },
            await failure {
                try await store.write { try $0.putIntention(replaced, replace: true) }
            },
            await failure {
                try await store.write { try $0.removeIntention(pair("api", "web")) }
            },
        ]
        for refusal in refusals {
            #expect(refusal?.code == .ownedByFile)
            #expect(refusal?.message.contains("/etc/mesh.yaml:3:1") == true)
        }
        let other = try intention("other", "web")
        try await store.write { try $0.putIntention(other, replace: false) }
        #expect(store.snapshot.intentions.count == 2)
    }

    @Test func aFileHidesWhatTheAPIWroteUntilItLetsGo() async throws {
        let mine = try service("web", port: 1)
        let files = try service("web", port: 2)
        try await store.write { try $0.putService(mine) }
        let layer = try layer([files])
        try await store.write { $0.setFileLayer(layer) }
        #expect(store.snapshot.service(mine.id)?.definition.port == 2)
        #expect(store.snapshot.services.count == 1)
        try await store.write { $0.setFileLayer(FileLayer()) }
        #expect(store.snapshot.service(mine.id)?.definition.port == 1)
    }

    @Test func onlyWhatDiffersGetsANewIndex() async throws {
        let first = try layer([service("a"), service("b", port: 1)])
        try await store.write { $0.setFileLayer(first) }
        let a = store.snapshot.service(try ServiceID("a"))
        let b = try #require(store.snapshot.service(try ServiceID("b")))
        let index = store.snapshot.index
        try await store.write { $0.setFileLayer(first) }
        #expect(store.snapshot.index == index)
        let second = try layer([service("a"), service("b", port: 2), service("c")])
        try await store.write { $0.setFileLayer(second) }
        #expect(store.snapshot.service(try ServiceID("a")) == a)
        let changed = try #require(store.snapshot.service(try ServiceID("b")))
        #expect(changed.modifyIndex == index.next && changed.createIndex == b.createIndex)
        #expect(store.index(.services, .key("a")) == index.value)
        #expect(store.index(.services, .key("c")) == index.value + 1)
    }

    @Test func twoPlacesForOneNameAreAConflict() throws {
        let other = Origin.file(SourceLocation(source: "/etc/two.yaml", line: 9, column: 2))
        let refusal = #expect(throws: MeshError.self) {
            try FileLayer(
                services: [(service("web"), origin), (service("web", port: 9), other)],
                entries: [])
        }
        #expect(refusal?.message.contains("/etc/mesh.yaml:3:1") == true)
        #expect(refusal?.message.contains("/etc/two.yaml:9:2") == true)
    }
}
