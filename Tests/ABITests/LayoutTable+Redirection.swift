// swift-format-ignore-file
// Made by tools/gen-layout from the headers of CSources/abi; not edited by hand.
import CMeshABI

extension LayoutTable {
    static let redirection: [Offset] = [
        // abi_original
        ("abi_original.ip", MemoryLayout<abi_original>.offset(of: \.ip)),
        ("abi_original.listener", MemoryLayout<abi_original>.offset(of: \.listener)),
        ("abi_original.port", MemoryLayout<abi_original>.offset(of: \.port)),
        ("abi_original.inner", MemoryLayout<abi_original>.offset(of: \.inner)),
    ]
}
