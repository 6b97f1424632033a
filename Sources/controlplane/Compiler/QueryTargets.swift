import MeshFilter
import MeshModel
import MeshTables

/// Prepared queries as targets: the instances that fit, followed as they change, where Consul's
/// proxies ask the query again and again.
extension PartCompiler {
    /// The id of the target that a query amounts to. What of it cannot be had is reported.
    mutating func target(
        of query: PreparedQuery, _ service: ServiceName, _ reach: Reach, _ name: String,
        _ origin: Origin?
    ) -> String {
        let wanted = query.service
        if !wanted.ignoreCheckIDs.isEmpty {
            refuse("\(name): ignore_check_ids of the query have no effect on upstreams", origin)
        }
        let id = "query.\(query.id).\(service.folded)\(reach.suffix)"
        guard !part.contains(id) else { return id }
        let subset = ServiceResolver.Subset(
            filter: Self.filter(of: wanted), onlyPassing: wanted.onlyPassing)
        guard (try? Filter(subset: subset)) != nil else {
            refuse("\(name): the tags and metadata of the query cannot be compared", origin)
            return nowhere(service, reach)
        }
        var plan = TargetPlan(
            id: id, service: service, checksIntentions: true,
            sni: "\(service.folded).default.\(settings.node.datacenter).internal."
                + frame.trustDomain.text,
            expectedID: spiffeID(of: service),
            wireProtocol: wireProtocol(of: service, http: reach.http, spoken: reach.spoken),
            guarded: guarded(service, reach), congestion: settings.congestion,
            proxyHeader: defaults(of: service)?.proxyProtocol)
        if let timeout = reach.connectTimeout { plan.connectTimeout = milliseconds(timeout) }
        part.add(
            TargetShape(
                plan: plan, instancesOf: service, subset: subset, tls: dialling(plan, reach),
                isSettled: true))
        return id
    }

    /// The instances that a query's tags and metadata choose, as an expression.
    static func filter(of service: PreparedQuery.Service) -> String {
        let tags = service.tags.map { tag in
            tag.hasPrefix("!")
                ? "\(quoted(String(tag.dropFirst()))) not in Service.Tags"
                : "\(quoted(tag)) in Service.Tags"
        }
        let node = service.nodeMeta.sorted { $0.key < $1.key }
            .map { "Node.Meta[\(quoted($0.key))] == \(quoted($0.value))" }
        let own = service.serviceMeta.sorted { $0.key < $1.key }
            .map { "Service.Meta[\(quoted($0.key))] == \(quoted($0.value))" }
        return (tags + node + own).joined(separator: " and ")
    }

    private static func quoted(_ text: String) -> String {
        text.contains("\"") || text.contains("\\") ? "`\(text)`" : "\"\(text)\""
    }
}
