package import MeshHTTP
package import MeshModel

/// A request to one endpoint.
package struct APIRequest: Sendable {
    package let method: String
    /// The path as it was sent.
    package let path: String
    /// What stands behind the endpoint's path, escapes taken away: the name, id or key.
    package let tail: String
    package let query: QueryItems
    package let headers: ServerHeaders
    package let body: [UInt8]
    /// The secret that the client showed; empty: none.
    package let token: String
    /// What came of waiting, when the request was held already.
    let held: Held?

    package init(_ request: ServerRequest, tail: String, held: Held? = nil) {
        self.held = held
        method = request.method
        path = String(request.path)
        self.tail = tail
        query = QueryItems(request.query)
        headers = request.headers
        body = request.body
        token = Self.token(query, headers)
    }

    /// In Consul's order: query, its own field, then the general one.
    private static func token(_ query: QueryItems, _ headers: ServerHeaders) -> String {
        if let token = query["token"], !token.isEmpty { return token }
        if let token = headers["X-Consul-Token"], !token.isEmpty { return token }
        let bearer = headers["Authorization"] ?? ""
        let scheme = "bearer "
        guard bearer.prefix(scheme.count).lowercased() == scheme else { return "" }
        return String(bearer.dropFirst(scheme.count).drop { $0 == " " })
    }

    /// The body as JSON. An empty one is an error, as everything else that is none.
    package func json() throws(JSONParser.Failure) -> JSON {
        if body.isEmpty { throw JSONParser.Failure(description: "EOF") }
        return try JSONParser.parse(body)
    }
}

/// An answer of one endpoint.
package struct APIResponse: Sendable {
    package enum Content: Sendable {
        case none
        case json(JSON)
        case bytes([UInt8], type: String)
        /// Nothing yet.
        case later(Hold)

        package static func text(_ text: String) -> Content {
            .bytes(Array(text.utf8), type: "text/plain; charset=utf-8")
        }
    }

    package var status: Int
    package var headers: ServerHeaders
    package var content: Content

    package init(
        _ content: Content = .none, status: Int = 200, headers: ServerHeaders = ServerHeaders()
    ) {
        self.content = content
        self.status = status
        self.headers = headers
    }

    package static func json(_ json: JSON) -> APIResponse { APIResponse(.json(json)) }

    /// What an API write of Consul that has nothing to say answers: 200 without a body.
    package static let done = APIResponse()
}

/// An answer that is not what was asked for: the status, and a text that says why.
package struct APIError: Error, Sendable, Equatable {
    package let status: Int
    package let text: String

    package init(_ status: Int, _ text: String) {
        self.status = status
        self.text = text
    }

    package static let permissionDenied = APIError(403, "Permission denied")
    package static let unknownToken = APIError(403, "ACL not found")
    package static let unknownDatacenter = APIError(500, "No path to datacenter")

    /// An error of the rooms below, as Consul's servers pass their errors on: in plain text.
    package init(_ error: MeshError) {
        let status =
            switch error.code {
            case .invalid: 400
            case .denied: 403
            case .notFound: 404
            case .conflict, .ownedByFile: 409
            case .unavailable: 503
            case .rateLimited: 429
            default: 500
            }
        self.init(status, error.description)
    }
}
