import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import MeshTables
import MeshWorkers
import Testing

@testable import controlplane

@Suite struct GenerationTests {
    private static func node(
        endpoints: [String] = ["127.0.0.1"], rules: [String] = ["route 1"]
    ) throws -> CompiledNode {
        let web = try ServiceName("web")
        let target = TargetPlan(
            id: "web.default.dc1", service: web,
            endpoints: try endpoints.enumerated().map { place, address in
                EndpointPlan(
                    address: .ip(try #require(IPAddress(address)), port: 80),
                    instance: "web-\(place)", node: "n")
            })
        let routes = rules.map {
            RoutePlan(
                action: .forward(SplitPlan.all(to: target.id)), rule: $0, origin: "file:1:1")
        }
        return CompiledNode(
            node: "n", datacenter: "dc1",
            listeners: [
                ListenerPlan(
                    name: "public", address: .ip(try #require(IPAddress("127.0.0.1")), port: 8080),
                    kind: .l7(routes))
            ], targets: [target])
    }

    private static func entry(
        _ generation: UInt64, size: Int = 10,
        _ kind: GenerationHistory.Outcome.Kind = .live
    ) throws -> GenerationHistory.Entry {
        GenerationHistory.Entry(
            generation: generation, at: Date(timeIntervalSince1970: 0), causes: ["c"],
            copyOf: nil, plan: try node(), secrets: [], size: size,
            outcome: GenerationHistory.Outcome(kind: kind))
    }

    @Test func theOldestGoFirstByNumber() throws {
        var history = GenerationHistory(mostEntries: 3, mostBytes: 1000)
        for number in 1...5 { history.add(try Self.entry(UInt64(number))) }
        #expect(history.entries.map(\.generation) == [3, 4, 5])
        #expect(history[2] == nil && history[3] != nil)
    }

    @Test func andBySize() throws {
        var history = GenerationHistory(mostEntries: 9, mostBytes: 100)
        for number in 1...3 { history.add(try Self.entry(UInt64(number), size: 50)) }
        #expect(history.entries.map(\.generation) == [2, 3])
        history.add(try Self.entry(4, size: 101))
        #expect(history.entries.map(\.generation) == [4], "the newest stays whatever its size")
    }

    @Test func refusedOnesWereNeverLive() throws {
        var history = GenerationHistory()
        history.add(try Self.entry(1))
        history.add(try Self.entry(2, .refused))
        history.add(try Self.entry(3, .partial))
        history.add(try Self.entry(4, .unknown))
        #expect(history.live?.generation == 3)
        #expect(history.predecessor(of: 3)?.generation == 1)
        #expect(history.predecessor(of: 1) == nil)
    }

    @Test func whatWasPublishedIsThereAfterARestart() async throws {
        let store = try await SQLiteStore.inMemory()
        let board = ProblemBoard()
        let archive = try GenerationArchive(store: store, board: board)
        var history = GenerationHistory(mostEntries: 3, mostBytes: 1000)
        for number in 1...5 as ClosedRange<UInt64> {
            var entry = try Self.entry(number, number == 4 ? .refused : .live)
            entry.outcome.refusals = ["worker 1: no"]
            entry.copyOf = number - 1
            entry.secrets = [
                SecretPlan(
                    id: number, version: 2, notAfterMilliseconds: 3,
                    content: .certificate(chain: [1], key: [2], names: ["a.test"]))
            ]
            history.add(entry)
            archive.keep(history)
            if number != 2 { await archive.flush() }
        }
        let kept = try GenerationArchive.load(store)
        #expect(kept.map(\.generation) == [3, 4, 5])
        for (was, now) in zip(history.entries, kept) {
            #expect(now.plan == was.plan && now.secrets == was.secrets)
            #expect(now.outcome == was.outcome && now.causes == was.causes)
            #expect(now.at == was.at && now.copyOf == was.copyOf && now.size == was.size)
        }
        // The next process goes on where this one ended.
        let next = try GenerationArchive(store: store, board: board)
        var later = GenerationHistory(mostEntries: 3, mostBytes: 1000, kept)
        later.add(try Self.entry(6))
        next.keep(later)
        await next.flush()
        #expect(try GenerationArchive.load(store).map(\.generation) == [4, 5, 6])
        #expect(try store.snapshot.secret("node/generations/3") == nil, "it is left behind")
    }

    @Test func aRecordOfAnotherVersionIsLeftOut() async throws {
        let store = try await SQLiteStore.inMemory()
        let archive = try GenerationArchive(store: store, board: ProblemBoard())
        var history = GenerationHistory()
        history.add(try Self.entry(1))
        history.add(try Self.entry(2))
        archive.keep(history)
        await archive.flush()
        try await store.write {
            try $0.putSecret("node/generations/1", SecretBytes(Array("{\"generation\":1}".utf8)))
        }
        #expect(try GenerationArchive.load(store).map(\.generation) == [2])
    }

    @Test func recordsThatAreTooLargeAreLeftOut() async throws {
        let store = try await SQLiteStore.inMemory()
        let archive = try GenerationArchive(store: store, board: ProblemBoard())
        var history = GenerationHistory()
        var large = try Self.entry(1)
        large.plan.node = String(repeating: "n", count: GenerationArchive.mostOfOne)
        var largest = try Self.entry(2)
        largest.size = 2 * GenerationArchive.mostOfOne + 1
        for entry in [large, largest, try Self.entry(3)] { history.add(entry) }
        for later in 4...5 as ClosedRange<UInt64> {
            archive.keep(history)
            await archive.flush()
            history.add(try Self.entry(later))
        }
        #expect(try GenerationArchive.load(store).map(\.generation) == [3, 4])
    }

    @Test func recordsAreBoundedTogether() {
        let one = GenerationArchive.mostOfAll / 4
        let items = (1...9).map { GenerationIndex.Item(generation: $0, size: one) }
        #expect(GenerationArchive.bounded(items).map(\.generation) == [6, 7, 8, 9])
        let larger = items + [GenerationIndex.Item(generation: 10, size: 1)]
        #expect(GenerationArchive.bounded(larger).map(\.generation) == [7, 8, 9, 10])
    }

    @Test func causesAreToldOnceAndBounded() {
        var causes = ChangeCauses()
        for number in 0..<20 {
            causes.add("cause \(number)")
            causes.add("cause 0")
        }
        #expect(causes.count == 20)
        let all = causes.take()
        #expect(all.count == ChangeCauses.most + 1 && all.last == "and 4 more")
        #expect(causes.take().isEmpty)
    }

    @Test func plansDifferByObjects() throws {
        let old = try Self.node()
        #expect(GenerationDiff(from: old, to: old).lines.isEmpty)
        let grown = GenerationDiff(from: old, to: try Self.node(endpoints: ["127.0.0.1", "::1"]))
        #expect(grown.lines.map(\.kind) == [.endpoint])
        #expect(grown.lines.map(\.change) == [.added])
        #expect(grown.lines[0].name.contains("web-1"))
        let renamed = GenerationDiff(from: old, to: try Self.node(rules: ["route 1", "route 2"]))
        #expect(renamed.lines.map { "\($0.kind) \($0.change)" } == ["route added"])
        var other = old
        other.intentionsDefault = .allow
        other.targets[0].connectTimeout = 1
        let changed = GenerationDiff(from: old, to: other)
        #expect(changed.lines.map(\.kind) == [.target, .setting])
        #expect(changed.lines.allSatisfy { $0.change == .changed })
        #expect(changed.lines[0].after?.contains("connectTimeout 1") == true)
    }

    /// TLS settings are kept in a list: another place in it is no difference.
    @Test func whereSettingsStandIsNoDifference() throws {
        func made(_ first: TLSPlan, _ second: TLSPlan, uses: TLSPlan) throws -> CompiledNode {
            var node = try Self.node()
            _ = node.intern(first)
            _ = node.intern(second)
            node.listeners[0].tls = node.intern(uses)
            return node
        }
        let one = TLSPlan(server: true, owner: "one")
        let two = TLSPlan(server: true, owner: "two")
        let a = try made(one, two, uses: one)
        let b = try made(two, one, uses: one)
        #expect(GenerationDiff(from: a, to: b).lines.isEmpty)
        #expect(GenerationDiff(from: a, to: try made(one, two, uses: two)).lines.count == 1)
    }

    @Test func renewedSecretsReplaceHeldOnes() {
        func secret(_ id: UInt64, _ version: UInt64) -> SecretPlan {
            SecretPlan(
                id: id, version: version, notAfterMilliseconds: 0, content: .ticketKeys([]))
        }
        let pin = Pin(generation: 1, held: .file([]), secrets: [secret(1, 1), secret(2, 1)])
        let merged = pin.secrets(renewedBy: [secret(2, 9), secret(3, 9)])
        #expect(Set(merged.map { "\($0.id)/\($0.version)" }) == ["1/1", "2/9", "3/9"])
    }
}
