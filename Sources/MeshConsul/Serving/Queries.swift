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
    private let shared = SharedAnswers()

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
        let key = shared.key(of: request, store)
        let (index, wasWoken) = await held(options, watch)
        var response: APIResponse
        if let key, wasWoken, let made = shared.answer(key, at: index) {
            response = made
        } else {
            response = try await body(store.snapshot, options)
            if let key, wasWoken { response = shared.keep(response, key, at: index) }
        }
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
        var generator = SystemRandomNumberGenerator()
        let end = ContinuousClock.now + options.heldFor(using: &generator)
        while true {
            let index = store.index(of: watch)
            var (hash, response) = try await body(store.snapshot)
            let left = ContinuousClock.now.duration(to: end)
            if options.hash.isEmpty || hash != options.hash || left <= .zero || Task.isCancelled {
                response.headers["X-Consul-ContentHash"] = hash
                return response
            }
            _ = try? await store.wait(after: index, on: watch, upTo: left)
        }
    }

    /// Waits as asked; gives the index of what is watched, and whether a change has
    /// ended the wait.
    private func held(_ options: QueryOptions, _ watch: Watch) async -> (Index, wasWoken: Bool) {
        let present = store.index(of: watch)
        guard options.index > .zero, present <= options.index else { return (present, false) }
        var generator = SystemRandomNumberGenerator()
        let limit = options.heldFor(using: &generator)
        // Cancelled: the client is gone, or the server ends and answers with what there is.
        let found = try? await store.wait(after: options.index, on: watch, upTo: limit)
        let index = found ?? store.index(of: watch)
        return (index, index > options.index)
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
