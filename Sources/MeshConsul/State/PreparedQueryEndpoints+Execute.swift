import MeshDiscovery
import MeshHTTP
import MeshModel
import MeshStore

extension PreparedQueryEndpoints {
    /// `/v1/query/:id/execute`: the instances that a query gives now.
    func execute(_ name: String, _ request: APIRequest) async throws -> APIResponse {
        let options = try QueryOptions(request)
        guard queries.knows(options.datacenter) else { throw APIError.unknownDatacenter }
        let limit = try limit(request)
        let (query, _) = try Self.resolve(name, queries.store.snapshot)
        let token = query.token.isEmpty ? request.token : query.token
        let authority = try await access.authority(of: token)
        var service = query.service
        if let connect = request.query["connect"], connect.isEmpty || connect == "true" {
            service.connect = true
        }
        let found = await source.instances(of: service.service, isConnect: service.connect)
            .filter { $0.isReadable(by: authority) }
        let near = options.near.isEmpty ? service.near : options.near
        var random = SystemRandomNumberGenerator()
        let chosen = QueryExecution.choose(
            found, for: service, near: near == "_agent" ? node : near, limit: limit,
            using: &random)
        // There is no other datacenter, so nobody to fail over to.
        var answer: APIResponse = .json([
            "Service": .string(service.service), "Nodes": .array(chosen.map(\.json)),
            "DNS": ["TTL": .string(query.dnsTTL)],
            "Datacenter": .string(queries.datacenter), "Failovers": 0,
        ])
        Self.addMeta(options, to: &answer)
        if options.isCached { answer.headers["X-Cache"] = "MISS" }
        return answer
    }

    private func limit(_ request: APIRequest) throws -> Int {
        guard let text = request.query["limit"], !text.isEmpty else { return 0 }
        guard let limit = Int(text) else {
            throw APIError(
                500,
                "Bad limit: strconv.Atoi: parsing \(GoText.quoted(text)): invalid syntax")
        }
        return limit
    }
}
