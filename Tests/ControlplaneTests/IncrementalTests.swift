import MeshLanes
import MeshModel
import MeshTables
import Testing

@testable import MeshStore
@testable import controlplane

/// Whatever changes come one after the other: the plan that is brought up to date is the one that is
/// made from nothing, and so is its snapshot.
@Suite struct IncrementalTests {
    @Test(arguments: 0..<32)
    func everyPlanIsTheOneMadeFromNothing(seed: UInt64) async throws {
        try await compareEveryPlan(seed: seed, .machine)
    }

    /// Work that is cut into the smallest pieces, over more lanes than one, gives the same.
    @Test(arguments: [1, 2, 4], UInt64(0)..<8)
    func everyPlanIsTheSameInEveryNumberOfLanes(lanes: Int, seed: UInt64) async throws {
        try await compareEveryPlan(seed: seed, Lanes(lanes, greatestGrain: 1))
    }

    /// What is brought up to date is compared with what one lane makes from nothing.
    private func compareEveryPlan(seed: UInt64, _ lanes: Lanes) async throws {
        var world = try await ChangingWorld(seed: seed)
        var compiler = NodeCompiler(lanes: lanes)
        var builder = SnapshotBuilder(lanes: lanes)
        var slots = SlotTables()
        var book: [ServiceID: InstanceEndpoints] = [:]
        var images = 0
        for step in 0..<60 {
            if step > 0 { try await world.change() }
            let state = try await world.state()
            let plan = compiler.compile(state)
            let whole = NodeCompiler.compile(state, lanes: Lanes(1))
            #expect(plan.compiled == whole.compiled, "step \(step) of \(world.log)")
            #expect(plan.secrets == whole.secrets, "step \(step) of \(world.log)")
            #expect(plan.problems == whole.problems, "step \(step) of \(world.log)")
            for id in plan.endpoints.gone { book[id] = nil }
            for instance in plan.endpoints.present { book[instance.id] = instance }
            let expected = Dictionary(
                uniqueKeysWithValues: whole.endpoints.present.map { ($0.id, $0) })
            #expect(book == expected, "step \(step) of \(world.log)")
            guard
                let image = try? builder.build(
                    plan.compiled, stamp: stamp(step), slots: &slots)
            else {
                // What cannot be built from the old cannot be built from nothing.
                #expect(throws: PlanError.self) { try built(whole, step, slots) }
                continue
            }
            images += 1
            let fresh = try built(whole, step, slots)
            #expect(
                try SnapshotDump(SnapshotReader(image)) == SnapshotDump(SnapshotReader(fresh)),
                "step \(step) of \(world.log)")
        }
        #expect(images > 20)
        #expect(world.partial > 5, "few of the changes were told one by one")
    }

    private func stamp(_ step: Int) -> SnapshotBuilder.Stamp {
        SnapshotBuilder.Stamp(
            generation: UInt64(step + 1), secretsGeneration: 1, writtenAtMilliseconds: 1)
    }

    private func built(_ plan: NodePlan, _ step: Int, _ slots: SlotTables) throws -> SnapshotImage {
        var builder = SnapshotBuilder(lanes: Lanes(1))
        var slots = slots
        return try builder.build(plan.compiled, stamp: stamp(step), slots: &slots)
    }

    /// A state whose number does not follow is not measured by what it says has changed.
    @Test func aGapInTheNumbersMakesEverythingNew() async throws {
        var world = try await ChangingWorld(seed: 1)
        var compiler = NodeCompiler()
        _ = compiler.compile(try await world.state())
        for _ in 0..<10 {
            try await world.change()
            _ = try await world.state()
        }
        let last = try await world.state()
        #expect(compiler.compile(last).compiled == NodeCompiler.compile(last).compiled)
    }

    /// What did not change shares its storage with the plan before.
    @Test func onlyWhatIsTouchedIsMadeAnew() throws {
        var world = World()
        world.services = try (0..<4).map { try service("s\($0)", port: UInt16(1000 + $0)) }
        world.listeners = [
            try listener(
                "edge", port: 80, service: nil,
                routes: try (0..<4).map {
                    .init(host: "s\($0).test", action: .service(try ServiceName("s\($0)")))
                })
        ]
        var compiler = NodeCompiler()
        var state = try world.state()
        let before = compiler.compile(state)
        world.services[1] = try service("s1", port: 2000)
        state.inventory = world.inventory
        state.number += 1
        state.change = InventoryChange(
            services: [try ServiceID("s1")], names: [try ServiceName("s1")])
        let after = compiler.compile(state)
        #expect(after.compiled == NodeCompiler.compile(state).compiled)
        #expect(after.endpoints.present.map(\.id.text) == ["s1"] && after.endpoints.gone.isEmpty)
        func storage(_ plan: NodePlan, _ target: String) throws -> UnsafeRawPointer? {
            try #require(plan.target(target)).endpoints.withUnsafeBytes { $0.baseAddress }
        }
        for (name, isSame) in [("s0", true), ("s1", false), ("s2", true), ("s3", true)] {
            let id = "\(name).default.dc1"
            #expect(try (storage(before, id) == storage(after, id)) == isSame)
        }
    }
}
