/// Bytes that must not be seen: printing, dumping or interpolating them shows nothing.
package struct SecretBytes: Sendable, Equatable {
    /// The bytes themselves. Whoever reads them answers for where they go.
    package let exposed: [UInt8]

    package init(_ bytes: some Sequence<UInt8>) {
        exposed = Array(bytes)
    }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "[\(exposed.count) secret bytes]" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
