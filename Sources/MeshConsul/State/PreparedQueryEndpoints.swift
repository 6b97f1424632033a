import Foundation
import MeshDiscovery
import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/query`: prepared queries.
package struct PreparedQueryEndpoints: EndpointGroup {
    let queries: Queries
    let access: any AccessPolicy
    let source: any InstanceSource
    /// The name of this node.
    let node: String

    package init(
        queries: Queries, access: any AccessPolicy, source: any InstanceSource, node: String
    ) {
        self.queries = queries
        self.access = access
        self.source = source
        self.node = node
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/query", ["GET": list, "POST": create]),
            // POST is for no query; a handler of its own says which methods there are.
            Endpoint(
                "/v1/query/", ["GET": get, "PUT": update, "DELETE": remove, "POST": refuse]),
        ]
    }

    private static let shape = Queries.Shape.catalog

    /// The query and what is to be done with it: `nearest-db/execute`.
    private func parts(_ request: APIRequest) -> (name: String, verb: String?) {
        for verb in ["execute", "explain"] where request.tail.hasSuffix("/\(verb)") {
            return (String(request.tail.dropLast(verb.count + 1)), verb)
        }
        return (request.tail, nil)
    }

    @concurrent private func refuse(_ request: APIRequest) async throws -> APIResponse {
        let allow = parts(request).verb == nil ? "GET,PUT,DELETE" : "GET"
        return APIResponse(
            .text("method \(request.method) not allowed"), status: 405, headers: ["Allow": allow])
    }

    // MARK: - reading

    @concurrent private func list(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        return try await queries.json(
            request, watching: Watch(.preparedQueries), Self.shape
        ) { state, _ in
            // Without a name a query is its creator's secret: only who manages sees it listed.
            .array(
                state.preparedQueries.filter { mayRead($0.value, authority) }
                    .map { Self.json($0, showsToken: authority.allows(Access(.write, .acl))) })
        }
    }

    private func mayRead(_ query: PreparedQuery, _ authority: any Authority) -> Bool {
        guard let name = query.ruledName else { return authority.allows(Access(.write, .acl)) }
        return authority.allows(Access(.read, .query, name))
    }

    @concurrent private func get(_ request: APIRequest) async throws -> APIResponse {
        let (name, verb) = parts(request)
        if verb == "execute" { return try await execute(name, request) }
        let authority = try await access.authority(of: request.token)
        if verb == "explain" { return try await explain(name, request, authority) }
        guard let stored = queries.store.snapshot.preparedQuery(name.lowercased()) else {
            throw APIError(404, "Query not found")
        }
        if let ruled = stored.value.ruledName {
            try authority.require(Access(.read, .query, ruled))
        }
        return try await queries.json(
            request, watching: Watch(.preparedQueries), Self.shape
        ) { state, _ in
            guard let stored = state.preparedQuery(name.lowercased()) else {
                throw APIError(404, "Query not found")
            }
            return [Self.json(stored, showsToken: authority.allows(Access(.write, .acl)))]
        }
    }

    private func explain(
        _ name: String, _ request: APIRequest, _ authority: any Authority
    ) async throws -> APIResponse {
        let state = queries.store.snapshot
        let (query, stored) = try Self.resolve(name, state)
        if let ruled = query.ruledName { try authority.require(Access(.read, .query, ruled)) }
        let shown = Stored(
            query, createIndex: stored.createIndex, modifyIndex: stored.modifyIndex)
        var answer: APIResponse = .json([
            "Query": Self.json(shown, showsToken: authority.allows(Access(.write, .acl))),
            "Index": 0, "LastContact": 0, "KnownLeader": true, "ConsistencyLevel": "leader",
            "NotModified": false,
        ])
        Self.addMeta(try QueryOptions(request), to: &answer)
        return answer
    }

    /// The query that a name means, rendered if it is a template, and what is stored of it.
    static func resolve(
        _ name: String, _ state: StoreState
    ) throws -> (query: PreparedQuery, stored: Stored<PreparedQuery>) {
        let all = state.preparedQueries
        let found: PreparedQuery?
        do {
            found = try QueryLookup.resolve(name, among: all.map(\.value))
        } catch let error as MeshError {
            throw APIError(500, error.message)
        }
        guard let found, let stored = all.first(where: { $0.value.id == found.id }) else {
            throw APIError(404, "Query not found")
        }
        return (found, stored)
    }

    /// Answers of queries are made anew each time and never block.
    static func addMeta(_ options: QueryOptions, to answer: inout APIResponse) {
        answer.headers["X-Consul-Index"] = "1"
        answer.headers["X-Consul-KnownLeader"] = "true"
        answer.headers["X-Consul-LastContact"] = "0"
        answer.headers["X-Consul-Effective-Consistency"] = options.consistency.rawValue
    }

    // MARK: - writing

    @concurrent private func create(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let authority = try await access.authority(of: request.token)
        var query = try read(request)
        guard query.id.isEmpty else {
            throw APIError(500, "ID must be empty when creating a new prepared query")
        }
        query.id = UUID().uuidString.lowercased()
        try await keep(query, authority, isNew: true)
        return .json(["ID": .string(query.id)])
    }

    @concurrent private func update(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let authority = try await access.authority(of: request.token)
        let (name, verb) = parts(request)
        guard verb == nil else { return try await refuse(request) }
        var query = try read(request)
        query.id = name.lowercased()
        try await keep(query, authority, isNew: false)
        return .done
    }

    private func keep(
        _ query: PreparedQuery, _ authority: any Authority, isNew: Bool
    ) async throws {
        if let ruled = query.ruledName { try authority.require(Access(.write, .query, ruled)) }
        try await inConsulsWords {
            try await queries.store.write { draft in
                if !isNew { try Self.checkPresent(query.id, draft.state, authority) }
                try query.check()
                let others = draft.state.preparedQueries.map(\.value)
                try QueryLookup.checkName(of: query, among: others)
                try draft.putQuery(query)
            }
        }
    }

    /// Who changes a query must be allowed to change the one that is there.
    private static func checkPresent(
        _ id: String, _ state: StoreState, _ authority: any Authority
    ) throws {
        guard let present = state.preparedQuery(id) else {
            throw APIError(500, "Cannot modify non-existent prepared query: '\(id)'")
        }
        if let ruled = present.value.ruledName {
            try authority.require(Access(.write, .query, ruled))
        }
    }

    @concurrent private func remove(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let authority = try await access.authority(of: request.token)
        let (name, verb) = parts(request)
        guard verb == nil else { return try await refuse(request) }
        let id = name.lowercased()
        _ = try await queries.store.write { draft in
            try Self.checkPresent(id, draft.state, authority)
            draft.removeQuery(id)
        }
        return .done
    }
}
