package import MeshModel

/// One value of a document with the place it stands at.
///
/// Scalars stay text: what a text means (number, truth, duration) is decided by the key it stands
/// under, so `version: 1.10` is never turned into 1.1 and `no` is a country where a name is due.
///
/// A class because trees are walked a lot: a step down copies one reference.
package final class DocumentNode: Sendable {
    package enum Content: Sendable {
        /// `plain` is false for quoted text and block scalars, which are never null or numbers.
        case scalar(String, plain: Bool)
        case sequence([DocumentNode])
        case mapping([Member])
    }

    package struct Member: Sendable {
        package let key: String
        /// The key without its spelling, kept because every look-up asks for it.
        package let folded: FoldedKey
        package let keyLocation: SourceLocation
        package let value: DocumentNode

        init(key: String, keyLocation: SourceLocation, value: DocumentNode) {
            self.key = key
            self.folded = FoldedKey(key)
            self.keyLocation = keyLocation
            self.value = value
        }
    }

    package let content: Content
    package let location: SourceLocation
    /// The number of nodes here and below, and the longest way down: bounds for aliases.
    let size: Int
    let height: Int

    init(_ content: Content, at location: SourceLocation) {
        self.content = content
        self.location = location
        switch content {
        case .scalar:
            size = 1
            height = 1
        case .sequence(let items):
            size = items.reduce(1) { $0 + $1.size }
            height = 1 + (items.map(\.height).max() ?? 0)
        case .mapping(let members):
            size = members.reduce(1) { $0 + 1 + $1.value.size }
            height = 1 + (members.map(\.value.height).max() ?? 0)
        }
    }

    /// An empty mapping: what an absent section reads as.
    static func empty(at location: SourceLocation) -> DocumentNode {
        DocumentNode(.mapping([]), at: location)
    }
}

extension DocumentNode {
    /// Whether the value is an unquoted `null`, `~` or nothing.
    package var isNull: Bool {
        if case .scalar(let text, plain: true) = content {
            return ["", "~", "null", "Null", "NULL"].contains(text)
        }
        return false
    }

    /// The text of a scalar that is not null.
    package var text: String? {
        if case .scalar(let text, _) = content, !isNull { return text }
        return nil
    }

    package var items: [DocumentNode]? {
        if case .sequence(let items) = content { return items }
        return nil
    }

    package var members: [Member]? {
        if case .mapping(let members) = content { return members }
        return nil
    }

    /// The member with this key in any spelling.
    func member(_ key: FoldedKey) -> Member? {
        members?.first { $0.folded == key }
    }

    /// What a message calls this kind of value.
    var kindName: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The value as plain data, unquoted scalars typed as JSON would.
    package var data: DataValue {
        switch content {
        case .sequence(let items): .array(items.map(\.data))
        case .mapping(let members):
            .object(
                Dictionary(members.map { ($0.key, $0.value.data) }, uniquingKeysWith: { a, _ in a })
            )
        case .scalar(let text, plain: false): .string(text)
        case .scalar(let text, plain: true): Self.typed(text, isNull: isNull)
        }
    }

    private static func typed(_ text: String, isNull: Bool) -> DataValue {
        if isNull { return .null }
        switch text {
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if let whole = Int64(text) { return .int(whole) }
        let numeric = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        if numeric, let number = Double(text), number.isFinite { return .double(number) }
        return .string(text)
    }
}
