import Foundation
import MeshAdminAPI
import MeshHTTP
import MeshModel

/// Errors as the API answers them: a status and `{"code", "message"}`.
enum AdminErrors {
    static func status(of code: MeshError.Code) -> Int {
        switch code {
        case .invalid: 400
        case .notFound: 404
        case .conflict, .ownedByFile: 409
        case .denied: 403
        case .unavailable: 503
        case .timeout: 504
        default: 500
        }
    }

    static func response(_ code: MeshError.Code, _ message: String) -> ServerResponse {
        response(status: status(of: code), code: code.rawValue, message: message)
    }

    static func response(status: Int, code: String, message: String) -> ServerResponse {
        json(ErrorReport(code: code, message: message), status: status)
    }

    /// A value as a JSON answer.
    static func json(_ value: some Encodable, status: Int = 200) -> ServerResponse {
        guard let data = try? APICoding.encoder().encode(value) else {
            return ServerResponse(status: 500)
        }
        return json(document: Array(data), status: status)
    }

    /// What is JSON already.
    static func json(document: [UInt8], status: Int = 200) -> ServerResponse {
        ServerResponse(
            status: status,
            headers: [
                "Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store",
            ], body: document)
    }

    /// Which field is wrong and how, in words for the one who wrote it.
    static func words(for error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "\(path(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            "\(path(context.codingPath)) must be \(name(of: type))"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            "\(path(context.codingPath)): \(context.debugDescription)"
        case .dataCorrupted: "the body is not JSON"
        @unknown default: "the body is not what was expected"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        guard !keys.isEmpty else { return "the body" }
        return keys.reduce("") { text, key in
            if let index = key.intValue { return "\(text)[\(index)]" }
            let name = snakeCase(key.stringValue)
            return text.isEmpty ? name : "\(text).\(name)"
        }
    }

    /// Keys are camelCase here, and snake_case where the caller sees them.
    private static func snakeCase(_ key: String) -> String {
        key.reduce(into: "") { text, character in
            text += character.isUppercase ? "_\(character.lowercased())" : String(character)
        }
    }

    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "text"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any FloatingPoint.Type: "a number"
        case is [String: Any].Type: "an object"
        case is [Any].Type: "a list"
        default: "another type of value"
        }
    }
}
