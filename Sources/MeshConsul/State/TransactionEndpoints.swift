import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/txn`: several operations as one.
package struct TransactionEndpoints: EndpointGroup {
    let queries: Queries
    let access: any AccessPolicy
    let backend: any ConsulBackend

    package init(queries: Queries, access: any AccessPolicy, backend: any ConsulBackend) {
        self.queries = queries
        self.access = access
        self.backend = backend
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint(
                "/v1/txn", bodyLimit: KeyValueLimits.transactionBytes, ["PUT": run])
        ]
    }

    @concurrent private func run(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let authority = try await access.authority(of: request.token)
        do {
            let operations = try read(request)
            let state = queries.store.snapshot
            let refusals = operations.enumerated().compactMap { place, operation in
                operation.refusal(authority, state).map {
                    TransactionFailure.Item(operation: place, what: $0)
                }
            }
            guard refusals.isEmpty else { throw TransactionFailure(items: refusals) }
            let look = await CatalogLook(operations.compactMap(\.onCatalog), backend: backend)
            let results = try await queries.store.write { draft in
                try draft.attempt(operations) { draft, operation in
                    try operation.perform(on: &draft, authority, look)
                }
            }
            if operations.contains(where: \.isWriteOfCatalog) {
                await backend.settle("a transaction on the catalog")
            }
            var answer: APIResponse = .json([
                "Results": .array(results.flatMap { $0 }), "Errors": .null,
            ])
            if !operations.contains(where: \.isWrite) {
                answer.headers["X-Consul-KnownLeader"] = "true"
                answer.headers["X-Consul-LastContact"] = "0"
            }
            return answer
        } catch let failure as TransactionFailure {
            return Self.conflict(failure)
        }
    }

    private static func conflict(_ failure: TransactionFailure) -> APIResponse {
        let errors = failure.items.map { item -> JSON in
            ["OpIndex": .number(item.operation), "What": .string(item.what)]
        }
        return APIResponse(
            .json(["Results": .null, "Errors": .array(errors)]), status: 409)
    }

    // MARK: - reading the body

    private func read(_ request: APIRequest) throws -> [TransactionOperation] {
        let prefix = "Failed to parse body: "
        let body = try APIRequest.read(orFail: prefix) { try request.json() }
        guard case .array(let items) = body else {
            throw APIError(
                400,
                "\(prefix)json: cannot unmarshal \(body.kind) into Go value of type api.TxnOps")
        }
        guard items.count <= KeyValueLimits.operations else {
            throw APIError(
                413,
                "Transaction contains too many operations (\(items.count) > "
                    + "\(KeyValueLimits.operations))")
        }
        return try items.enumerated().map { place, item in
            let fields = try APIRequest.read(orFail: prefix) { try Fields(item, "TxnOp") }
            return try operation(fields, place, prefix)
        }
    }

    private func operation(
        _ fields: Fields, _ place: Int, _ prefix: String
    ) throws -> TransactionOperation {
        do {
            if let pair = try fields.object("KV", "TxnOp.KV") { return .pair(try keyValue(pair)) }
            for kind in CatalogOperation.kinds {
                guard let fields = try fields.object(kind, "TxnOp.\(kind)") else { continue }
                return .catalog(try CatalogOperation(fields, kind: kind))
            }
            let other = ["Session", "Intention"].first { fields.has($0) }
            throw MeshError(
                .conflict,
                other.map { "operations on \($0) are not served in transactions" }
                    ?? "no operation specified")
        } catch let error as BodyFailure {
            throw APIError(400, prefix + error.text)
        } catch let error as MeshError {
            throw TransactionFailure(items: [.init(operation: place, what: error.message)])
        }
    }

    private func keyValue(_ pair: Fields) throws -> KeyValueOperation {
        let verb = try pair.text("Verb")
        guard let known = KeyValueOperation.Verb(rawValue: verb) else {
            throw MeshError(.conflict, "unknown KV verb \(GoText.quoted(verb))")
        }
        let operation = KeyValueOperation(
            known, try pair.text("Key"), value: try pair.base64("Value"),
            flags: try pair.unsigned("Flags"), index: Index(try pair.unsigned("Index")),
            session: try pair.text("Session"))
        guard operation.value.count <= KeyValueLimits.valueBytes else {
            throw APIError(
                413,
                "Value for key \(GoText.quoted(operation.key)) is too large "
                    + "(\(operation.value.count) > \(KeyValueLimits.valueBytes) bytes)")
        }
        return operation
    }
}

/// One operation of a transaction.
private enum TransactionOperation: Sendable {
    case pair(KeyValueOperation)
    case catalog(CatalogOperation)

    var onCatalog: CatalogOperation? {
        if case .catalog(let operation) = self { return operation }
        return nil
    }

    var isWriteOfCatalog: Bool { onCatalog?.isWrite == true }

    var isWrite: Bool {
        switch self {
        case .pair(let operation): operation.verb.isWrite
        case .catalog(let operation): operation.isWrite
        }
    }

    /// Why the holder of a token may not, or nobody can; nil: he may.
    func refusal(_ authority: any Authority, _ state: StoreState) -> String? {
        let needed: Access?
        switch self {
        case .catalog(let operation): needed = operation.needed(in: state)
        case .pair(let operation):
            needed =
                switch operation.verb {
                case .get, .getOrEmpty, .getTree: nil
                case .checkIndex, .checkSession, .checkNotExists:
                    Access(.read, .key, operation.key)
                case .deleteTree: Access(.write, .keyPrefix, operation.key)
                case .set, .cas, .lock, .unlock, .delete, .deleteCAS:
                    Access(.write, .key, operation.key)
                }
        }
        if let needed, !authority.allows(needed) { return APIError.permissionDenied.text }
        guard case .pair(let operation) = self else { return nil }
        let isTree = operation.verb == .getTree || operation.verb == .deleteTree
        return operation.key.isEmpty && !isTree ? "Must provide key" : nil
    }

    /// What it asked for or wrote; what may not be read is left out, as of lists.
    func perform(
        on draft: inout StoreDraft, _ authority: any Authority, _ look: CatalogLook
    ) throws -> [JSON] {
        switch self {
        case .pair(let operation):
            return try draft.perform(operation, now: .now)
                .filter { authority.allows(Access(.read, .key, $0.key)) }
                .map { ["KV": KeyValueEndpoints.json($0)] }
        case .catalog(let operation):
            let shown = try operation.perform(on: &draft, look)
            guard operation.mayShow(authority, in: draft.state, look) else { return [] }
            return shown.map { [$0] } ?? []
        }
    }
}
