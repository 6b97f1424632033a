import MeshConfig
import MeshFilter
import MeshModel
import MeshRegex

/// Expressions that people wrote. A snapshot holds an automaton of each regular one; one of which
/// none can be made is refused here, with its place, since it would keep every later change from
/// the workers. So is a filter of a subset that chooses nothing anybody could mean.
enum Expressions {
    static func problems(_ configuration: Configuration) -> [Problem] {
        configuration.listeners.flatMap { listener in
            listener.value.routes.enumerated().flatMap { index, route in
                problems(
                    route.http, "listener \(listener.value.name), route \(index + 1)",
                    route.location ?? listener.location)
            }
        } + problems(configuration.configEntries)
    }

    static func problems(_ entries: [Owned<ConfigEntry>]) -> [Problem] {
        entries.flatMap { entry -> [Problem] in
            matches(of: entry.value).flatMap {
                problems($0.match, $0.place, $0.location ?? entry.location)
            }
                + filters(of: entry.value, entry.location)
        }
    }

    private static func filters(
        of entry: ConfigEntry, _ location: SourceLocation
    ) -> [Problem] {
        guard case .serviceResolver(let resolver) = entry else { return [] }
        return resolver.subsets.sorted { $0.key < $1.key }.compactMap { name, subset in
            do {
                _ = try Filter(subset: subset)
                return nil
            } catch {
                let place = "service-resolver \(resolver.name), subset \(name)"
                return Problem(
                    .error, "\(place): filter \"\(subset.filter)\": \(error)", at: location)
            }
        }
    }

    /// The criteria in an entry, with what a person calls their place and where it is, if known.
    private static func matches(
        of entry: ConfigEntry
    ) -> [(match: HTTPMatch, place: String, location: SourceLocation?)] {
        switch entry {
        case .serviceRouter(let router):
            return router.routes.enumerated().compactMap { index, route in
                let place = "service-router \(router.name), route \(index + 1)"
                return route.match.map { ($0, place, route.location) }
            }
        case .serviceIntentions(let intentions):
            return intentions.sources.flatMap { source in
                source.permissions.enumerated().map { index, permission in
                    (
                        permission.http,
                        "intention \(source.name) => \(intentions.name), permission \(index + 1)",
                        nil
                    )
                }
            }
        case .serviceDefaults, .proxyDefaults, .serviceSplitter, .serviceResolver, .ingressGateway,
            .terminatingGateway, .other:
            return []
        }
    }

    private static func problems(
        _ match: HTTPMatch, _ place: String, _ location: SourceLocation
    ) -> [Problem] {
        var found: [Problem] = []
        func check(_ pattern: String, ignoreCase: Bool, _ what: String) {
            do {
                _ = try CompiledRegex.compile(pattern, ignoreCase: ignoreCase)
            } catch {
                found.append(
                    Problem(.error, "\(place): \(what) \"\(pattern)\": \(error)", at: location))
            }
        }
        if case .regex(let pattern) = match.path {
            check(pattern, ignoreCase: match.caseInsensitive, "path_regex")
        }
        for header in match.headers {
            guard case .regex(let pattern) = header.match else { continue }
            check(pattern, ignoreCase: header.ignoreCase, "header \(header.name): regex")
        }
        for parameter in match.query {
            guard case .regex(let pattern) = parameter.match else { continue }
            check(pattern, ignoreCase: false, "query parameter \(parameter.name): regex")
        }
        return found
    }
}

extension Filter {
    /// Which instances a subset means. Whether they are well is not its business: the workers hear
    /// of that without a new snapshot, and `only_passing` says what a warning does.
    init(subset: ServiceResolver.Subset) throws {
        self = try Filter(subset.filter, over: .instances)
        guard !subjects.contains("Checks") else {
            throw MeshError(
                .invalid,
                "a subset cannot follow single checks: write only_passing: true to leave "
                    + "out instances that warn; critical ones take no traffic anyway")
        }
    }
}
