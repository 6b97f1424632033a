import MeshModel

/// What clients send of an intention.
extension IntentionEndpoints {
    static func meta(_ body: JSON) -> [String: String] {
        Dictionary(
            body.members("Meta").compactMap { member in
                member.value.string.map { (member.name, $0) }
            }, uniquingKeysWith: { $1 })
    }

    static func body(_ request: APIRequest) throws -> JSON {
        // What the first API of intentions makes of a body has remained.
        let (status, prefix) =
            request.method == "POST"
            ? (500, "Failed to decode request body: ")
            : (400, "Bad request: Request decode failed: ")
        do {
            let json = try request.json()
            let fields = try Fields(json, "Intention")
            for name in ["ID", "Description", "SourceNS", "SourceName", "DestinationNS"] {
                _ = try fields.text(name)
            }
            for name in ["DestinationName", "SourceType", "Action"] { _ = try fields.text(name) }
            _ = try (fields.textMap("Meta"), fields.objects("Permissions", "IntentionPermission"))
            try fields.finish(
                besides: "DefaultAddr", "DefaultPort", "Precedence", "CreatedAt", "UpdatedAt",
                "Hash", "CreateIndex", "ModifyIndex", "SourcePartition", "DestinationPartition")
            return json
        } catch let failure as JSONParser.Failure {
            throw APIError(status, "\(prefix)\(failure)")
        } catch let failure as BodyFailure {
            throw APIError(status, prefix + failure.text)
        }
    }

    /// What a body says, by the rules of the config entry that it becomes a part of.
    func intention(
        _ body: JSON, _ source: NamePattern, _ destination: NamePattern
    ) throws -> Intention {
        var members: [JSON.Member] = [.init("Name", .string(source.description))]
        for key in ["Action", "Permissions", "Description"] {
            if let value = body.folded(key) { members.append(.init(key, value)) }
        }
        if let type = body.folded("SourceType") { members.append(.init("Type", type)) }
        let entry = try backend.entry([
            "Kind": "service-intentions", "Name": .string(destination.description),
            "Sources": [.object(members)],
        ])
        guard case .serviceIntentions(let intentions) = entry,
            let intention = intentions.intentions(origin: .api).first
        else { throw APIError(500, "an intention was not read as one") }
        return intention
    }
}
