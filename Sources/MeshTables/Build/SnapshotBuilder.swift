import CMeshABI
import MeshModel

/// Turns plans into snapshots.
///
/// Keep one for the life of the control plane: compiled expressions are taken over from build to
/// build. A build is one pass over the plan into contiguous buffers; nothing is allocated per
/// record. What cannot be expressed, or exceeds a limit, is refused before anything is published.
package struct SnapshotBuilder: Sendable {
    private var expressions = RegexCache()

    package init() {}

    /// What a build is stamped with.
    package struct Stamp: Hashable, Sendable {
        /// Greater than every one before.
        package var generation: UInt64
        /// The secrets region that has every secret the plan names.
        package var secretsGeneration: UInt64
        /// Unix time.
        package var writtenAtMilliseconds: UInt64

        package init(
            generation: UInt64, secretsGeneration: UInt64, writtenAtMilliseconds: UInt64
        ) {
            self.generation = generation
            self.secretsGeneration = secretsGeneration
            self.writtenAtMilliseconds = writtenAtMilliseconds
        }
    }

    /// Builds a snapshot; throws ``PlanError`` with all that is wrong. `slots` are those of the data
    /// plane that the snapshot is for; they change only when the build succeeds.
    package mutating func build(
        _ node: CompiledNode, stamp: Stamp, slots: inout SlotTables
    ) throws -> SnapshotImage {
        let writer = SnapshotWriter(
            node: node, stamp: stamp, slots: slots, expressions: expressions)
        let image = try writer.write()
        slots = writer.slots
        expressions = writer.expressions
        expressions.dropUnused()
        return image
    }
}
