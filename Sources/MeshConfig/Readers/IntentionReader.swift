import MeshModel

/// Reads intentions: as service-intentions entries, and one by one as the API takes them.
enum IntentionReader {
    static func entry(
        _ name: NamePattern, _ fields: Fields, _ checks: inout FieldChecks
    ) -> ServiceIntentions {
        let sources = fields.objects("sources").enumerated().map { index, item in
            var inner = FieldChecks()
            let permissions = permissions(item, &inner)
            checks.within(["sources", .index(index)]) { $0.take(inner) }
            return ServiceIntentions.Source(
                // What is missing was reported; the fallback never repeats another source.
                name: item.pattern("name") ?? placeholder(index),
                action: item.choice("action", IntentionAction.self), permissions: permissions,
                description: item.text("description") ?? "", legacyID: item.filled("legacy_id"))
        }
        return ServiceIntentions(
            name: name, sources: sources, token: fields.object("jwt").map(token),
            meta: fields.textMap("meta"))
    }

    private static func placeholder(_ index: Int) -> NamePattern {
        (try? NamePattern("missing-\(index)")) ?? .any
    }

    static func permissions(_ fields: Fields, _ checks: inout FieldChecks) -> [Permission] {
        fields.objects("permissions").enumerated().map { index, item in
            var inner = FieldChecks()
            let http = item.object("http").map { MatchReader.read($0, &inner) }
            checks.within(["permissions", .index(index), "http"]) { $0.take(inner) }
            return Permission(
                action: item.choice("action", IntentionAction.self) ?? .deny,
                http: http ?? HTTPMatch(),
                token: item.object("jwt").map(token))
        }
    }

    private static func token(_ fields: Fields) -> TokenRequirement {
        TokenRequirement(
            providers: fields.objects("providers").map { provider in
                TokenRequirement.Provider(
                    name: provider.filled("name") ?? "",
                    verifyClaims: provider.objects("verify_claims").map { claim in
                        TokenRequirement.Claim(
                            path: claim.texts("path"), value: claim.text("value") ?? "")
                    })
            })
    }

    /// The keys of one intention over the API; Consul's and short spellings.
    static let schema = ObjectSchema(
        "intention",
        [
            .required(
                "source", .text(rule), example: "web", "The caller, or * for all.",
                aliases: ["source_name"]),
            .required(
                "destination", .text(rule), example: "db", "The target, or * for all.",
                aliases: ["destination_name"]),
            .optional(
                "action", .choice(["allow", "deny"]), example: "allow",
                "What happens; in place of permissions."),
            .optional(
                "permissions", .objects(EntryKeys.permission),
                example: "[ { action: allow, http: { path_prefix: / } } ]",
                "Rules about requests."),
            .key("description", .text(.any), default: "", "For people.", example: "the shop"),
            .optional("meta", .textMap, example: "{ team: shop }", "Labels."),
            .optional("source_type", .choice(["consul"]), example: "consul", "Only `consul`."),
            .optional(
                "source_ns", .text(EntryKeys.defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "destination_ns", .text(EntryKeys.defaultOnly), example: "default",
                "Only `default` is accepted."),
        ])

    private static let rule = TextRule(name: "service name or *", mayBeEmpty: false) {
        _ = try NamePattern($0)
    }

    /// One intention, judged by the rules of the entry it becomes a part of.
    static func read(_ fields: Fields, _ sink: ProblemSink) -> Intention? {
        guard let source = fields.pattern("source"),
            let destination = fields.pattern("destination")
        else { return nil }
        var checks = FieldChecks()
        let permissions = permissions(fields, &checks)
        let action = fields.choice("action", IntentionAction.self)
        let entry = ServiceIntentions(
            name: destination,
            sources: [
                .init(
                    name: source, action: action, permissions: permissions,
                    description: fields.text("description") ?? "")
            ], meta: fields.textMap("meta"))
        // The entry's problems are told of sources[0]; here that is the document itself.
        let broken = entry.problems().map { problem in
            FieldProblem(Array(problem.path.dropFirst(2)), problem.message)
        }
        sink.report(checks.problems + broken, in: fields.node, fields.schema, [])
        return entry.intentions(origin: .api).first
    }
}
