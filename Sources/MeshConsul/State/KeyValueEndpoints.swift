import MeshHTTP
import MeshModel
import MeshStore

/// `/v1/kv/`: pairs of the key/value store.
package struct KeyValueEndpoints: EndpointGroup {
    let queries: Queries
    let access: any AccessPolicy

    package init(queries: Queries, access: any AccessPolicy) {
        self.queries = queries
        self.access = access
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint(
                "/v1/kv/", bodyLimit: KeyValueLimits.valueBytes,
                ["GET": get, "PUT": put, "DELETE": delete])
        ]
    }

    private var store: any StateStore { queries.store }

    // MARK: - reading

    @concurrent private func get(_ request: APIRequest) async throws -> APIResponse {
        let key = request.tail
        let authority = try await access.authority(of: request.token)
        if request.query.has("keys") {
            let separator = request.query["separator"] ?? ""
            return try await list(request) { state in
                let keys = state.keyValues(prefix: key).map(\.key)
                    .filter { authority.allows(Access(.read, .key, $0)) }
                guard !keys.isEmpty || key.isEmpty else { return nil }
                return .texts(StoreState.keys(keys, prefix: key, separator: separator))
            }
        }
        if request.query.has("recurse") {
            return try await list(request) { state in
                let pairs = state.keyValues(prefix: key)
                    .filter { authority.allows(Access(.read, .key, $0.key)) }
                return pairs.isEmpty ? nil : .array(pairs.map(Self.json))
            }
        }
        guard !key.isEmpty else { throw APIError(400, "Missing key name") }
        try authority.require(Access(.read, .key, key))
        let isRaw = request.query.has("raw")
        return try await queries.answer(request, watching: Watch(.keyValues, .key(key))) {
            state, _ in
            guard let pair = state.keyValue(key) else { return APIResponse(status: 404) }
            return isRaw ? Self.raw(pair) : .json([Self.json(pair)])
        }
    }

    private func list(
        _ request: APIRequest, _ body: @Sendable (StoreState) -> JSON?
    ) async throws -> APIResponse {
        let scope: Watch.Scope = request.tail.isEmpty ? .all : .prefix(request.tail)
        return try await queries.answer(request, watching: Watch(.keyValues, scope)) { state, _ in
            body(state).map { APIResponse(.json($0)) } ?? APIResponse(status: 404)
        }
    }

    /// The value alone, so that a browser that is sent it neither runs nor guesses it.
    private static func raw(_ pair: KeyValueRecord) -> APIResponse {
        APIResponse(
            .bytes(pair.value, type: "text/plain"),
            headers: ["Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"])
    }

    static func json(_ pair: KeyValueRecord) -> JSON {
        .members([
            "LockIndex": .number(pair.lockIndex), "Key": .string(pair.key),
            "Flags": .number(pair.flags),
            "Value": pair.value.isEmpty ? .null : .string(Base64.encoded(pair.value)),
            "Session": pair.session.map { .string($0) },
            "CreateIndex": .number(pair.createIndex.value),
            "ModifyIndex": .number(pair.modifyIndex.value),
        ])
    }

    // MARK: - writing

    /// Throws when several of these are asked for, and shows the whole query as Go orders it.
    private func refuseSeveral(_ names: [String], _ request: APIRequest) throws {
        guard names.filter({ request.query.has($0) }).count > 1 else { return }
        let items = request.query.items.enumerated().sorted {
            ($0.element.name, $0.offset) < ($1.element.name, $1.offset)
        }
        let text = items.map {
            "\(PercentEscapes.query($0.element.name))=\(PercentEscapes.query($0.element.value))"
        }.joined(separator: "&")
        throw APIError(400, "Conflicting flags: \(text)")
    }

    @concurrent private func put(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let key = request.tail
        let authority = try await access.authority(of: request.token)
        guard !key.isEmpty else { throw APIError(400, "Missing key name") }
        try refuseSeveral(["cas", "acquire", "release"], request)
        let flags = try request.unsigned("flags") ?? 0
        let cas = try request.unsigned("cas").map { Index($0) }
        try authority.require(Access(.write, .key, key))
        let value = request.body
        let (acquire, release) = (request.query["acquire"], request.query["release"])
        let done = try await inConsulsWords {
            try await store.write { draft in
                if let acquire {
                    return try draft.lockKeyValue(
                        key, value, flags: flags, session: acquire, now: .now)
                }
                if let release {
                    return try draft.unlockKeyValue(key, value, flags: flags, session: release)
                }
                return try draft.putKeyValue(key, value, flags: flags, cas: cas)
            }
        }
        return .json(.bool(done))
    }

    @concurrent private func delete(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let key = request.tail
        let authority = try await access.authority(of: request.token)
        try refuseSeveral(["recurse", "cas"], request)
        if request.query.has("recurse") {
            try authority.require(Access(.write, .keyPrefix, key))
            try await store.write { $0.removeKeyValues(prefix: key) }
            return .json(true)
        }
        guard !key.isEmpty else { throw APIError(400, "Missing key name") }
        let cas = try request.unsigned("cas").map { Index($0) }
        try authority.require(Access(.write, .key, key))
        return .json(.bool(try await store.write { $0.removeKeyValue(key, cas: cas) }))
    }
}

/// Errors of the store as Consul's servers tell them: what its own checks say is a text of 500.
func inConsulsWords<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch let error as MeshError where error.code == .invalid || error.code == .conflict {
        throw APIError(500, error.message)
    }
}

extension PercentEscapes {
    /// A text as part of a query, as Go escapes it.
    static func query(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case 0x20: result += "+"
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return result
    }
}
