import MeshHTTP
import MeshModel
package import MeshStore

/// Answers reads of the store, and holds those that wait for a change.
package struct Queries: Sendable {
    /// What is said of a result besides the result.
    package struct Shape: Sendable {
        /// Whether the field for the consistency is sent: catalog and health do.
        package var tellsConsistency = false
        /// Whether the answer says that there is a leader; the roots' endpoints say false.
        package var knowsLeader = true

        package init(tellsConsistency: Bool = false, knowsLeader: Bool = true) {
            self.tellsConsistency = tellsConsistency
            self.knowsLeader = knowsLeader
        }

        package static let plain = Shape()
        package static let catalog = Shape(tellsConsistency: true)
    }

    package let store: any StateStore
    /// The datacenter of this node; every other is unknown.
    package let datacenter: String
    private let cache = CacheNotes()

    package init(store: any StateStore, datacenter: String) {
        self.store = store
        self.datacenter = datacenter
    }

    /// Answers at once, or when what is watched has changed after the index that the client knows,
    /// or when its time is over: `body` makes the answer of the state as it is then.
    ///
    /// The index is taken before the state, so it is never ahead of what is shown.
    package func answer(
        _ request: APIRequest, watching watch: Watch, _ shape: Shape = .plain,
        _ body: @Sendable (StoreState, QueryOptions) async throws -> APIResponse
    ) async throws -> APIResponse {
        let options = try QueryOptions(request)
        guard knows(options.datacenter) else { return foreign() }
        if let hold = hold(request, options, watch) { return APIResponse(.later(hold)) }
        let index = request.held?.index ?? store.index(of: watch)
        var response = try await body(store.snapshot, options)
        addMeta(index, options, shape, to: &response)
        if options.isCached {
            let age = cache.age(of: "\(request.method) \(request.path) \(request.query.items)")
            response.headers["X-Cache"] = age == nil ? "MISS" : "HIT"
            if let age { response.headers["Age"] = "\(age)" }
        }
        return response
    }

    /// The same for an answer that is JSON.
    package func json(
        _ request: APIRequest, watching watch: Watch, _ shape: Shape = .plain,
        _ body: @Sendable (StoreState, QueryOptions) async throws -> JSON
    ) async throws -> APIResponse {
        try await answer(request, watching: watch, shape) { .json(try await body($0, $1)) }
    }

    /// Answers when the hash of the result is another one than the client knows, or when its time
    /// is over.
    package func hashed(
        _ request: APIRequest, watching watch: Watch,
        _ body: @Sendable (StoreState) async throws -> (hash: String, response: APIResponse)
    ) async throws -> APIResponse {
        let options = try QueryOptions(request)
        let index = store.index(of: watch)
        var (hash, response) = try await body(store.snapshot)
        let isOver = request.held?.isOver ?? options.hash.isEmpty
        guard hash == options.hash, !isOver else {
            response.headers["X-Consul-ContentHash"] = hash
            return response
        }
        let deadline = request.held?.deadline ?? Self.deadline(options)
        return APIResponse(
            .later(Hold(store: store, watch: watch, after: index, deadline: deadline)))
    }

    /// What a request is to wait for, which has not waited yet.
    private func hold(_ request: APIRequest, _ options: QueryOptions, _ watch: Watch) -> Hold? {
        guard request.held == nil, options.index > .zero, store.index(of: watch) <= options.index
        else { return nil }
        return Hold(
            store: store, watch: watch, after: options.index, deadline: Self.deadline(options))
    }

    static func deadline(_ options: QueryOptions) -> ContinuousClock.Instant {
        var generator = SystemRandomNumberGenerator()
        return .now + options.heldFor(using: &generator)
    }

    /// Whether a request may name this datacenter.
    package func knows(_ name: String) -> Bool {
        name.isEmpty || name.lowercased() == datacenter.lowercased()
    }

    private func foreign() -> APIResponse {
        let error = APIError.unknownDatacenter
        var response = APIResponse(.text(error.text), status: error.status)
        addMeta(Index(1), QueryOptions(), Shape(knowsLeader: false), to: &response)
        return response
    }

    private func addMeta(
        _ index: Index, _ options: QueryOptions, _ shape: Shape, to response: inout APIResponse
    ) {
        response.headers["X-Consul-Index"] = "\(max(index, Index(1)))"
        response.headers["X-Consul-KnownLeader"] = "\(shape.knowsLeader)"
        response.headers["X-Consul-LastContact"] = "0"
        if shape.tellsConsistency {
            response.headers["X-Consul-Effective-Consistency"] = options.consistency.rawValue
        }
    }
}
