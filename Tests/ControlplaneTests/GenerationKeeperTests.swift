import MeshStore
import Testing

@testable import controlplane

@Suite struct GenerationKeeperTests {
    @Test func numbersThatAreReservedAheadCostNoWrite() async throws {
        let store = try await SQLiteStore.inMemory()
        let keeper = try GenerationKeeper(store: store, board: ProblemBoard())
        await keeper.reserve()
        let index = store.snapshot.index
        for number in UInt64(1)...400 { #expect(await keeper.next(above: 0) == number) }
        await keeper.reserve()
        #expect(store.snapshot.index == index)
        for _ in 0..<200 { _ = await keeper.next(above: 0) }
        await keeper.reserve()
        #expect(store.snapshot.index > index)
    }

    @Test func numbersOnlyGrowOverRestarts() async throws {
        let store = try await SQLiteStore.inMemory()
        var last: UInt64 = 0
        for reservesAhead in [true, false, false, true] {
            let keeper = try GenerationKeeper(store: store, board: ProblemBoard())
            if reservesAhead { await keeper.reserve() }
            for running in [0, last + 5000, 0] {
                let next = await keeper.next(above: running)
                #expect(next > last)
                #expect(next > running)
                last = next
            }
        }
    }
}
