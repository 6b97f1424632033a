import MeshModel

/// Reads criteria on requests.
enum MatchReader {
    /// The criteria, with the rules that only their spelling can break: two paths, two comparisons.
    static func read(_ fields: Fields, _ checks: inout FieldChecks) -> HTTPMatch {
        let paths: [PathMatch] = [
            fields.filled("path_exact").map { .exact($0) },
            fields.filled("path_prefix").map { .prefix($0) },
            fields.filled("path_regex").map { .regex($0) },
        ].compactMap { $0 }
        checks.require(
            paths.count <= 1, [],
            "should only contain at most one of path_exact, path_prefix, or path_regex")
        let hasQuery = fields.schema.has("query_param")
        let headers = fields.objects("header").enumerated().map { index, item in
            var inner = FieldChecks()
            let header = header(item, &inner)
            checks.within(["headers", .index(index)]) { $0.take(inner) }
            return header
        }
        var query: [QueryMatch] = []
        for (index, item) in (hasQuery ? fields.objects("query_param") : []).enumerated() {
            var inner = FieldChecks()
            query.append(parameter(item, &inner))
            checks.within(["query", .index(index)]) { $0.take(inner) }
        }
        return HTTPMatch(
            path: paths.first,
            caseInsensitive: fields.schema.has("case_insensitive")
                && fields.bool("case_insensitive"),
            headers: headers, query: query,
            methods: fields.texts("methods").map { $0.uppercased() })
    }

    private static func header(_ fields: Fields, _ checks: inout FieldChecks) -> HeaderMatch {
        let found: [TextMatch] = [
            fields.bool("present") ? .present : nil,
            fields.filled("exact").map { .exact($0) },
            fields.filled("prefix").map { .prefix($0) },
            fields.filled("suffix").map { .suffix($0) },
            fields.filled("contains").map { .contains($0) },
            fields.filled("regex").map { .regex($0) },
        ].compactMap { $0 }
        checks.require(
            found.count == 1, [],
            "should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex: write "
                + "for example present: true")
        return HeaderMatch(
            name: fields.filled("name") ?? "x", match: found.first ?? .present,
            ignoreCase: fields.bool("ignore_case"), invert: fields.bool("invert"))
    }

    private static func parameter(_ fields: Fields, _ checks: inout FieldChecks) -> QueryMatch {
        let found: [TextMatch] = [
            fields.bool("present") ? .present : nil,
            fields.filled("exact").map { .exact($0) },
            fields.filled("regex").map { .regex($0) },
        ].compactMap { $0 }
        checks.require(
            found.count == 1, [],
            "should only contain one of Present, Exact, or Regex: write for example present: true")
        return QueryMatch(name: fields.filled("name") ?? "x", match: found.first ?? .present)
    }
}

extension FieldChecks {
    /// Takes over what was found elsewhere, under the present path.
    mutating func take(_ other: FieldChecks) {
        for problem in other.problems { fail(problem.path, problem.message) }
    }
}
