import CMeshABI
import MeshLanes
import MeshModel
import Testing

@testable import MeshTables

@Suite struct SnapshotBuilderTests {
    @Test func aSmallPlanBecomesASnapshotThatTheDataPlaneAccepts() throws {
        let reader = try Plans.reader(Plans.small())
        #expect(reader.generation == 1)
        #expect(reader.node == "node-1")
        #expect(reader.listeners.count == 1)
        #expect(reader.text(reader.listeners[0].name) == "public")
        #expect(reader.endpoints.count == 2)
        #expect(reader.text(reader.endpoints[1].instance) == "web-18001")
        #expect(reader.endpoints[0].address.port == 18000)
        #expect(reader.targets[0].max_weight == 1)
        #expect(reader.text(reader.routes[0].origin) == "ringmesh.yaml:3:5")
    }

    @Test func equalPlansBecomeEqualBytes() throws {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        let node = try Plans.large(services: 50, endpoints: 3)
        let images = try (0..<2).map { _ in
            let image = try builder.build(node, stamp: Plans.stamp(), slots: &slots)
            return [UInt8](unsafeUninitializedCapacity: image.size) { buffer, count in
                image.write(into: UnsafeMutableRawBufferPointer(buffer))
                count = image.size
            }
        }
        #expect(images[0] == images[1])
    }

    /// Wherever lanes cut it, also within a record or a gap.
    @Test(arguments: [1, 7, 64, 1000])
    func lanesWriteTheSameBytes(grain: Int) throws {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        let image = try builder.build(
            Plans.large(services: 20, endpoints: 3), stamp: Plans.stamp(), slots: &slots)
        let files = [Lanes(1), Lanes(4, greatestGrain: grain), Lanes(300, greatestGrain: grain)]
            .map { lanes in
                var file = [UInt8](repeating: 0xaa, count: image.size)
                file.withUnsafeMutableBytes { image.write(into: $0, lanes: lanes) }
                return file
            }
        #expect(files[0] == files[1])
        #expect(files[0] == files[2])
    }

    @Test func aLargePlanIsAccepted() throws {
        let reader = try Plans.reader(Plans.large(services: 1000, endpoints: 5))
        #expect(reader.targets.count == 1000)
        #expect(reader.endpoints.count == 5000)
        #expect(reader.policies.count == 1000)
        #expect(reader.tls.count == 1)
    }
}
