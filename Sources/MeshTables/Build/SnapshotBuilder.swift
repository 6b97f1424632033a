import CMeshABI
package import MeshLanes
import MeshModel
import MeshRegex

/// Turns plans into snapshots.
///
/// Keep one for the life of a data plane: what did not change since the build before is taken over,
/// down to the record of a target, so that the change of one service among ten thousand costs a
/// fraction of the whole. A build goes once over the plan into contiguous buffers; nothing is
/// allocated per record. What cannot be expressed, or exceeds a limit, is refused before anything
/// is published.
package struct SnapshotBuilder: Sendable {
    private var memory = Memory()
    private let lanes: Lanes

    package init(lanes: Lanes = .machine) { self.lanes = lanes }

    /// What a build leaves to the next.
    struct Memory: Sendable {
        /// Only grows: texts that nobody names any more stay until the table is made anew.
        var text = TextTable()
        /// Bytes of text when the table was new.
        var freshTextBytes = 0
        /// Guards when the table was new.
        var freshGuards = 0
        var targets = TargetSection()
        /// By the key of their listener.
        var routes: [UInt64: RoutePart] = [:]
        /// Only grow, as the text does: records of targets that are taken over name them.
        var guards: [abi_guard] = []
        var guardIndexes: [GuardPlan: UInt32] = [:]
        var policies: PolicyPart?
        /// By the key of their target.
        var balancers: [UInt64: BalancerPart] = [:]
        var expressions = RegexCache()
    }

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

    /// Builds a snapshot; throws ``PlanError`` with all that is wrong. `slots` are those of the
    /// data plane that the snapshot is for; they change only when the build succeeds.
    package mutating func build(
        _ node: CompiledNode, stamp: Stamp, slots: inout SlotTables
    ) throws -> SnapshotImage {
        if memory.text.bytes.count > 2 * memory.freshTextBytes + 65536
            || memory.guards.count > 2 * memory.freshGuards + 4096
        {
            memory = Memory()
        }
        let isFresh = memory.freshTextBytes == 0
        if isFresh { memory.text = TextTable(expecting: node.size) }
        var writer = SnapshotWriter(
            node: node, stamp: stamp, slots: slots, memory: memory,
            lanes: lanes)
        memory = Memory()  // the writer holds the only copy, and writes on without another
        let image = try writer.write()
        slots = writer.slots
        memory = writer.memory
        memory.expressions.dropUnused()
        if isFresh {
            memory.freshTextBytes = memory.text.bytes.count
            memory.freshGuards = memory.guards.count
        }
        return image
    }
}

extension CompiledNode {
    /// About how many texts it has.
    fileprivate var size: Int { targets.reduce(0) { $0 + 6 + $1.endpoints.count } }
}
