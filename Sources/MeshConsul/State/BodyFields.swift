import MeshHTTP
import MeshModel

/// The members of an object that a client sent, found without regard to case as Go does, and
/// complained of in Go's words. What is not asked for is not looked at.
struct BodyFields {
    struct Mistake: Error { var text: String }

    private let members: [String: JSON]
    /// What Go would call the object.
    private let path: String

    init(_ json: JSON, path: String = "") throws(Mistake) {
        guard case .object(let members) = json else {
            throw Mistake(
                text: "json: cannot unmarshal \(json.kind) into Go value of type object")
        }
        var found: [String: JSON] = [:]
        // Of several the last counts; null is as if it were not there.
        for member in members { found[member.name.lowercased()] = member.value }
        self.members = found.filter { $0.value != .null }
        self.path = path
    }

    private func mistake(_ json: JSON, _ name: String, _ type: String) -> Mistake {
        Mistake(
            text: "json: cannot unmarshal \(json.kind) into Go struct field \(path)\(name) "
                + "of type \(type)")
    }

    private subscript(name: String) -> JSON? { members[name.lowercased()] }

    func has(_ name: String) -> Bool { self[name] != nil }

    func json(_ name: String) -> JSON? { self[name] }

    func text(_ name: String) throws(Mistake) -> String {
        switch self[name] {
        case nil: return ""
        case .string(let text): return text
        case .some(let other): throw mistake(other, name, "string")
        }
    }

    func bool(_ name: String) throws(Mistake) -> Bool {
        switch self[name] {
        case nil: return false
        case .bool(let value): return value
        case .some(let other): throw mistake(other, name, "bool")
        }
    }

    func unsigned(_ name: String) throws(Mistake) -> UInt64 {
        switch self[name] {
        case nil: return 0
        case .int(let value) where value >= 0: return UInt64(value)
        case .unsigned(let value): return value
        case .some(let other): throw mistake(other, name, "uint64")
        }
    }

    func int(_ name: String) throws(Mistake) -> Int {
        switch self[name] {
        case nil: return 0
        case .int(let value): return Int(value)
        case .some(let other): throw mistake(other, name, "int")
        }
    }

    func texts(_ name: String) throws(Mistake) -> [String] {
        switch self[name] {
        case nil: return []
        case .array(let values):
            var texts: [String] = []
            for value in values {
                guard case .string(let text) = value else { throw mistake(value, name, "string") }
                texts.append(text)
            }
            return texts
        case .some(let other): throw mistake(other, name, "[]string")
        }
    }

    func textMap(_ name: String) throws(Mistake) -> [String: String] {
        switch self[name] {
        case nil: return [:]
        case .object(let members):
            var texts: [String: String] = [:]
            for member in members {
                guard case .string(let text) = member.value else {
                    throw mistake(member.value, name, "string")
                }
                texts[member.name] = text
            }
            return texts
        case .some(let other): throw mistake(other, name, "map[string]string")
        }
    }

    func object(_ name: String) throws(Mistake) -> BodyFields? {
        guard let json = self[name] else { return nil }
        guard case .object = json else { throw mistake(json, name, "object") }
        return try BodyFields(json, path: "\(path)\(name).")
    }

    func objects(_ name: String) throws(Mistake) -> [BodyFields] {
        switch self[name] {
        case nil: return []
        case .array(let values):
            var objects: [BodyFields] = []
            for value in values { objects.append(try BodyFields(value, path: "\(path)\(name).")) }
            return objects
        case .some(let other): throw mistake(other, name, "[]object")
        }
    }

    /// A span: text with units, or a number of nanoseconds.
    func duration(_ name: String) throws(Mistake) -> MeshDuration? {
        switch self[name] {
        case nil: return nil
        case .string(let text):
            if text.isEmpty { return nil }
            guard let span = try? MeshDuration(text) else {
                throw Mistake(text: "time: invalid duration \(GoText.quoted(text))")
            }
            return span
        case .int(let value): return MeshDuration(nanoseconds: value)
        case .some(let other): throw mistake(other, name, "time.Duration")
        }
    }

    /// The bytes of a text in base64.
    func base64(_ name: String) throws(Mistake) -> [UInt8] {
        let text = try text(name)
        if let bytes = Base64.decoded(text) { return bytes }
        throw Mistake(text: "illegal base64 data in \(path)\(name)")
    }
}

extension Queries {
    /// Throws when a write names another datacenter.
    func requireOwn(_ request: APIRequest) throws(APIError) {
        guard knows(request.query["dc"] ?? request.query["datacenter"] ?? "") else {
            throw APIError.unknownDatacenter
        }
    }
}

extension APIRequest {
    /// The body's members; what is wrong with it is told behind this text.
    func fields(orFail prefix: String) throws(APIError) -> BodyFields {
        do {
            return try BodyFields(try json())
        } catch let error as BodyFields.Mistake {
            throw APIError(400, prefix + error.text)
        } catch {
            throw APIError(400, "\(prefix)\(error)")
        }
    }

    /// Runs a reader of fields; its complaint is told behind this text.
    static func read<Value>(
        orFail prefix: String, _ body: () throws -> Value
    ) throws(APIError) -> Value {
        do {
            return try body()
        } catch let error as APIError {
            throw error
        } catch let error as BodyFields.Mistake {
            throw APIError(400, prefix + error.text)
        } catch let error as MeshError {
            throw APIError(400, prefix + error.message)
        } catch {
            throw APIError(400, "\(prefix)\(error)")
        }
    }

    /// A whole number of the query; Go's words for what is none.
    func unsigned(_ name: String) throws(APIError) -> UInt64? {
        guard let text = query[name] else { return nil }
        if let value = UInt64(text), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return value
        }
        let isNumber = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        throw APIError(
            500,
            "strconv.ParseUint: parsing \(GoText.quoted(text)): "
                + (isNumber ? "value out of range" : "invalid syntax"))
    }
}
