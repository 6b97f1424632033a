import MeshModel

/// What is wrong with a body, in Go's words.
struct BodyFailure: Error, Equatable {
    let text: String

    init(_ text: String) { self.text = text }
}

/// The members of an object, found as Go finds them: whatever their case, and in snake_case too.
/// Members that nobody asked for are an error in the end.
final class Fields {
    let type: String
    private let members: [JSON.Member]
    private let places: [FoldedKey: Int]
    private var asked: Set<Int> = []

    /// `type` stands in messages, for example `ServiceDefinition`.
    init(_ json: JSON, _ type: String) throws(BodyFailure) {
        guard case .object(let members) = json else {
            throw BodyFailure("json: cannot unmarshal \(json.kind) into Go value of type \(type)")
        }
        self.type = type
        self.members = members
        // Of two spellings of one key the later one counts.
        places = Dictionary(
            members.indices.map { (FoldedKey(members[$0].name), $0) }, uniquingKeysWith: max)
    }

    /// The value of a member; nil when it is absent or null.
    func value(_ key: String) -> JSON? {
        let folded = FoldedKey(key)
        for place in members.indices where FoldedKey(members[place].name) == folded {
            asked.insert(place)
        }
        guard let place = places[folded], members[place].value != .null else { return nil }
        return members[place].value
    }

    func has(_ key: String) -> Bool { value(key) != nil }

    /// Throws when there is a member that was not asked for.
    func finish() throws(BodyFailure) {
        guard let place = members.indices.first(where: { !asked.contains($0) }) else { return }
        throw BodyFailure("json: unknown field \"\(members[place].name)\"")
    }

    /// The same where clients send what is told to them, or what newer servers take.
    func finish(besides others: String...) throws(BodyFailure) {
        for key in others { _ = value(key) }
        try finish()
    }

    func mismatch(_ key: String, _ value: JSON, _ wanted: String) -> BodyFailure {
        BodyFailure(
            "json: cannot unmarshal \(value.kind) into Go struct field \(type).\(key) of type "
                + wanted)
    }

    // MARK: - kinds

    func text(_ key: String) throws(BodyFailure) -> String { try optionalText(key) ?? "" }

    func optionalText(_ key: String) throws(BodyFailure) -> String? {
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value else { throw mismatch(key, value, "string") }
        return text
    }

    func bool(_ key: String) throws(BodyFailure) -> Bool {
        guard let value = value(key) else { return false }
        guard case .bool(let flag) = value else { throw mismatch(key, value, "bool") }
        return flag
    }

    func int(_ key: String) throws(BodyFailure) -> Int? {
        guard let value = value(key) else { return nil }
        switch value {
        case .int(let number): return Int(number)
        case .double(let number) where Int(exactly: number) != nil: return Int(exactly: number)
        default: throw mismatch(key, value, "int")
        }
    }

    func unsigned(_ key: String) throws(BodyFailure) -> UInt64 {
        switch value(key) {
        case nil: return 0
        case .int(let number) where number >= 0: return UInt64(number)
        case .unsigned(let number): return number
        case .some(let other): throw mismatch(key, other, "uint64")
        }
    }

    func number(_ key: String) throws(BodyFailure) -> Double? {
        switch value(key) {
        case nil: return nil
        case .int(let number): return Double(number)
        case .unsigned(let number): return Double(number)
        case .double(let number): return number
        case .some(let other): throw mismatch(key, other, "float64")
        }
    }

    /// The object as it was sent, but for one member.
    func json(without key: String) -> JSON {
        .object(members.filter { FoldedKey($0.name) != FoldedKey(key) })
    }

    /// The bytes of a text in base64.
    func base64(_ key: String) throws(BodyFailure) -> [UInt8] {
        if let bytes = Base64.decoded(try text(key)) { return bytes }
        throw BodyFailure("illegal base64 data in \(type).\(key)")
    }

    func port(_ key: String) throws(BodyFailure) -> UInt16? {
        guard let number = try int(key) else { return nil }
        guard let port = UInt16(exactly: number) else {
            throw BodyFailure("\(type).\(key) \(number) is no port: write 0 to 65535")
        }
        return port
    }

    func texts(_ key: String) throws(BodyFailure) -> [String]? {
        guard let value = value(key) else { return nil }
        guard case .array(let elements) = value else { throw mismatch(key, value, "[]string") }
        var texts: [String] = []
        for element in elements {
            guard case .string(let text) = element else { throw mismatch(key, element, "string") }
            texts.append(text)
        }
        return texts
    }

    func textMap(_ key: String) throws(BodyFailure) -> [String: String]? {
        guard let value = value(key) else { return nil }
        guard case .object(let members) = value else {
            throw mismatch(key, value, "map[string]string")
        }
        var map: [String: String] = [:]
        for member in members {
            guard case .string(let text) = member.value else {
                throw mismatch(key, member.value, "string")
            }
            map[member.name] = text
        }
        return map
    }

    func textsMap(_ key: String) throws(BodyFailure) -> [String: [String]] {
        guard let value = value(key) else { return [:] }
        guard case .object(let members) = value else {
            throw mismatch(key, value, "map[string][]string")
        }
        var map: [String: [String]] = [:]
        for member in members {
            guard case .array(let elements) = member.value else {
                throw mismatch(key, member.value, "[]string")
            }
            map[member.name] = try elements.map { element throws(BodyFailure) in
                guard case .string(let text) = element else {
                    throw mismatch(key, element, "string")
                }
                return text
            }
        }
        return map
    }

    func object(_ key: String, _ type: String) throws(BodyFailure) -> Fields? {
        guard let value = value(key) else { return nil }
        guard case .object = value else { throw mismatch(key, value, type) }
        return try Fields(value, type)
    }

    func objects(_ key: String, _ type: String) throws(BodyFailure) -> [Fields] {
        guard let value = value(key) else { return [] }
        guard case .array(let elements) = value else { throw mismatch(key, value, "[]\(type)") }
        return try elements.map { element throws(BodyFailure) in try Fields(element, type) }
    }

    /// A span as a text with units, or as nanoseconds.
    func duration(_ key: String) throws(BodyFailure) -> MeshDuration? {
        guard let value = value(key) else { return nil }
        switch value {
        case .int(let number): return MeshDuration(nanoseconds: number)
        case .double(let number) where Int64(exactly: number) != nil:
            return Int64(exactly: number).map { MeshDuration(nanoseconds: $0) }
        case .string(""): return nil
        case .string(let text):
            guard let span = try? MeshDuration(text) else {
                throw BodyFailure("time: invalid duration \"\(text)\"")
            }
            return span
        default: throw mismatch(key, value, "time.Duration")
        }
    }

    /// Any data, keys as written.
    func data(_ key: String) throws(BodyFailure) -> [String: DataValue] {
        guard let value = value(key) else { return [:] }
        guard case .object(let members) = value else {
            throw mismatch(key, value, "map[string]interface {}")
        }
        return Dictionary(
            members.map { ($0.name, DataValue($0.value)) }, uniquingKeysWith: { $1 })
    }
}

extension DataValue {
    init(_ json: JSON) {
        self =
            switch json {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .unsigned(let value): .double(Double(value))
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let elements): .array(elements.map { DataValue($0) })
            case .object(let members):
                .object(
                    Dictionary(
                        members.map { ($0.name, DataValue($0.value)) }, uniquingKeysWith: { $1 }))
            }
    }
}

extension JSON {
    init(_ data: DataValue) {
        self =
            switch data {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let elements): .array(elements.map { JSON($0) })
            case .object(let members): .map(members.mapValues { JSON($0) })
            }
    }
}
