import MeshHTTP
package import MeshModel

/// What every read of Consul's may be asked for besides its subject.
package struct QueryOptions: Sendable, Equatable {
    package enum Consistency: String, Sendable { case leader, stale, consistent }

    /// Blocks until the result is newer than this; 0 does not block.
    package var index: Index = .zero
    /// Blocks while the result has this hash; empty does not block.
    package var hash = ""
    package var wait = Self.defaultWait
    package var consistency = Consistency.leader
    /// Whether the agent's cache may answer.
    package var isCached = false
    /// Empty: this one.
    package var datacenter = ""
    /// Chooses among the results; empty: all.
    package var filter = ""
    /// The node that results are to be near to; empty: in any order.
    package var near = ""
    /// What a node's meta must hold.
    package var nodeMeta: [String: String] = [:]

    package static let defaultWait = Duration.seconds(300)
    package static let longestWait = Duration.seconds(600)

    /// How long a request is held: up to a sixteenth longer, so that clients that came together do
    /// not come back together.
    package func heldFor(using generator: inout some RandomNumberGenerator) -> Duration {
        wait + wait * Double.random(in: 0..<1, using: &generator) / 16
    }

    /// Reads them; throws in Consul's words what is wrong.
    package init(_ request: APIRequest) throws(APIError) {
        let query = request.query
        try readBlocking(query)
        try readConsistency(query, cacheControl: request.headers["Cache-Control"])
        datacenter = query["dc"] ?? query["datacenter"] ?? ""
        filter = query["filter"] ?? ""
        near = query["near"] ?? ""
        for pair in query.all("node-meta") {
            let end = pair.firstIndex(of: ":") ?? pair.endIndex
            nodeMeta[String(pair[..<end])] = String(pair[end...].dropFirst())
        }
    }

    package init() {}

    private mutating func readBlocking(_ query: QueryItems) throws(APIError) {
        if let text = query["wait"], !text.isEmpty {
            guard let wait = try? MeshDuration(text) else {
                throw APIError(400, "Invalid wait time")
            }
            self.wait =
                wait > .zero ? min(wait.duration, Self.longestWait) : Self.defaultWait
        }
        if let text = query["index"], !text.isEmpty {
            guard let index = UInt64(text), text.first != "+" else {
                throw APIError(400, "Invalid index")
            }
            self.index = Index(index)
        }
        hash = query["hash"] ?? ""
    }

    private mutating func readConsistency(
        _ query: QueryItems, cacheControl: String?
    ) throws(APIError) {
        if query.has("stale") { consistency = .stale }
        if query.has("consistent") {
            guard consistency == .leader else {
                throw APIError(
                    400, "Cannot specify ?stale with ?consistent, conflicting semantics.")
            }
            consistency = .consistent
        }
        if let text = query["max_stale"], !text.isEmpty {
            guard let stale = try? MeshDuration(text) else {
                throw APIError(400, "Invalid max_stale value \"\(text)\"")
            }
            if stale > .zero, consistency != .consistent { consistency = .stale }
        }
        if query.has("cached") {
            guard consistency != .consistent else {
                throw APIError(
                    400, "Cannot specify ?cached with ?consistent, conflicting semantics.")
            }
            isCached = true
            try Self.checkCacheControl(cacheControl ?? "")
        }
    }

    /// Results are always fresh, so ages are read only to refuse what is none.
    private static func checkCacheControl(_ field: String) throws(APIError) {
        for part in field.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map {
                String($0).trimmingSpaces.lowercased()
            }
            guard let name = pair.first, name == "max-age" || name == "stale-if-error" else {
                continue
            }
            guard pair.count == 2, UInt32(pair[1]) != nil else {
                throw APIError(400, "Invalid Cache-Control header.")
            }
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
