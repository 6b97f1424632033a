import Foundation
import HTTPTypes
import Hummingbird
import MeshAdminAPI
package import MeshModel
import NIOCore

extension MeshError.Code {
    /// The caller may not do this.
    package static let denied = Self(rawValue: "denied")
}

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
        var headers = HTTPFields()
        headers[.contentType] = "application/json; charset=utf-8"
        headers[.cacheControl] = "no-store"
        return Response(
            status: status, headers: headers,
            body: .init(byteBuffer: ByteBuffer(bytes: data)))
    }
}

/// Turns what handlers throw into the API's error answers.
struct ErrorMiddleware<Context: RequestContext>: RouterMiddleware {
    @concurrent func handle(
        _ request: Request, context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as MeshError {
            return AdminErrors.response(error.code, error.description)
        } catch let error as HTTPError {
            let reason = error.body ?? error.status.reasonPhrase
            return AdminErrors.response(
                status: error.status, code: Self.code(of: error.status), message: reason)
        } catch let error as DecodingError {
            return AdminErrors.response(.invalid, "the body is not what was expected: \(error)")
        }
    }

    private static func code(of status: HTTPResponse.Status) -> String {
        switch status {
        case .notFound: "not_found"
        case .contentTooLarge: "too_large"
        case .methodNotAllowed: "method_not_allowed"
        default: "invalid"
        }
    }
}
