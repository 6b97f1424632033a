// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let overlay: [Offset] = [
        // abi_overlay
        ("abi_overlay.magic", MemoryLayout<abi_overlay>.offset(of: \.magic)),
        ("abi_overlay.version", MemoryLayout<abi_overlay>.offset(of: \.version)),
        ("abi_overlay.slots", MemoryLayout<abi_overlay>.offset(of: \.slots)),
        ("abi_overlay.changes", MemoryLayout<abi_overlay>.offset(of: \.changes)),
        ("abi_overlay._pad0", MemoryLayout<abi_overlay>.offset(of: \._pad0)),
    ]
}
