/// Who may talk to one service: the intentions towards it, as one entry.
package struct ServiceIntentions: Hashable, Sendable, Codable {
    package struct Source: Hashable, Sendable, Codable {
        package var name: NamePattern
        /// Exactly one of `action` and `permissions` is given.
        package var action: IntentionAction?
        package var permissions: [Permission]
        package var description: String
        package var legacyID: String?

        package init(
            name: NamePattern, action: IntentionAction? = nil, permissions: [Permission] = [],
            description: String = "", legacyID: String? = nil
        ) {
            self.name = name
            self.action = action
            self.permissions = permissions
            self.description = description
            self.legacyID = legacyID
        }

        package enum CodingKeys: String, CodingKey {
            case name, action, permissions, description
            case legacyID = "legacy_id"
        }
    }

    /// The destination: a service, or `*` for all.
    package var name: NamePattern
    package var sources: [Source]
    /// A requirement that every source of the entry must meet as well.
    package var token: TokenRequirement?
    package var meta: [String: String]

    package init(
        name: NamePattern, sources: [Source], token: TokenRequirement? = nil,
        meta: [String: String] = [:]
    ) {
        self.name = name
        self.sources = sources
        self.token = token
        self.meta = meta
    }

    /// The entry as single intentions, in the order in which they are consulted.
    package func intentions(
        origin: Origin, createIndex: Index = .zero, modifyIndex: Index = .zero
    ) -> [Intention] {
        sources.map { source in
            Intention(
                source: source.name, destination: name,
                effect: source.action.map { .action($0) } ?? .permissions(source.permissions),
                token: token, id: source.legacyID, description: source.description, meta: meta,
                origin: origin,
                createIndex: createIndex, modifyIndex: modifyIndex)
        }
        .sorted(by: Intention.consultedBefore)
    }
}

extension ServiceIntentions: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            !sources.isEmpty, [],
            "At least one source is required: write sources: [ { name: web, action: allow } ]")
        Self.validate(token, &checks)
        var seen: [NamePattern: Int] = [:]
        for (index, source) in sources.enumerated() {
            if let first = seen[source.name] {
                checks.fail(
                    ["sources", .index(index), "name"],
                    "\(NameRule.quoted("\(source.name)")) is already defined by sources[\(first)]")
            } else {
                seen[source.name] = index
            }
            checks.within(["sources", .index(index)]) { validate(source, &$0) }
        }
    }

    private func validate(_ source: Source, _ checks: inout FieldChecks) {
        checks.require(
            source.description.utf8.count <= 512, ["description"], "use at most 512 bytes")
        guard !source.permissions.isEmpty else {
            checks.require(
                source.action != nil, [],
                "action must be set to 'allow' or 'deny': write action: allow or permissions")
            return
        }
        checks.require(
            source.action == nil, ["action"],
            "Action must be omitted if Permissions are specified: remove one of them")
        checks.require(
            name != .any, ["permissions"],
            "Permissions cannot be specified on intentions with wildcarded destinations")
        checks.require(
            source.permissions.count <= 256, ["permissions"], "use at most 256 permissions")
        for (index, permission) in source.permissions.enumerated() {
            checks.within(["permissions", .index(index)]) { inner in
                inner.require(
                    !permission.http.isEmpty || permission.token != nil, [],
                    "HTTP should not be empty: write path_prefix, methods or header under http")
                inner.within(["http"], permission.http)
                Self.validate(permission.token, &inner)
            }
        }
    }

    private static func validate(_ token: TokenRequirement?, _ checks: inout FieldChecks) {
        guard let token else { return }
        checks.require(
            (1...16).contains(token.providers.count), ["jwt", "providers"],
            "name 1 to 16 providers: write providers: [ { name: okta } ]")
        for (index, provider) in token.providers.enumerated() {
            let place: [FieldStep] = ["jwt", "providers", .index(index)]
            checks.require(!provider.name.isEmpty, place, "name the provider")
            checks.require(
                provider.verifyClaims.allSatisfy { !$0.path.isEmpty }, place,
                "verify_claims needs a path: write path: [role]")
        }
    }
}
