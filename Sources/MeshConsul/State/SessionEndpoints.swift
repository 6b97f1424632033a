import Foundation
package import MeshModel
package import MeshStore

/// What sessions have to know of nodes.
package protocol SessionFacts: Sendable {
    /// These checks of a node and of its services, by id, those that there are; nil when there is
    /// no such node.
    func checks(_ ids: Set<String>, node: String) async -> [String: SessionCheck]?
}

/// A check that a session depends on.
package struct SessionCheck: Sendable, Hashable {
    package var status: CheckStatus
    /// Whether a result says so; after a start nothing is known for a while.
    package var isProven: Bool

    package init(_ status: CheckStatus, isProven: Bool = true) {
        self.status = status
        self.isProven = isProven
    }
}

/// `/v1/session`: what holds keys.
package struct SessionEndpoints: EndpointGroup {
    /// The check that every node has: that it is alive.
    static let nodeCheck = "serfHealth"

    let queries: Queries
    let access: any AccessPolicy
    let keeper: SessionKeeper
    let facts: any SessionFacts
    let node: String

    package init(
        queries: Queries, access: any AccessPolicy, keeper: SessionKeeper,
        facts: any SessionFacts, node: String
    ) {
        self.queries = queries
        self.access = access
        self.keeper = keeper
        self.facts = facts
        self.node = node
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/session/create", ["PUT": create]),
            Endpoint("/v1/session/destroy/", ["PUT": destroy]),
            Endpoint("/v1/session/renew/", ["PUT": renew]),
            Endpoint("/v1/session/info/", ["GET": info]),
            Endpoint("/v1/session/node/", ["GET": ofNode]),
            Endpoint("/v1/session/list", ["GET": list]),
        ]
    }

    // MARK: - writing

    @concurrent private func create(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let authority = try await access.authority(of: request.token)
        let asked = try read(request)
        try authority.require(Access(.write, .session, asked.node))
        if let ttl = asked.timeToLive,
            !(SessionLimits.minTTL...SessionLimits.maxTTL).contains(ttl)
        {
            throw APIError(
                500,
                "Invalid Session TTL '\(ttl.nanoseconds)', must be between [10s=24h0m0s]")
        }
        let checks = asked.nodeChecks + asked.serviceChecks
        guard let found = await facts.checks(Set(checks), node: asked.node) else {
            throw APIError(500, "Missing node registration")
        }
        for check in checks {
            switch found[check]?.status {
            case nil: throw APIError(500, "Missing check '\(check)' registration")
            case .critical: throw APIError(500, "Check '\(check)' is in critical state")
            case .passing, .warning, .maintenance: break
            }
        }
        try await inConsulsWords { try await queries.store.write { try $0.putSession(asked) } }
        return .json(["ID": .string(asked.id)])
    }

    private func read(_ request: APIRequest) throws -> Session {
        let id = UUID().uuidString.lowercased()
        guard !request.body.isEmpty else {
            return Session(id: id, node: node, nodeChecks: [Self.nodeCheck])
        }
        let prefix = "Request decode failed: "
        let fields = try request.fields("SessionRequest", orFail: prefix)
        return try APIRequest.read(orFail: prefix) {
            let behavior = try fields.text("Behavior")
            guard let known = Session.Behavior(rawValue: behavior.isEmpty ? "release" : behavior)
            else { throw APIError(500, "Invalid Behavior setting '\(behavior)'") }
            let ttl = try fields.text("TTL")
            if !ttl.isEmpty, (try? MeshDuration(ttl)) == nil {
                throw APIError(
                    500,
                    "Session TTL '\(ttl)' invalid: time: invalid duration "
                        + GoText.quoted(ttl))
            }
            let wanted = try fields.text("Node")
            return Session(
                id: id, name: try fields.text("Name"), node: wanted.isEmpty ? node : wanted,
                lockDelay: try delay(fields), behavior: known, ttl: ttl,
                nodeChecks: try nodeChecks(fields), serviceChecks: try serviceChecks(fields))
        }
    }

    /// As text, or as a number: of nanoseconds, but of seconds when it is small.
    private func delay(_ fields: Fields) throws -> MeshDuration? {
        guard let delay = try fields.duration("LockDelay") else { return nil }
        let isSmall = fields.value("LockDelay").map { json in
            if case .int(let value) = json { return value < 1000 }
            return false
        }
        return isSmall == true ? .seconds(delay.nanoseconds) : delay
    }

    private func nodeChecks(_ fields: Fields) throws -> [String] {
        // An old client's `Checks` stand for those of the node; an empty list asks for none.
        if fields.has("NodeChecks") { return try fields.texts("NodeChecks") ?? [] }
        if fields.has("Checks") { return try fields.texts("Checks") ?? [] }
        return [Self.nodeCheck]
    }

    private func serviceChecks(_ fields: Fields) throws -> [String] {
        guard let json = fields.value("ServiceChecks"), case .array(let values) = json else {
            return try fields.texts("ServiceChecks") ?? []
        }
        return try values.map { value in
            if case .string(let text) = value { return text }
            return try Fields(value, "ServiceCheck").text("ID")
        }
    }

    private func name(_ request: APIRequest, _ what: String) throws -> String {
        guard !request.tail.isEmpty else { throw APIError(400, "Missing \(what)") }
        return request.tail
    }

    @concurrent private func destroy(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let id = try name(request, "session")
        let authority = try await access.authority(of: request.token)
        guard let session = queries.store.snapshot.session(id) else { return .json(true) }
        try authority.require(Access(.write, .session, session.value.node))
        _ = try await queries.store.write { $0.endSession(id, now: .now) }
        return .json(true)
    }

    @concurrent private func renew(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let id = try name(request, "session")
        let authority = try await access.authority(of: request.token)
        guard let present = queries.store.snapshot.session(id) else {
            throw APIError(404, "Session id '\(id)' not found")
        }
        try authority.require(Access(.write, .session, present.value.node))
        guard let session = keeper.renew(id) else {
            throw APIError(404, "Session id '\(id)' not found")
        }
        return .json([Self.json(session)])
    }

    // MARK: - reading

    @concurrent private func info(_ request: APIRequest) async throws -> APIResponse {
        let id = try name(request, "session")
        return try await list(request) { state in
            state.session(id).map { [$0] } ?? []
        }
    }

    @concurrent private func ofNode(_ request: APIRequest) async throws -> APIResponse {
        let node = try name(request, "node name")
        return try await list(request) { $0.sessions(node: node) }
    }

    @concurrent private func list(_ request: APIRequest) async throws -> APIResponse {
        try await list(request) { $0.sessions() }
    }

    private func list(
        _ request: APIRequest, _ choose: @Sendable (StoreState) -> [Stored<Session>]
    ) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        return try await queries.json(request, watching: Watch(.sessions)) { state, _ in
            .array(
                choose(state).filter { authority.allows(Access(.read, .session, $0.value.node)) }
                    .map(Self.json))
        }
    }

    static func json(_ stored: Stored<Session>) -> JSON {
        let session = stored.value
        return [
            "ID": .string(session.id), "Name": .string(session.name),
            "Node": .string(session.node), "LockDelay": .int(session.lockDelay.nanoseconds),
            "Behavior": .string(session.behavior.rawValue), "TTL": .string(session.ttl),
            "NodeChecks": .texts(session.nodeChecks),
            "ServiceChecks": session.serviceChecks.isEmpty
                ? .null
                : .array(
                    session.serviceChecks.map { ["ID": .string($0), "Namespace": ""] }),
            "CreateIndex": .number(stored.createIndex.value),
            "ModifyIndex": .number(stored.modifyIndex.value),
        ]
    }
}
