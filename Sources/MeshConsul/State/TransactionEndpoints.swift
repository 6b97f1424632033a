import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/txn`: several operations as one.
package struct TransactionEndpoints: EndpointGroup {
    let queries: Queries
    let access: any AccessPolicy

    package init(queries: Queries, access: any AccessPolicy) {
        self.queries = queries
        self.access = access
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
            let refusals = operations.enumerated().compactMap { place, operation in
                refusal(of: operation, authority).map {
                    TransactionFailure.Item(operation: place, what: $0)
                }
            }
            guard refusals.isEmpty else { throw TransactionFailure(items: refusals) }
            let pairs = try await queries.store.write { try $0.transact(operations, now: .now) }
            // What may not be read is left out, as of lists.
            let shown = pairs.filter { authority.allows(Access(.read, .key, $0.key)) }
            var answer: APIResponse = .json([
                "Results": .array(shown.map { ["KV": KeyValueEndpoints.json($0)] }),
                "Errors": .null,
            ])
            if !operations.contains(where: \.verb.isWrite) {
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

    private func refusal(
        of operation: KeyValueOperation, _ authority: any Authority
    ) -> String? {
        let needed: Access? =
            switch operation.verb {
            case .get, .getOrEmpty, .getTree: nil
            case .checkIndex, .checkSession, .checkNotExists: Access(.read, .key, operation.key)
            case .deleteTree: Access(.write, .keyPrefix, operation.key)
            case .set, .cas, .lock, .unlock, .delete, .deleteCAS:
                Access(.write, .key, operation.key)
            }
        if let needed, !authority.allows(needed) { return APIError.permissionDenied.text }
        let isTree = operation.verb == .getTree || operation.verb == .deleteTree
        return operation.key.isEmpty && !isTree ? "Must provide key" : nil
    }

    // MARK: - reading the body

    private func read(_ request: APIRequest) throws -> [KeyValueOperation] {
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
            let fields = try APIRequest.read(orFail: prefix) {
                try BodyFields(item, path: "TxnOp.")
            }
            return try operation(fields, place, prefix)
        }
    }

    private func operation(
        _ fields: BodyFields, _ place: Int, _ prefix: String
    ) throws -> KeyValueOperation {
        func failure(_ what: String) -> TransactionFailure {
            TransactionFailure(items: [.init(operation: place, what: what)])
        }
        let found = try APIRequest.read(orFail: prefix) { try fields.object("KV") }
        guard let pair = found else {
            let other = ["Node", "Service", "Check", "Session", "Intention"].first {
                fields.has($0)
            }
            throw failure(
                other.map { "operations on \($0) are not served in transactions" }
                    ?? "no operation specified")
        }
        let verb = try APIRequest.read(orFail: prefix) { try pair.text("Verb") }
        guard let known = KeyValueOperation.Verb(rawValue: verb) else {
            throw failure("unknown KV verb \(GoText.quoted(verb))")
        }
        let operation = try APIRequest.read(orFail: prefix) {
            KeyValueOperation(
                known, try pair.text("Key"), value: try pair.base64("Value"),
                flags: try pair.unsigned("Flags"), index: Index(try pair.unsigned("Index")),
                session: try pair.text("Session"))
        }
        guard operation.value.count <= KeyValueLimits.valueBytes else {
            throw APIError(
                413,
                "Value for key \(GoText.quoted(operation.key)) is too large "
                    + "(\(operation.value.count) > \(KeyValueLimits.valueBytes) bytes)")
        }
        return operation
    }
}
