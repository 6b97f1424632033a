import MeshModel

/// Reads what others say of a node, as `/v1/catalog/register` and `/v1/txn` take it.
enum CatalogDecoding {
    /// A service; members that are not known are left alone, as Consul does here.
    static func service(_ fields: Fields) throws -> ServiceDefinition {
        var parts = try ServiceDecoding.Parts(fields, nameKey: "Service")
        parts.native = try fields.object("Connect", "ServiceConnect")?.bool("Native") ?? false
        guard !parts.name.isEmpty else {
            throw APIError(500, "Must provide service name with ID")
        }
        var definition = try parts.definition()
        definition.connect.native = parts.native
        return definition
    }

    /// A check of this node, or of one of its services.
    static func check(_ fields: Fields, on node: String) throws -> CatalogNode.Check {
        let text = try fields.optionalText("Status").nonEmpty ?? "critical"
        guard let status = CheckStatus(rawValue: text) else {
            throw APIError(400, "Invalid check status: '\(text)'")
        }
        let name = try fields.text("Name")
        let about = try fields.optionalText("Node").nonEmpty
        guard about == nil || about == node else {
            throw APIError(500, "check's node \"\(about ?? "")\" does not match the request's")
        }
        return CatalogNode.Check(
            id: try fields.optionalText("CheckID").nonEmpty ?? name, name: name,
            notes: try fields.text("Notes"), status: status, output: try fields.text("Output"),
            service: try fields.optionalText("ServiceID").nonEmpty.map { try ServiceID($0) })
    }
}
