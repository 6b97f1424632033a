import MeshLanes
import MeshModel
import Testing

@testable import MeshStore
@testable import controlplane

/// What is kept by looking at changes is what would be made of the whole.
@Suite struct InventoryTests {
    private func record(_ definition: ServiceDefinition) -> ServiceRecord {
        ServiceRecord(
            definition: definition, origin: .api, createIndex: .zero, modifyIndex: .zero)
    }

    private func whole(_ records: [ServiceID: ServiceRecord]) -> Inventory {
        Inventory(
            records.values.sorted { $0.id < $1.id }, ports: SidecarPorts())
    }

    @Test func changesAmountToTheWhole() throws {
        var generator = SystemRandomNumberGenerator()
        var records: [ServiceID: ServiceRecord] = [:]
        var inventory = Inventory()
        for step in 0..<400 {
            let id = "i\(Int.random(in: 0..<12, using: &generator))"
            let isGone = Int.random(in: 0..<4, using: &generator) == 0
            let new = try service(
                "s\(Int.random(in: 0..<4, using: &generator))", id: id,
                port: UInt16.random(in: 1...5, using: &generator),
                address: ["127.0.0.1", "db.test", ""].randomElement(using: &generator) ?? "")
            let key = try ServiceID(id)
            records[key] = isGone ? nil : record(new)
            let names = inventory.take(records[key], of: key)
            #expect(names != nil)
            let expected = whole(records)
            #expect(inventory == expected, "step \(step)")
            #expect(
                inventory.claims == expected.claims && inventory.hostNames == expected.hostNames)
            for name in try (0..<4).map({ try ServiceName("s\($0)") }) {
                #expect(inventory.instances(of: name) == expected.instances(of: name))
            }
            #expect(inventory.name(of: key) == expected.name(of: key))
        }
    }

    /// However records come, and in however many lanes they are worked on.
    @Test(arguments: [1, 2, 3, 4]) func anyOrderAndAnyLanesGiveTheSame(count: Int) throws {
        var generator = SystemRandomNumberGenerator()
        var records: [ServiceRecord] = []
        for number in 0..<40 {
            let address = number % 3 == 0 ? "db.test" : "127.0.0.1"
            let definition = try service(
                "s\(number % 7)", id: "i\(number)", port: UInt16(1000 + number),
                sidecar: number % 5 == 0, address: address)
            records.append(record(definition))
        }
        var ports = SidecarPorts()
        _ = ports.assign(Inventory.withoutPort(records), range: 21000...21003, taken: [])
        let expected = Inventory(
            records.sorted { $0.id < $1.id }, ports: ports, lanes: Lanes(1))
        #expect(!expected.problems.isEmpty, "a port is missing")
        for _ in 0..<8 {
            records.shuffle(using: &generator)
            let inventory = Inventory(
                records, ports: ports, lanes: Lanes(count, greatestGrain: 1))
            #expect(inventory == expected)
            #expect(inventory.services.map(\.id) == records.map(\.id).sorted())
            #expect(inventory.proxies == expected.proxies)
            #expect(
                inventory.claims == expected.claims && inventory.hostNames == expected.hostNames)
            for name in try (0..<7).map({ try ServiceName("s\($0)") }) {
                #expect(inventory.instances(of: name) == expected.instances(of: name))
            }
            for record in records { #expect(inventory[record.id]?.id == record.id) }
            #expect(inventory[try ServiceID("nobody")] == nil)
        }
    }

    @Test func whoChangedIsTold() throws {
        var inventory = Inventory()
        let id = try ServiceID("i")
        let (web, api) = (try ServiceName("web"), try ServiceName("api"))
        let first = record(try service("web", id: "i", port: 1))
        #expect(inventory.take(first, of: id) == [web])
        #expect(inventory.take(first, of: id) == [])
        #expect(inventory.take(record(try service("api", id: "i", port: 1)), of: id) == [web, api])
        #expect(inventory.take(nil, of: id) == [api])
        #expect(inventory.take(nil, of: id) == [])
    }

    @Test func sidecarsNeedTheWhole() throws {
        let plain = record(try service("web", port: 1))
        let fronted = record(try service("web", port: 1, sidecar: true))
        var inventory = Inventory()
        #expect(inventory.take(fronted, of: plain.id) == nil)
        #expect(inventory.services.isEmpty)
        inventory = whole([fronted.id: fronted])
        #expect(inventory.take(plain, of: plain.id) == nil)
        #expect(inventory.take(nil, of: plain.id) == nil)
    }

    @Test func theStoreTellsWhatChanged() async throws {
        let store = try await SQLiteStore.inMemory()
        var kept = KeptObjects()
        let ports = SidecarPorts()
        func expectWhole(_ change: InventoryChange?) {
            let state = store.snapshot
            if change == nil { kept.take(state.services, of: state, ports: ports) }
            #expect(kept.inventory == Inventory(state.services, ports: ports))
            #expect(kept.intentions == state.intentions)
            #expect(kept.entries == state.plainEntries)
        }
        #expect(kept.take(store.snapshot, ports: ports) == nil)
        expectWhole(nil)
        for step in 0..<60 {
            try await store.write { draft in
                try draft.putService(try service("s\(step % 7)", port: UInt16(1 + step)))
                for other in 0...step % 3 {
                    let pair = Intention(
                        source: .exact(try ServiceName("c\(other)")),
                        destination: step % 5 == 0 ? .any : .exact(try ServiceName("s\(step % 7)")),
                        effect: .action(step % 2 == 0 ? .allow : .deny))
                    try draft.putIntention(pair, replace: true)
                }
                if step % 4 == 0 { _ = try draft.putEntry(try http("s\(step % 7)")) }
            }
            let change = kept.take(store.snapshot, ports: ports)
            #expect(change?.names == [try ServiceName("s\(step % 7)")])
            expectWhole(change)
        }
        // More than is remembered: everything counts as changed.
        for step in 0..<RecentChanges.limit + 1 {
            try await store.write { try $0.putService(try service("x", port: UInt16(1 + step))) }
        }
        let change = kept.take(store.snapshot, ports: ports)
        #expect(change == nil)
        expectWhole(change)
        try await store.close()
    }
}
