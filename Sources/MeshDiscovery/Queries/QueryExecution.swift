package import MeshModel

/// What a query has to know of an instance.
package protocol QueryCandidate {
    var queryNode: String { get }
    var queryNodeMeta: [String: String] { get }
    var queryServiceMeta: [String: String] { get }
    var queryTags: [String] { get }
    /// The ids of its checks, those of its node included, with their states.
    var queryChecks: [(id: String, status: CheckStatus)] { get }
}

/// Which instances a query gives, in which order.
package enum QueryExecution {
    /// The instances of one datacenter that fit: healthy, with the tags and metadata asked for, in
    /// random order; those of the nearest node first; no more than the limit.
    package static func choose<Candidate: QueryCandidate>(
        _ candidates: [Candidate], for service: PreparedQuery.Service, near: String = "",
        limit: Int = 0, using random: inout some RandomNumberGenerator
    ) -> [Candidate] {
        var chosen = candidates.filter { fits($0, service) }
        chosen.shuffle(using: &random)
        if !near.isEmpty {
            let (here, elsewhere) = (
                chosen.filter { $0.queryNode == near }, chosen.filter { $0.queryNode != near }
            )
            chosen = here + elsewhere
        }
        return limit > 0 ? Array(chosen.prefix(limit)) : chosen
    }

    private static func fits(
        _ candidate: some QueryCandidate, _ service: PreparedQuery.Service
    ) -> Bool {
        isHealthy(candidate, service)
            && service.nodeMeta.allSatisfy { candidate.queryNodeMeta[$0] == $1 }
            && service.serviceMeta.allSatisfy { candidate.queryServiceMeta[$0] == $1 }
            && hasTags(candidate.queryTags, service.tags)
    }

    private static func isHealthy(
        _ candidate: some QueryCandidate, _ service: PreparedQuery.Service
    ) -> Bool {
        candidate.queryChecks.allSatisfy { id, status in
            if service.ignoreCheckIDs.contains(id) { return true }
            switch status {
            case .passing: return true
            case .warning: return !service.onlyPassing
            case .critical, .maintenance: return false
            }
        }
    }

    /// Every tag that is asked for is there, none that is refused; case does not matter.
    private static func hasTags(_ present: [String], _ wanted: [String]) -> Bool {
        let present = Set(present.map { $0.lowercased() })
        return wanted.allSatisfy { tag in
            let tag = tag.lowercased()
            return tag.hasPrefix("!")
                ? !present.contains(String(tag.dropFirst())) : present.contains(tag)
        }
    }

    /// The datacenters to ask when the own one has nobody: the nearest, then those that are
    /// listed, each once and none that is unknown or the own one.
    package static func failover(
        _ failover: PreparedQuery.Failover, own: String, byDistance known: [String]
    ) -> [String] {
        let others = known.filter { $0 != own }
        var result = Array(others.prefix(max(0, failover.nearestN)))
        for name in failover.datacenters where others.contains(name) && !result.contains(name) {
            result.append(name)
        }
        return result
    }
}
