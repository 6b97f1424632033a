import CMeshABI
import MeshModel
import Synchronization

/// What workers are to think of one endpoint at the moment, besides what the snapshot says.
package struct EndpointCondition: Sendable, Equatable {
    /// Fails its checks: not chosen.
    package var isDown: Bool
    /// Is leaving: not chosen for new work.
    package var isDraining: Bool
    /// Replaces the weight of the snapshot; nil leaves that.
    package var weight: UInt16?

    /// Healthy, with the weight of the snapshot.
    package static let normal = EndpointCondition()

    package init(isDown: Bool = false, isDraining: Bool = false, weight: UInt16? = nil) {
        self.isDown = isDown
        self.isDraining = isDraining
        self.weight = weight
    }

    /// The word of the overlay. A weight of 0 cannot be said there; it means draining.
    package var word: UInt64 {
        var word: UInt64 = 0
        if isDown { word |= UInt64(ABI_OVERLAY_DOWN.rawValue) }
        if isDraining || weight == 0 { word |= UInt64(ABI_OVERLAY_DRAIN.rawValue) }
        return word | UInt64(weight ?? 0) << UInt64(ABI_OVERLAY_WEIGHT_SHIFT)
    }

    init(word: UInt64) {
        let weight = UInt16(truncatingIfNeeded: word >> UInt64(ABI_OVERLAY_WEIGHT_SHIFT))
        self.init(
            isDown: word & UInt64(ABI_OVERLAY_DOWN.rawValue) != 0,
            isDraining: word & UInt64(ABI_OVERLAY_DRAIN.rawValue) != 0,
            weight: weight == 0 ? nil : weight)
    }
}

/// Tells every worker about the health and weight of endpoints, without a new snapshot.
///
/// Outlives connections to the data plane: what was set is written again into the overlay of a data
/// plane that was started anew.
package final class OverlayWriter: Sendable {
    private struct State {
        var mapping: SharedMapping?
        /// By slot: what was set; nil: nothing. Slots are given out from 0 on.
        var words: [UInt64?] = []

        mutating func set(_ slot: UInt32, _ word: UInt64, isNew: Bool = false) {
            precondition(slot < LIMIT_ENDPOINTS, "an overlay slot is below LIMIT_ENDPOINTS")
            let place = Int(slot)
            if place >= words.count {
                words.append(contentsOf: repeatElement(nil, count: place + 1 - words.count))
            }
            let since = OverlayWriter.since(of: word, after: words[place] ?? 0, isNew: isNew)
            let dated = word | since << UInt64(ABI_OVERLAY_SINCE_SHIFT)
            words[place] = dated
            if let mapping { OverlayWriter.write(dated, slot, mapping) }
        }

        mutating func clear(_ slot: UInt32) {
            if Int(slot) < words.count { words[Int(slot)] = 0 }
            if let mapping { OverlayWriter.write(0, slot, mapping) }
        }
    }

    /// What one slot is to say.
    package struct Entry: Sendable, Equatable {
        package var slot: UInt32
        package var condition: EndpointCondition
        /// Whether it was not there before, while others were.
        package var isNew: Bool

        package init(slot: UInt32, condition: EndpointCondition, isNew: Bool = false) {
            self.slot = slot
            self.condition = condition
            self.isNew = isNew
        }
    }

    private let state = Mutex(State())

    package init() {}

    /// Sets the condition of an endpoint slot; takes effect at the next choice in every worker.
    package func set(_ slot: UInt32, _ condition: EndpointCondition) {
        state.withLock { $0.set(slot, condition.word) }
    }

    /// Sets the conditions of several slots.
    package func set(_ entries: [Entry]) {
        state.withLock { state in
            for entry in entries {
                state.set(entry.slot, entry.condition.word, isNew: entry.isNew)
            }
        }
    }

    /// Forgets what was said of a slot that nobody uses any more.
    package func clear(_ slot: UInt32) {
        precondition(slot < LIMIT_ENDPOINTS, "an overlay slot is below LIMIT_ENDPOINTS")
        state.withLock { $0.clear(slot) }
    }

    /// Since when an endpoint that takes work is there, for targets with a slow start: since now
    /// when it is new or was out of work before.
    private static func since(of word: UInt64, after before: UInt64, isNew: Bool) -> UInt64 {
        let out = UInt64(ABI_OVERLAY_DOWN.rawValue | ABI_OVERLAY_DRAIN.rawValue)
        let known = before >> UInt64(ABI_OVERLAY_SINCE_SHIFT)
        if word & out != 0 { return 0 }
        if before & out == 0, !isNew || known != 0 { return known }
        let units = MonotonicTime.milliseconds / UInt64(ABI_OVERLAY_SINCE_UNIT_MS) + 1
        return units & UInt64(UInt32.max)
    }

    /// The whole word that workers see in a slot, with the time since when it is there.
    package func word(_ slot: UInt32) -> UInt64? {
        precondition(slot < LIMIT_ENDPOINTS, "an overlay slot is below LIMIT_ENDPOINTS")
        return state.withLock { state in
            state.mapping.map { mapping in
                // The mapping holds LIMIT_ENDPOINTS words behind its header: attach() has checked.
                abi_overlay_get(mapping.start.assumingMemoryBound(to: abi_overlay.self), slot)
            }
        }
    }

    /// What the workers see in a slot: nil while there is no data plane.
    package func current(_ slot: UInt32) -> EndpointCondition? {
        precondition(slot < LIMIT_ENDPOINTS, "an overlay slot is below LIMIT_ENDPOINTS")
        return word(slot).map { EndpointCondition(word: $0) }
    }

    /// Takes the overlay of a data plane: words that were never set here stay as they are.
    func attach(_ file: Descriptor) throws {
        let size = Int(overlaySize)
        let mapping = try SharedMapping(file, size: size, writable: true)
        let head = mapping.withBytes { $0.loadUnaligned(as: abi_overlay.self) }
        guard head.magic == ABI_OVERLAY_MAGIC, head.version == ABI_VERSION,
            head.slots == LIMIT_ENDPOINTS
        else { throw MeshError(.invalid, "the data plane's overlay has another layout") }
        state.withLock { state in
            for (slot, word) in state.words.enumerated() {
                if let word { Self.write(word, UInt32(slot), mapping) }
            }
            state.mapping = mapping
        }
    }

    private static func write(_ word: UInt64, _ slot: UInt32, _ mapping: SharedMapping) {
        // The mapping holds LIMIT_ENDPOINTS words behind its header: attach() has checked.
        abi_overlay_set(mapping.start.assumingMemoryBound(to: abi_overlay.self), slot, word)
    }
}

/// Bytes of the overlay; the macro is not a literal and is not imported.
private let overlaySize =
    UInt32(MemoryLayout<abi_overlay>.size) + UInt32(MemoryLayout<UInt64>.size) * LIMIT_ENDPOINTS
