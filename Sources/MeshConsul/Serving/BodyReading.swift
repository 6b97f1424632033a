import MeshHTTP
import MeshModel

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
    func fields(_ type: String, orFail prefix: String) throws(APIError) -> Fields {
        try Self.read(orFail: prefix) { try Fields(json(), type) }
    }

    /// Runs a reader of fields; its complaint is told behind this text.
    static func read<Value>(
        orFail prefix: String, _ body: () throws -> Value
    ) throws(APIError) -> Value {
        do {
            return try body()
        } catch let error as APIError {
            throw error
        } catch let error as BodyFailure {
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
