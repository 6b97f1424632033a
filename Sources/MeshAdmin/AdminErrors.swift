import Foundation
import HTTPTypes
import Hummingbird
import MeshAdminAPI
import MeshModel
import MeshTelemetry
import NIOCore

/// Errors as the API answers them: a status and `{"code", "message"}`.
enum AdminErrors {
    static func status(of code: MeshError.Code) -> HTTPResponse.Status {
        switch code {
        case .invalid: .badRequest
        case .notFound: .notFound
        case .conflict, .ownedByFile: .conflict
        case .denied: .forbidden
        case .unavailable: .serviceUnavailable
        case .timeout: .gatewayTimeout
        default: .internalServerError
        }
    }

    static func response(_ code: MeshError.Code, _ message: String) -> Response {
        response(status: status(of: code), code: code.rawValue, message: message)
    }

    static func response(status: HTTPResponse.Status, code: String, message: String) -> Response {
        json(ErrorReport(code: code, message: message), status: status)
    }

    /// A value as a JSON answer.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        guard let data = try? APICoding.encoder().encode(value) else {
            return Response(status: .internalServerError)
        }
        let headers: HTTPFields = [
            .contentType: "application/json; charset=utf-8", .cacheControl: "no-store",
        ]
        return Response(
            status: status, headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
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

/// Turns what handlers throw into the API's error answers.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = AdminContext

    @concurrent func handle(
        _ request: Request, context: AdminContext,
        next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as CancellationError {
            throw error
        } catch let error as MeshError {
            return AdminErrors.response(error.code, error.description)
        } catch let error as any HTTPResponseError {
            return Self.response(to: error, path: request.uri.path)
        } catch let error as DecodingError {
            return AdminErrors.response(.invalid, AdminErrors.words(for: error))
        } catch {
            context.logger.error("an admin request failed", metadata: [LogKey.error: "\(error)"])
            return AdminErrors.response(
                status: .internalServerError, code: "internal",
                message: "\(error): please report it with the log of this moment")
        }
    }

    private static func response(to error: any HTTPResponseError, path: String) -> Response {
        switch error.status {
        case .notFound:
            AdminErrors.response(.notFound, "there is no \(path.prefix(200)) here")
        case .contentTooLarge:
            AdminErrors.response(
                status: .contentTooLarge, code: "too_large",
                message: "a body has at most \(AdminRoutes.bodyLimit) bytes")
        default:
            AdminErrors.response(
                status: error.status, code: "invalid",
                message: (error as? HTTPError)?.body ?? error.status.reasonPhrase)
        }
    }
}
