import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

@Suite struct SlotTests {
    @Test func aKeyKeepsItsSlot() {
        var slots = SlotAllocator(capacity: 4)
        #expect(slots.slot(for: 10, generation: 1) == 0)
        #expect(slots.slot(for: 11, generation: 1) == 1)
        #expect(slots.slot(for: 10, generation: 2) == 0)
        #expect(slots.current(11) == 1)
        #expect(slots.current(12) == nil)
    }

    /// A slot goes to another key only after the last generation that used it is released.
    @Test func slotsAreReusedAfterTheirGenerationIsReleased() {
        var slots = SlotAllocator(capacity: 2)
        #expect(slots.slot(for: 10, generation: 1) == 0)
        #expect(slots.slot(for: 11, generation: 1) == 1)
        #expect(slots.slot(for: 11, generation: 2) == 1)
        #expect(slots.slot(for: 12, generation: 2) == nil)
        #expect(slots.release(before: 1) == [])
        #expect(slots.slot(for: 12, generation: 2) == nil)
        #expect(slots.release(before: 2) == [0])
        #expect(slots.slot(for: 12, generation: 3) == 0)
        #expect(slots.current(10) == nil)
        #expect(slots.release(before: 3) == [1])
        #expect(slots.count == 1)
    }

    @Test func slotsAreRecoveredFromARunningSnapshot() throws {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        var node = try Plans.small()
        node.targets += try ["a", "b", "c"].map { try Plans.target($0, ports: [1, 2]) }
        _ = try builder.build(node, stamp: Plans.stamp(1), slots: &slots)
        node.targets.remove(at: 2)
        let image = try builder.build(node, stamp: Plans.stamp(2), slots: &slots)
        let reader = try SnapshotReader(image)

        var recovered = SlotTables(recovering: reader)
        #expect(recovered.overlay.count == 6)
        for endpoint in reader.endpoints {
            #expect(recovered.overlay.current(endpoint.key) == endpoint.overlay_slot)
        }
        #expect(recovered.listeners.current(reader.listeners[0].key) == 0)
        // A new control plane builds on: what stays has its slots, what is new takes free ones.
        var other = SnapshotBuilder()
        node.targets.append(try Plans.target("new", ports: [1]))
        let next = try SnapshotReader(
            other.build(node, stamp: Plans.stamp(3), slots: &recovered))
        let taken = next.endpoints.map(\.overlay_slot)
        #expect(Set(taken).count == taken.count)
        for endpoint in reader.endpoints {
            #expect(recovered.overlay.current(endpoint.key) == endpoint.overlay_slot)
        }
    }

    @Test func routesKeepTheirSlotsWhateverElseChanges() throws {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        var node = try Plans.small()
        func route(_ rule: String) -> RoutePlan {
            RoutePlan(
                action: .forward(SplitPlan.all(to: "web.default.dc1")), rule: rule, origin: "x:1")
        }
        func set(_ rules: [String]) { node.listeners[0].kind = .l7(rules.map(route)) }
        func found(_ generation: UInt64) throws -> [String: Int] {
            let image = try builder.build(node, stamp: Plans.stamp(generation), slots: &slots)
            let routes = try SnapshotReader(image).countedRoutes
            return Dictionary(routes.compactMap { route in route.slot.map { (route.rule, $0) } }) {
                first, _ in first
            }
        }
        set(["a", "b"])
        let first = try found(1)
        #expect(first == ["a": 0, "b": 1])
        #expect(try found(2) == first)  // taken over
        set(["new", "b", "a"])
        #expect(try found(3) == ["a": 0, "b": 1, "new": 2])
        set(["b"])
        #expect(try found(4) == ["b": 1])
        #expect(slots.release(before: 4).routes == [0, 2])
        // A new control plane finds them as they are.
        let image = try builder.build(node, stamp: Plans.stamp(5), slots: &slots)
        slots = SlotTables(recovering: try SnapshotReader(image))
        builder = SnapshotBuilder()
        set(["c", "b"])
        #expect(try found(6) == ["b": 1, "c": 0])
    }

    @Test func routesBeyondTheirSlotsAreServedAndNotCounted() throws {
        var node = try Plans.small()
        let count = Int(LIMIT_ROUTE_SLOTS) + 3
        node.listeners[0].kind = .l7(
            (0..<count).map {
                RoutePlan(
                    action: .respond(status: 204, body: "", contentType: ""), rule: "route \($0)",
                    origin: "x:1")
            })
        let routes = try Plans.reader(node).countedRoutes
        #expect(routes.count == count)
        #expect(routes.count { $0.slot == nil } == 3)
        #expect(Set(routes.compactMap(\.slot)).count == Int(LIMIT_ROUTE_SLOTS))
    }

    /// Health is kept by instance, node and address: the same endpoint in two targets has one slot.
    @Test func anEndpointHasOneSlotInAllTargets() throws {
        var node = try Plans.small()
        var twin = node.targets[0]
        twin.id = "v2.web.default.dc1"
        node.targets.append(twin)
        let reader = try Plans.reader(node)
        #expect(reader.endpoints.count == 4)
        #expect(Set(reader.endpoints.map(\.overlay_slot)).count == 2)
    }
}
