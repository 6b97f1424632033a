import Foundation
import MeshConfig
import MeshIdentity
import MeshModel
import Testing

@testable import MeshStore
@testable import controlplane

/// Rotation of roots, and leaves that are lent to clients of the API.
@Suite struct IdentityKeeperTests {
    private func keeper(_ store: SQLiteStore, _ mesh: String = "") async throws -> IdentityKeeper {
        try await IdentityKeeper.open(
            store: store,
            configuration: ConfigLoader().load(
                text: "mesh: { trust_domain: test.consul\(mesh) }", source: "test.yaml"
            ).configuration, board: ProblemBoard(), log: testLogger())
    }

    @Test func rootsAreShownAsConsulDoes() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        let before = await keeper.connectRoots
        #expect(before.roots.count == 1 && before.trustDomain == "test.consul")
        let next = try await keeper.rotate()
        let after = await keeper.connectRoots
        #expect(after.index > before.index && after.activeRootID == next.id)
        #expect(after.roots.map(\.active) == [true, false])
        #expect(after.roots.map(\.intermediateCerts.count) == [1, 0])
        #expect(after.roots[1].id == before.activeRootID && after.roots[1].rotatedOutAt != nil)
        #expect(after.roots.allSatisfy { $0.externalTrustDomain == "test" })
        #expect(after.roots.allSatisfy { $0.privateKeyType == "ec" && $0.privateKeyBits == 256 })
        #expect(after.roots[0].modifyIndex == after.index)
        #expect(after.pem.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
        // What is stored is what is shown.
        let again = try await self.keeper(store)
        #expect(await again.connectRoots == after)
    }

    @Test func aLeafIsLentUntilTheRootChanges() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        let web = try ServiceName("Web")
        let first = try await keeper.connectLeaf(of: web)
        #expect(first.service == "web" || first.service == "Web")
        #expect(first.serviceURI == "spiffe://test.consul/ns/default/dc/dc1/svc/web")
        #expect(first.privateKeyPEM.contains("BEGIN EC PRIVATE KEY"))
        #expect(try await keeper.connectLeaf(of: web) == first)
        _ = try await keeper.rotate()
        let second = try await keeper.connectLeaf(of: web)
        #expect(second.serialNumber != first.serialNumber)
        #expect(second.modifyIndex > first.modifyIndex && second.createIndex == first.createIndex)
        #expect(second.certPEM.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
        // Another process lends the same one.
        #expect(try await self.keeper(store).connectLeaf(of: web) == second)
    }

    @Test func lendingDoesNotReachTheDataPlane() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        _ = try await keeper.connectLeaf(of: try ServiceName("far"))
        let api = try ServiceName("api")
        let materials = await keeper.materials(for: [api])
        #expect(Set(materials.leaves.keys) == [api])
        // It is lent on.
        let held = await keeper.held.keys
        #expect(Set(held.map(\.folded)) == ["api", "far"])
    }

    @Test func whoAsksForTooManyIsRefused() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store, ", csr_max_per_second: 1")
        var refused = 0
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    do {
                        _ = try await keeper.connectLeaf(of: ServiceName("s\(number)"))
                        return false
                    } catch { return (error as? MeshError)?.code == .rateLimited }
                }
            }
            for await isRefused in group { refused += isRefused ? 1 : 0 }
        }
        // A turn comes back every second, however slow the machine is.
        #expect((1...38).contains(refused), "\(refused)")
        // Local services wait for nobody's turn.
        let names = Set(try (0..<40).map { try ServiceName("local\($0)") })
        #expect(await keeper.materials(for: names).leaves.count == 40)
    }

    /// A key that no root has.
    private func newKey() async throws -> String {
        try await keeper(SQLiteStore.inMemory()).connectLeaf(of: ServiceName("key")).privateKeyPEM
    }

    @Test func settingsOverTheAPIHoldOverTheFile() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        let web = try ServiceName("web")
        func lifetime(_ leaf: ConnectLeaf) -> TimeInterval {
            leaf.validBefore.timeIntervalSince(leaf.validAfter)
        }
        #expect(lifetime(try await keeper.connectLeaf(of: web)) == 72 * 3600)
        try await keeper.configure(
            AuthoritySettings(document: "{}", leafTTL: .hours(2)), key: nil)
        #expect(await keeper.authority.roots.count == 1)
        #expect(lifetime(try await keeper.connectLeaf(of: ServiceName("db"))) == 2 * 3600)
        // It is kept; what is sent without it takes it back.
        let again = try await self.keeper(store)
        #expect(lifetime(try await again.connectLeaf(of: ServiceName("api"))) == 2 * 3600)
        let first = try #require(await again.told)
        try await again.configure(AuthoritySettings(), key: nil)
        let second = try #require(await again.told)
        #expect(second.createIndex == first.createIndex)
        #expect(second.modifyIndex > first.modifyIndex)
        #expect(lifetime(try await again.connectLeaf(of: ServiceName("far"))) == 72 * 3600)
    }

    /// Another key is another root, signed by the one before; the same key is none.
    @Test func aKeyOverTheAPIRotatesOnce() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        let web = try ServiceName("web")
        let before = try await keeper.connectLeaf(of: web)
        let key = AuthorityKey(privateKeyPEM: try await newKey(), rootPEM: "")
        for _ in 0..<2 { try await keeper.configure(AuthoritySettings(), key: key) }
        let roots = await keeper.connectRoots
        #expect(roots.roots.count == 2)
        #expect(roots.roots.map(\.active) == [true, false])
        #expect(roots.roots[0].intermediateCerts.count == 1)
        let after = try await keeper.connectLeaf(of: web)
        #expect(after.serialNumber != before.serialNumber)
        #expect(after.certPEM.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
        // Whoever gives no key keeps the root.
        try await keeper.configure(AuthoritySettings(), key: nil)
        #expect(await keeper.connectRoots == roots)
        await #expect(throws: MeshError.self) {
            try await keeper.configure(
                AuthoritySettings(leafTTL: .hours(5)),
                key: AuthorityKey(privateKeyPEM: "none", rootPEM: ""))
        }
        #expect(await keeper.told?.leafTTL == nil)
        #expect(await keeper.connectRoots == roots)
    }

    @Test func rootsAreGivenUpWhenNoLeafIsLeft() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try await keeper(store)
        _ = try await keeper.rotate()
        let limit = Date().addingTimeInterval(2 * 72 * 3600)
        #expect(await keeper.pruneRoots(now: limit - 3600) == false)
        #expect(await keeper.pruneRoots(now: limit + 3600))
        #expect(await keeper.authority.roots.count == 1)
        #expect(try store.snapshot.authority()?.roots.count == 1)
    }
}
