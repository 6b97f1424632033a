/// A tree of plain data, for the parts of documents that the product carries without reading:
/// `config` of a proxy or an upstream, config entries of kinds it does not know.
package enum DataValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([DataValue])
    case object([String: DataValue])
}

extension DataValue {
    /// The string, if it is one.
    package var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The whole number, also when it was written as 3.0 or as a string of digits.
    package var int: Int64? {
        switch self {
        case .int(let value): value
        case .double(let value): Int64(exactly: value)
        case .string(let text): Int64(text)
        case .null, .bool, .array, .object: nil
        }
    }

    /// The member of an object, whichever spelling (snake_case or CamelCase) its key has.
    package subscript(key key: String) -> DataValue? {
        guard case .object(let members) = self else { return nil }
        if let value = members[key] { return value }
        let folded = FoldedKey(key)
        return members.first { FoldedKey($0.key) == folded }?.value
    }
}

extension DataValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .int(value)
        } else if let value = try? container.decode(Double.self) {
            self = .double(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([DataValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: DataValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// A document key with its spelling taken away: `local_bind_port`, `LocalBindPort` and
/// `localBindPort` are one key. This is the only place that decides so.
package struct FoldedKey: Hashable, Sendable {
    package let text: String

    package init(_ key: String) {
        text = String(key.lowercased().filter { $0 != "_" && $0 != "-" })
    }
}
