import MeshConfig
package import MeshModel

/// Reads the intentions towards a service.
package enum Intentions {
    package struct Read: Sendable, Equatable {
        /// In the order in which they are consulted.
        package var intentions: [Intention]
        package var problems: [String]
    }

    /// Reads `/v1/connect/intentions/match?by=destination&name=<service>`.
    ///
    /// A rule that cannot be read whole never lets more through than it would: it denies.
    package static func read(_ json: AgentJSON, service: ServiceName) throws -> Read {
        guard case .object = json.value else { throw json.lacking(service.text) }
        var read = Read(intentions: [], problems: [])
        // The name is repeated as it was asked for; a newer one may spell it in another way.
        let list = json.members.first { $0.key.lowercased() == service.folded }?.value
        for item in list?.items ?? [] {
            if let intention = try intention(item, &read.problems) {
                read.intentions.append(intention)
            }
        }
        read.intentions = Intention.ordered(read.intentions)
        return read
    }

    private static func intention(
        _ json: AgentJSON, _ problems: inout [String]
    ) throws -> Intention? {
        let name = json.text("SourceName") ?? "?"
        // Callers of other meshes prove identities of other domains: no name of ours is theirs.
        if let peer = json.text("SourcePeer") {
            problems.append("the intention for \(name) of peer \(peer): peers are not connected")
            return nil
        }
        let foreign = ["SourceNS", "SourcePartition", "DestinationNS", "DestinationPartition"]
            .contains { json.text($0).map { $0 != "default" && $0 != "*" } ?? false }
        if foreign { return nil }
        var intention = Intention(
            source: try NamePattern(try json.need("SourceName")),
            destination: try NamePattern(try json.need("DestinationName")),
            effect: .action(.deny), id: json.text("ID"),
            description: json.text("Description") ?? "")
        let permissions = json.items("Permissions")
        let needsToken =
            json["JWT"] != nil || permissions.contains { $0["JWT"] != nil }
        if needsToken {
            problems.append("the intention for \(name) requires a token: it denies")
        } else if permissions.isEmpty {
            let action = json.text("Action").flatMap { IntentionAction(rawValue: $0) }
            intention.effect = .action(action ?? .deny)
        } else if let read = read(permissions, name, &problems) {
            intention.effect = .permissions(read)
        }
        return intention
    }

    private static func read(
        _ permissions: [AgentJSON], _ name: String, _ problems: inout [String]
    ) -> [Permission]? {
        let document = DataValue.object([
            "Kind": .string("service-intentions"), "Name": .string("target"),
            "Sources": .array([
                .object([
                    "Name": .string(name), "Permissions": .array(permissions.map(\.value)),
                ])
            ]),
        ])
        let read = AgentJSON(document, "intention for \(name)").entries()
        if read.isSound, case .serviceIntentions(let entry)? = read.values.first?.value,
            let source = entry.sources.first
        {
            return source.permissions
        }
        let error = read.problems.first { $0.severity == .error }
        problems.append(
            "the intention for \(name) cannot be read and denies: "
                + (error.map { "\($0.key): \($0.message)" } ?? "it is no intention"))
        return nil
    }
}
