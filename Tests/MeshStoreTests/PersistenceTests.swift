import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import Testing

@Suite struct PersistenceTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func fill(_ store: SQLiteStore) async throws {
        let definition = try service("web")
        let defaults = ConfigEntry.serviceDefaults(
            ServiceDefaults(name: try ServiceName("web"), serviceProtocol: .http))
        let rule = try intention("*", "Web", .deny)
        var random = SystemRandomNumberGenerator()
        let authority = try authority().rotated(now: now, using: &random)
        let leaf = try authority.issue(identity("web"), now: now, using: &random)
        try await store.write { draft in
            try draft.putService(definition)
            _ = try draft.putEntry(defaults)
            try draft.putIntention(rule, replace: false)
            _ = try draft.putKeyValue("k/\u{0}ü", [0, 1, 255], flags: .max)
            try draft.putAuthority(authority)
            try draft.putLeaf(leaf)
            try draft.putSecret("ticket keys", SecretBytes([1, 2, 3]))
            draft.putTrustDomain(authority.trustDomain)
        }
    }

    @Test func everythingIsThereAfterAReopening() async throws {
        let store = try await open(folder)
        try await fill(store)
        let before = try Picture(store.snapshot)
        let index = store.snapshot.index
        let leaf = try store.snapshot.leaf(identity("web"))
        try await store.close()
        let again = try await open(folder)
        #expect(try Picture(again.snapshot) == before)
        #expect(again.snapshot.index >= index)
        #expect(again.snapshot.trustDomain?.text == "test.consul")
        #expect(again.snapshot.installationID == store.snapshot.installationID)
        #expect(try again.snapshot.leaf(identity("web")) == leaf)
        #expect(try again.snapshot.secret("ticket keys") == SecretBytes([1, 2, 3]))
        #expect(before.services.count == 1 && before.authority?.retired.count == 1)
        try await again.close()
    }

    @Test func removalsAreThereAfterAReopeningToo() async throws {
        let store = try await open(folder)
        try await fill(store)
        try await store.write { draft in
            try draft.removeService(ServiceID("web"))
            _ = try draft.removeEntry(.init(kind: "service-defaults", name: "web"))
            try draft.removeIntention(pair("*", "web"))
            draft.removeKeyValues(prefix: "")
            draft.removeLeaf(try identity("web"))
            try draft.putSecret("ticket keys", nil)
        }
        try await store.close()
        let again = try await open(folder)
        let picture = try Picture(again.snapshot)
        #expect(picture.services.isEmpty && picture.entries.isEmpty && picture.pairs.isEmpty)
        #expect(picture.intentions.isEmpty && picture.leaves.isEmpty)
        #expect(try again.snapshot.secret("ticket keys") == nil)
        try await again.close()
    }

    @Test func indexesNeverGoBackEvenThoseThatOnlyMemoryKnew() async throws {
        let store = try await open(folder)
        for _ in 0..<2500 { try await store.write { $0.note(.health, key: "web") } }
        let index = store.snapshot.index
        try await store.close()
        let again = try await open(folder)
        #expect(again.snapshot.index >= index)
        for topic in StoreTopic.allCases { #expect(again.index(topic) >= index.value) }
        try await again.close()
    }

    @Test func filesOwnNothingOnDisk() async throws {
        let store = try await open(folder)
        let layer = try FileLayer(
            services: [
                (
                    service("marked-service"),
                    .file(SourceLocation(source: "/etc/mesh.yaml", line: 1, column: 1))
                )
            ], entries: [])
        try await store.write { $0.setFileLayer(layer) }
        try await store.close()
        #expect(try !folder.contents().contains(Data("marked-service".utf8)))
        let again = try await open(folder)
        #expect(again.snapshot.services.isEmpty)
        try await again.close()
    }

    @Test func noPrivateKeyIsEverInTheFilesInClear() async throws {
        let store = try await open(folder)
        try await fill(store)
        let root = try #require(try store.snapshot.authority())
        let leaf = try #require(try store.snapshot.leaf(identity("web")))
        let keys = root.roots.map(\.privateKeyDER) + [leaf.privateKeyDER, SecretBytes([1, 2, 3])]
        // While the log of the database is there, and when it has been merged.
        for isOpen in [true, false] {
            if !isOpen { try await store.close() }
            let contents = try folder.contents()
            #expect(contents.contains(Data(root.active.certificateDER)), "the search finds")
            for key in keys where key.exposed.count > 32 {
                #expect(!contents.contains(Data(key.exposed)))
                // The scalar alone: SEC1 holds it behind seven bytes.
                let scalar = Data(key.exposed[7..<39])
                #expect(!contents.contains(scalar))
                #expect(!contents.contains(Data(scalar.base64EncodedString().utf8)))
                #expect(!contents.contains(Data(Data(key.exposed).base64EncodedString().utf8)))
            }
            #expect(!contents.contains(Data("PRIVATE KEY".utf8)))
        }
    }

    @Test func filesAreForTheOwnerOnly() async throws {
        let old = umask(0)
        defer { umask(old) }
        let store = try await open(folder)
        try await fill(store)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.sorted() == ["state.db", "state.db-shm", "state.db-wal", "state.db.lock"])
        for name in names {
            let path = folder.path + "/" + name
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
            #expect(mode as? Int == 0o600, "\(name)")
        }
        try await store.close()
    }

    @Test func writesOfManyCallersShareTransactions() async throws {
        let store = try await open(folder)
        let walBefore = try size("state.db-wal")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    _ = try await store.write { try $0.putKeyValue("k\(number)", [1]) }
                }
            }
            try await group.waitForAll()
        }
        #expect(store.snapshot.keyValues(prefix: "k").count == 200)
        let indexes = Set(store.snapshot.keyValues(prefix: "k").map(\.modifyIndex))
        #expect(indexes.count == 200)
        // A transaction of its own takes at least two pages of the log.
        let pages = (try size("state.db-wal") - walBefore) / 4096
        #expect(pages < 200)
        try await store.close()
        let again = try await open(folder)
        #expect(again.snapshot.keyValues(prefix: "k").count == 200)
        try await again.close()
    }

    private func size(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(
            atPath: folder.path + "/" + name)
        return try #require(attributes[.size] as? Int)
    }

    @Test func aCancelledCallersWriteAndThoseBesideItAreFinished() async throws {
        let store = try await open(folder)
        let tasks = (0..<50).map { number in
            Task { try await store.write { try $0.putKeyValue("k\(number)", [1]) } }
        }
        for task in tasks where task.hashValue % 2 == 0 { task.cancel() }
        for task in tasks { #expect(try await task.value) }
        #expect(store.snapshot.keyValues(prefix: "k").count == 50)
        try await store.close()
    }
}
