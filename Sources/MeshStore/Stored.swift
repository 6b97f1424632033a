package import MeshModel

/// A value with its history in the store.
package struct Stored<Value: Sendable & Hashable>: Sendable, Hashable {
    package var value: Value
    package var createIndex: Index
    package var modifyIndex: Index

    package init(_ value: Value, createIndex: Index, modifyIndex: Index) {
        self.value = value
        self.createIndex = createIndex
        self.modifyIndex = modifyIndex
    }

    /// The value in place of an old one; keeps its index when nothing changed.
    init(_ value: Value, replacing old: Self?, at index: Index) {
        let isSame = old?.value == value
        self.init(
            value, createIndex: old?.createIndex ?? index,
            modifyIndex: isSame ? old?.modifyIndex ?? index : index)
    }
}
