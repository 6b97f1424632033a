package import MeshModel
import MeshRegex

extension PreparedQuery {
    /// What Consul shows in place of a token that the reader may not see.
    package static let hiddenToken = "<hidden>"
    private static let templateType = "name_prefix_match"
    private static let greatestMetaPairs = 64

    /// Throws what Consul says of a query that cannot be kept.
    package func check() throws {
        if name.isEmpty, !isTemplate, session.isEmpty {
            throw Self.bad("Must be bound to a session")
        }
        if token == Self.hiddenToken {
            throw Self.bad(
                "Bad Token '\(token)', it looks like a query definition with a redacted token was "
                    + "submitted")
        }
        if service.service.isEmpty { throw Self.bad("Must provide a Service name to query") }
        if service.failover.nearestN < 0 {
            throw Self.bad("Bad NearestN '\(service.failover.nearestN)', must be >= 0")
        }
        for meta in [service.nodeMeta, service.serviceMeta] {
            if meta.count > Self.greatestMetaPairs {
                throw Self.bad(
                    "Node metadata cannot contain more than \(Self.greatestMetaPairs) key/value "
                        + "pairs")
            }
        }
        if !dnsTTL.isEmpty {
            guard let ttl = try? MeshDuration(dnsTTL) else {
                throw Self.bad(
                    "Bad DNS TTL '\(dnsTTL)': time: invalid duration \(GoText.quoted(dnsTTL))")
            }
            if ttl < .zero { throw Self.bad("DNS TTL '\(ttl.nanoseconds)', must be >=0") }
        }
        if isTemplate { _ = try rendered(for: name) }
    }

    private static func bad(_ text: String) -> MeshError {
        MeshError(.invalid, "Invalid prepared query: \(text)")
    }

    /// The query that a template is for a name. Every text of its service may have holes.
    package func rendered(for name: String, segment: String = "") throws -> PreparedQuery {
        guard template.type == Self.templateType else {
            throw MeshError(.invalid, "Bad Template.Type '\(template.type)'")
        }
        var matches: [String] = []
        if !template.regexp.isEmpty {
            do {
                matches = try RegexGroups(template.regexp).firstMatch(in: name) ?? []
            } catch let error as MeshError {
                throw MeshError(.invalid, "Bad Regexp: \(error.message)")
            }
        }
        let taken = QueryName(full: name, prefix: self.name, matches: matches, segment: segment)
        func text(_ text: String, _ path: String) throws -> String {
            do {
                return try QueryText(text).render(taken)
            } catch let error as MeshError {
                throw MeshError(
                    .invalid, "Bad format '\(text)' in Service\(path): \(error.message)")
            }
        }
        func list(_ texts: [String], _ path: String) throws -> [String] {
            try texts.enumerated().map { try text($1, "\(path)[\($0)]") }
        }
        var query = self
        query.service.service = try text(service.service, ".Service")
        query.service.near = try text(service.near, ".Near")
        query.service.tags = try list(service.tags, ".Tags")
        query.service.ignoreCheckIDs = try list(service.ignoreCheckIDs, ".IgnoreCheckIDs")
        query.service.failover.datacenters = try list(
            service.failover.datacenters, ".Failover.Datacenters")
        for (key, value) in service.nodeMeta {
            query.service.nodeMeta[key] = try text(value, ".NodeMeta[\(key)]")
        }
        for (key, value) in service.serviceMeta {
            query.service.serviceMeta[key] = try text(value, ".ServiceMeta[\(key)]")
        }
        if template.removeEmptyTags {
            query.service.tags.removeAll { $0.isEmpty || $0 == "!" }
        }
        return query
    }
}

/// Finds the query that a text means.
package enum QueryLookup {
    /// By id first, then by name without regard to case, then the template with the longest name
    /// that the text begins with; the one without a name answers for all. Templates come rendered.
    package static func resolve(
        _ text: String, among queries: [PreparedQuery], segment: String = ""
    ) throws -> PreparedQuery? {
        guard !text.isEmpty else { throw MeshError(.invalid, "Missing Query ID") }
        if let query = queries.first(where: { $0.id == text.lowercased() }) {
            guard !query.isTemplate else {
                throw MeshError(
                    .invalid,
                    "prepared query templates can only be resolved up by name, not by ID")
            }
            return query
        }
        let folded = text.lowercased()
        var best: PreparedQuery?
        for query in queries {
            let name = query.name.lowercased()
            if !name.isEmpty, name == folded {
                best = query
                break
            }
            guard query.isTemplate, folded.utf8.starts(with: name.utf8) else { continue }
            if best.map({ $0.name.utf8.count < name.utf8.count }) ?? true { best = query }
        }
        guard let best, best.isTemplate else { return best }
        return try best.rendered(for: text, segment: segment)
    }

    /// Throws what Consul says of a query whose name cannot be taken.
    package static func checkName(
        of query: PreparedQuery, among others: [PreparedQuery]
    ) throws {
        let name = query.name.lowercased()
        for other in others where other.id != query.id {
            if !name.isEmpty, other.name.lowercased() == name {
                throw MeshError(.conflict, "name '\(query.name)' aliases an existing query name")
            }
            if name.isEmpty, query.isTemplate, other.isTemplate, other.name.isEmpty {
                throw MeshError(
                    .conflict, "a query template with an empty name already exists")
            }
        }
        if !name.isEmpty, others.contains(where: { $0.id == name }) {
            throw MeshError(.conflict, "name '\(query.name)' aliases an existing query ID")
        }
    }
}
