import Foundation
import MeshAuthz
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/connect/intentions` and `/v1/agent/connect/authorize`: who may call whom.
package struct IntentionEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy
    let queries: Queries
    /// The machine's clock, in nanoseconds since 1970.
    let now: @Sendable () -> Int64

    package init(
        backend: any ConsulBackend, access: any AccessPolicy, queries: Queries,
        now: @escaping @Sendable () -> Int64
    ) {
        self.backend = backend
        self.access = access
        self.queries = queries
        self.now = now
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/connect/intentions", ["GET": list, "POST": create]),
            Endpoint(
                "/v1/connect/intentions/", ["GET": single, "PUT": update, "DELETE": deleteByID]),
            Endpoint(
                "/v1/connect/intentions/exact",
                ["GET": exact, "PUT": putExact, "DELETE": deleteExact]),
            Endpoint("/v1/connect/intentions/match", ["GET": match]),
            Endpoint("/v1/connect/intentions/check", ["GET": check]),
            // An old client sends PUT.
            Endpoint("/v1/agent/connect/authorize", ["POST": authorize, "PUT": authorize]),
        ]
    }

    // MARK: - reads

    @concurrent private func list(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        return try await queries.json(request, watching: Watch(.intentions)) { state, _ in
            .array(
                state.intentions.filter {
                    authority.allows(Access(.read, .intention, $0.destination.description))
                }.map(\.json))
        }
    }

    @concurrent private func match(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard let by = request.query["by"].nonEmpty else { throw Self.missing("by") }
        guard by == "source" || by == "destination" else {
            throw APIError(500, "'by' parameter must be one of 'source' or 'destination'")
        }
        let names = request.query.all("name").map(Self.bare)
        guard !names.isEmpty else { throw Self.missing("name") }
        for name in names { try authority.require(Access(.read, .intention, name)) }
        let patterns = try names.map { try Self.pattern($0) }
        let watch =
            by == "source"
            ? Watch(.intentions)
            : Watch(.intentions, .keys(Set(patterns.map(\.folded)).union(["*"])))
        return try await queries.json(request, watching: watch, .catalog) { state, _ in
            .object(
                zip(names, patterns).map { name, pattern in
                    let found = state.intentions.filter { intention in
                        let own = by == "source" ? intention.source : intention.destination
                        switch pattern {
                        case .any: return own == .any
                        case .exact(let service): return own.covers(service)
                        }
                    }
                    return .init(name, found.isEmpty ? .null : .array(found.map(\.json)))
                })
        }
    }

    @concurrent private func check(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (source, destination) = try Self.pair(request)
        try authority.require(Access(.read, .intention, destination.description))
        let decision = try await decide(source, destination)
        return .json(["Allowed": .bool(decision.verdict == .allow)])
    }

    /// A wildcard asks what holds for those that nothing names: only wildcards cover it.
    private func decide(
        _ source: NamePattern, _ destination: NamePattern
    ) async throws -> Decision {
        var intentions = backend.store.snapshot.intentions
        let target: ServiceName
        switch destination {
        case .exact(let name): target = name
        case .any:
            intentions.removeAll { $0.destination != .any }
            // What is left covers every name alike.
            target = try ServiceName("any")
        }
        let matcher = IntentionMatcher(
            intentions, defaultAction: await backend.intentionsDefault(),
            regex: { pattern, _, _ in
                throw MeshError(.invalid, "\(pattern) is about requests, not connections")
            })
        let caller: ServiceName? = if case .exact(let name) = source { name } else { nil }
        return matcher.decide(source: caller, destination: target)
    }

    // MARK: - authorize

    @concurrent private func authorize(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (target, uri) = try Self.authorization(request)
        guard !target.isEmpty else {
            throw APIError(400, "Bad request: Target service must be specified")
        }
        let caller = try Self.caller(uri)
        guard let destination = try? ServiceName(target) else {
            throw APIError(400, "Bad request: Target \"\(target)\" is not the name of a service")
        }
        try authority.require(Access(.identity, .service, target))
        let decision = try await decide(.exact(caller), .exact(destination))
        let isAllowed = decision.verdict == .allow
        var response = APIResponse.json([
            "Authorized": .bool(isAllowed), "Reason": .string(reason(decision, isAllowed)),
        ])
        response.headers["X-Cache"] = "HIT"
        response.headers["Age"] = "0"
        return response
    }

    private static func authorization(_ request: APIRequest) throws -> (String, String) {
        do {
            let fields = try Fields(request.json(), "ConnectAuthorizeRequest")
            let parts = (try fields.text("Target"), try fields.text("ClientCertURI"))
            // Serials are not kept: no list of revoked ones is asked.
            _ = try (fields.text("ClientCertSerial"), fields.text("Namespace"))
            try fields.finish()
            return parts
        } catch let failure as JSONParser.Failure {
            throw APIError(400, "Bad request: Request decode failed: \(failure)")
        } catch let failure as BodyFailure {
            throw APIError(400, "Bad request: Request decode failed: \(failure.text)")
        }
    }

    /// The service that an identity names. Trust domain and datacenter are the TLS library's
    /// business: whoever asks has verified the certificate.
    private static func caller(_ uri: String) throws -> ServiceName {
        if let id = try? SpiffeID(uri) { return id.service }
        let scheme = "spiffe://"
        let rest = uri.dropFirst(scheme.count)
        let path = rest.drop { $0 != "/" }
        let isOther =
            uri.lowercased().hasPrefix(scheme)
            && (path.isEmpty || path.hasPrefix("/agent/") || path.hasPrefix("/gateway/"))
        throw APIError(
            400,
            isOther && !rest.isEmpty
                ? "Bad request: ClientCertURI not a valid Service identifier"
                : "Bad request: ClientCertURI not a valid Connect identifier")
    }

    private func reason(_ decision: Decision, _ isAllowed: Bool) -> String {
        guard let intention = decision.intention else {
            return isAllowed
                ? "ACLs disabled, access is allowed by default"
                : "Default behavior configured by ACLs"
        }
        let pair = "default/\(intention.source) => default/\(intention.destination)"
        switch intention.effect {
        case .action(let action):
            return "Matched L4 intention: \(pair) (Precedence: \(intention.precedence), "
                + "Action: \(action.rawValue.uppercased()))"
        case .permissions(let list):
            return "Matched L7 intention: \(pair) (Precedence: \(intention.precedence), "
                + "Permissions: \(list.count))"
        }
    }

    // MARK: - by pair

    @concurrent private func exact(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (source, destination) = try Self.pair(request)
        try authority.require(Access(.read, .intention, destination.description))
        let key = IntentionKey(source: source, destination: destination)
        guard let intention = backend.store.snapshot.intention(key) else {
            throw APIError(404, "Intention not found")
        }
        return .json(intention.json)
    }

    @concurrent private func putExact(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (source, destination) = try Self.pair(request)
        try authority.require(Access(.write, .intention, destination.description))
        let body = try Self.body(request)
        guard body.members("Meta").isEmpty else {
            throw APIError(500, "Meta must not be specified")
        }
        let intention = try self.intention(body, source, destination)
        try await write(intention, id: nil, replace: true)
        return .json(true)
    }

    @concurrent private func deleteExact(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let (source, destination) = try Self.pair(request)
        try authority.require(Access(.write, .intention, destination.description))
        let key = IntentionKey(source: source, destination: destination)
        let isGone = try await backend.store.write { draft in
            guard draft.state.intention(key) != nil else { return false }
            try draft.removeIntention(key)
            return true
        }
        if isGone { await backend.settle("intention \(source) to \(destination) removed") }
        return .json(true)
    }

    // MARK: - by id

    @concurrent private func create(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let body = try Self.body(request)
        guard !(body.folded("SourceName")?.string ?? "").isEmpty,
            !(body.folded("DestinationName")?.string ?? "").isEmpty
        else { throw APIError(500, "SourceName and DestinationName must be set") }
        let (source, destination) = try Self.pair(body)
        try authority.require(Access(.write, .intention, destination.description))
        var intention = try intention(body, source, destination)
        intention.meta = Self.meta(body)
        let now = now()
        intention.written = Intention.Written(created: now, updated: now)
        let id = UUID().uuidString.lowercased()
        try await write(intention, id: id, replace: false)
        return .json(["ID": .string(id)])
    }

    @concurrent private func single(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let intention = try known(request, badID: 400)
        try authority.require(Access(.read, .intention, intention.destination.description))
        return .json(intention.json)
    }

    @concurrent private func update(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let body = try Self.body(request)
        let old = try known(request, badID: 500)
        let (source, destination) = try Self.pair(body)
        try authority.require(Access(.write, .intention, old.destination.description))
        guard source == old.source, destination == old.destination else {
            throw APIError(
                500, "Cannot modify Source or Destination of an intention once it exists")
        }
        var intention = try intention(body, source, destination)
        intention.meta = Self.meta(body)
        let now = now()
        intention.written = Intention.Written(
            created: old.written?.created ?? now, updated: now)
        try await write(intention, id: old.id, replace: true)
        return .json(["ID": .string(old.id ?? "")])
    }

    @concurrent private func deleteByID(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let old = try known(request, badID: 500)
        try authority.require(Access(.write, .intention, old.destination.description))
        let key = IntentionKey(source: old.source, destination: old.destination)
        try await backend.store.write { try $0.removeIntention(key) }
        await backend.settle("intention \(old.source) to \(old.destination) removed")
        return .json(true)
    }

    private func known(_ request: APIRequest, badID status: Int) throws -> Intention {
        let id = request.tail.lowercased()
        guard UUID(uuidString: id) != nil else {
            let prefix = status == 400 ? "Bad request: " : ""
            throw APIError(
                status,
                "\(prefix)failed config entry lookup: index error: UUID must be 36 characters")
        }
        guard let intention = backend.store.snapshot.intentions.first(where: { $0.id == id })
        else { throw APIError(404, "Intention not found") }
        return intention
    }

    // MARK: - bodies

    private static func missing(_ name: String) -> APIError {
        APIError(500, "required query parameter '\(name)' not set")
    }

    /// `name` and `default/name` are one: there is one namespace.
    private static func bare(_ name: String) -> String {
        name.hasPrefix("default/") ? String(name.dropFirst(8)) : name
    }

    private static func pattern(_ name: String) throws -> NamePattern {
        do { return try NamePattern(bare(name)) } catch { throw APIError(500, "\(error)") }
    }

    private static func pair(
        _ request: APIRequest
    ) throws -> (source: NamePattern, destination: NamePattern) {
        guard let source = request.query["source"].nonEmpty else { throw missing("source") }
        guard let destination = request.query["destination"].nonEmpty else {
            throw missing("destination")
        }
        if let type = request.query["source-type"].nonEmpty, type != "consul" {
            throw APIError(500, "SourceType must be set to 'consul'")
        }
        return (try pattern(source), try pattern(destination))
    }

    private static func pair(
        _ body: JSON
    ) throws -> (source: NamePattern, destination: NamePattern) {
        (
            try pattern(body.folded("SourceName")?.string ?? ""),
            try pattern(body.folded("DestinationName")?.string ?? "")
        )
    }

    /// `id` is of the older API, which may not touch what the newer one has made.
    private func write(_ intention: Intention, id: String?, replace: Bool) async throws {
        let datacenter = backend.node.datacenter
        try await backend.store.write { draft in
            var intention = intention
            let others = draft.state.intentions.filter {
                $0.destination == intention.destination
            }
            let place = others.firstIndex { $0.source == intention.source }
            if id != nil, others.contains(where: { $0.id == nil }) {
                throw APIError(
                    500,
                    "cannot use legacy intention API to edit intentions with a destination of "
                        + "\"\(intention.destination)\" after editing them via a "
                        + "service-intentions config entry")
            }
            if place != nil, !replace {
                throw APIError(
                    500, "Sources[\(others.count)] defines \"\(intention.source)\" more than once")
            }
            intention.id = id
            try draft.putIntention(intention, replace: true)
            try EntryGuard.check(
                draft.state,
                after: .serviceIntentions(
                    ServiceIntentions(name: intention.destination, sources: [])),
                in: datacenter)
        }
        await backend.settle(
            "intention \(intention.source) to \(intention.destination) written over the API")
    }
}
