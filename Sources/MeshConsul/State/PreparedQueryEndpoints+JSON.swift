import MeshDiscovery
import MeshModel
import MeshStore

extension PreparedQueryEndpoints {
    func read(_ request: APIRequest) throws -> PreparedQuery {
        let prefix = "Request decode failed: "
        let fields = try request.fields("PreparedQuery", orFail: prefix)
        return try APIRequest.read(orFail: prefix) {
            let template = try fields.object("Template", "QueryTemplateOptions")
            let query = PreparedQuery(
                id: try fields.text("ID"), name: try fields.text("Name"),
                session: try fields.text("Session"), token: try fields.text("Token"),
                template: PreparedQuery.Template(
                    type: try template?.text("Type") ?? "",
                    regexp: try template?.text("Regexp") ?? "",
                    removeEmptyTags: try template?.bool("RemoveEmptyTags") ?? false),
                service: try Self.service(try fields.object("Service", "ServiceQuery")),
                dnsTTL: try fields.object("DNS", "QueryDNSOptions")?.text("TTL") ?? "")
            try fields.finish(besides: "CreateIndex", "ModifyIndex")
            return query
        }
    }

    private static func service(_ fields: Fields?) throws -> PreparedQuery.Service {
        guard let fields else { return PreparedQuery.Service("") }
        let failover = try fields.object("Failover", "QueryDatacenterOptions")
        return PreparedQuery.Service(
            try fields.text("Service"),
            failover: PreparedQuery.Failover(
                nearestN: try failover?.int("NearestN") ?? 0,
                datacenters: try failover?.texts("Datacenters") ?? []),
            onlyPassing: try fields.bool("OnlyPassing"),
            ignoreCheckIDs: try fields.texts("IgnoreCheckIDs") ?? [], near: try fields.text("Near"),
            tags: try fields.texts("Tags") ?? [], nodeMeta: try fields.textMap("NodeMeta") ?? [:],
            serviceMeta: try fields.textMap("ServiceMeta") ?? [:],
            connect: try fields.bool("Connect"))
    }

    static func json(_ stored: Stored<PreparedQuery>, showsToken: Bool) -> JSON {
        let query = stored.value
        let hidden = !showsToken && !query.token.isEmpty
        return [
            "ID": .string(query.id), "Name": .string(query.name),
            "Session": .string(query.session),
            "Token": .string(hidden ? PreparedQuery.hiddenToken : query.token),
            "Template": [
                "Type": .string(query.template.type), "Regexp": .string(query.template.regexp),
                "RemoveEmptyTags": .bool(query.template.removeEmptyTags),
            ],
            "Service": service(query.service), "DNS": ["TTL": .string(query.dnsTTL)],
            "CreateIndex": .number(stored.createIndex.value),
            "ModifyIndex": .number(stored.modifyIndex.value),
        ]
    }

    private static func service(_ service: PreparedQuery.Service) -> JSON {
        [
            "Service": .string(service.service),
            "Failover": [
                "NearestN": .number(service.failover.nearestN),
                "Datacenters": listed(service.failover.datacenters),
            ],
            "OnlyPassing": .bool(service.onlyPassing),
            "IgnoreCheckIDs": listed(service.ignoreCheckIDs), "Near": .string(service.near),
            "Tags": listed(service.tags), "NodeMeta": mapped(service.nodeMeta),
            "ServiceMeta": mapped(service.serviceMeta), "Connect": .bool(service.connect),
        ]
    }

    /// Null when empty: definitions are told as they were sent.
    private static func listed(_ texts: [String]) -> JSON {
        texts.isEmpty ? .null : .texts(texts)
    }

    private static func mapped(_ texts: [String: String]) -> JSON {
        texts.isEmpty ? .null : .texts(texts)
    }
}
