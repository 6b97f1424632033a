import Foundation
import MeshModel
import MeshStore
import Testing

@Suite struct AccessTests {
    private let secret = "22222222-2222-4222-8222-222222222222"

    private func token(_ accessor: String, _ policies: [String] = []) -> ACLToken {
        ACLToken(accessorID: accessor, policies: policies, created: now)
    }

    @Test func aTokenIsFoundByItsSecretAlsoAfterARestart() async throws {
        let folder = try Folder()
        let first = try await open(folder)
        let web = token("web", ["p"])
        let secret = secret
        try await first.write { draft in
            try draft.putPolicy(ACLPolicy(id: "p", name: "web", rules: "operator = \"read\""))
            try draft.putToken(web, secret: secret)
        }
        #expect(first.snapshot.token(secret: secret)?.value == web)
        #expect(first.snapshot.token(secret: secret + " ") == nil)
        #expect(first.snapshot.token(secret: "") == nil)
        try await first.close()
        let second = try await open(folder)
        #expect(second.snapshot.token(secret: secret) == first.snapshot.token(secret: secret))
        #expect(second.snapshot.policies == first.snapshot.policies)
        try await second.close()
        let bytes = try folder.contents()
        #expect(bytes.range(of: Data(secret.utf8)) == nil, "the secret is in the files")
        #expect(bytes.range(of: Data("operator".utf8)) != nil, "the search itself finds")
    }

    @Test func aSecretIsOneTokensOnlyAndMayBeReplaced() async throws {
        let store = try await SQLiteStore.inMemory()
        let (a, b) = (token("a"), token("b"))
        try await store.write { try $0.putToken(a, secret: "one") }
        #expect(
            await failure { try await store.write { try $0.putToken(b, secret: "one") } }?.code
                == .conflict)
        #expect(
            await failure { try await store.write { try $0.putToken(b) } }?.message
                == "a new token needs a secret")
        let index = store.snapshot.index
        try await store.write { try $0.putToken(a) }
        #expect(store.snapshot.index == index, "an equal token changes nothing")
        try await store.write { try $0.putToken(a, secret: "two") }
        #expect(store.snapshot.token(secret: "one") == nil)
        #expect(store.snapshot.token(secret: "two")?.value == a)
        #expect(try await store.write { $0.removeToken(accessor: "a") })
        #expect(store.snapshot.token(secret: "two") == nil)
        #expect(try await store.write { $0.removeToken(accessor: "a") } == false)
    }

    @Test func policiesLeaveTheTokensThatHadThem() async throws {
        let store = try await SQLiteStore.inMemory()
        let holder = token("a", ["p", "q"])
        try await store.write { draft in
            try draft.putPolicy(ACLPolicy(id: "p", name: "one"))
            try draft.putToken(holder, secret: "s")
        }
        let before = try #require(store.snapshot.token(accessor: "a"))
        #expect(
            await failure {
                try await store.write { try $0.putPolicy(ACLPolicy(id: "q", name: "one")) }
            }?.message == "Invalid Policy: A Policy with Name \"one\" already exists")
        #expect(try await store.write { $0.removePolicy("p") })
        let after = try #require(store.snapshot.token(secret: "s"))
        #expect(after.value.policies == ["q"])
        #expect(after.modifyIndex > before.modifyIndex)
        #expect(after.createIndex == before.createIndex)
        #expect(try await store.write { $0.removePolicy("p") } == false)
    }

    @Test func queriesGoWithTheirSession() async throws {
        let store = try await SQLiteStore.inMemory()
        let query = PreparedQuery(id: "q", session: "s", service: .init("web"))
        #expect(
            await failure { try await store.write { try $0.putQuery(query) } }?.message
                == "invalid session \"s\"")
        try await store.write { draft in
            try draft.putSession(Session(id: "s", node: "lab"))
            try draft.putQuery(query)
            try draft.putQuery(PreparedQuery(id: "other", name: "x", service: .init("web")))
        }
        let start = store.index(.preparedQueries)
        #expect(store.snapshot.preparedQueries.map(\.value.id) == ["other", "q"])
        _ = try await store.write { $0.endSession("s", now: .now) }
        #expect(store.snapshot.preparedQueries.map(\.value.id) == ["other"])
        #expect(store.index(.preparedQueries) > start)
        #expect(try await store.write { $0.removeQuery("other") })
        #expect(try await store.write { $0.removeQuery("other") } == false)
    }

    @Test func theFirstHolderIsNoted() async throws {
        let store = try await SQLiteStore.inMemory()
        #expect(store.snapshot.bootstrapIndex == nil)
        try await store.write { $0.noteBootstrap() }
        #expect(store.snapshot.bootstrapIndex == store.snapshot.index)
    }
}
