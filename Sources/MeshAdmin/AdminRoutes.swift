import Foundation
import MeshAdminAPI
import MeshHTTP
import MeshModel
import MeshTelemetry

/// Paths of the admin API and what each asks of the backend.
struct AdminRoutes: Sendable {
    typealias Methods = AdminRoute.Methods

    /// Bytes of a request body.
    static let bodyLimit = 1 << 20

    let backend: any AdminBackend
    let guards: AccessGuard

    func table() -> [AdminRoute] {
        let guards = guards
        return Self.routes(probes()) { _ in }
            + Self.routes(reads()) { try guards.checkRead($0) }
            + Self.routes(proxies()) { try guards.checkRead($0) }
            + Self.routes(writes()) { try guards.checkWrite($0) }
            + Self.routes(orders()) { try guards.checkWrite($0) }
    }

    private static func routes(
        _ paths: [String: Methods], check: @escaping @Sendable (ServerRequest) throws -> Void
    ) -> [AdminRoute] {
        paths.map { path, methods in
            AdminRoute(segments: path.split(separator: "/"), methods: methods, check: check)
        }
    }

    /// For load balancers and service managers; open to everybody who can connect.
    private func probes() -> [String: Methods] {
        let backend = backend
        return [
            "health": [
                "GET": { _ in AdminErrors.json(HealthReport(status: "ok")) }
            ],
            "ready": [
                "GET": { _ in
                    guard let reason = await backend.notReadyReason() else {
                        return AdminErrors.json(HealthReport(status: "ready"))
                    }
                    return AdminErrors.json(
                        HealthReport(status: "not ready", reason: reason),
                        status: 503)
                }
            ],
        ]
    }

    private func reads() -> [String: Methods] {
        let backend = backend
        return [
            "metrics": [
                "GET": { _ in
                    let text = MetricsText.render(await backend.metrics())
                    return ServerResponse(
                        status: 200, headers: ["Content-Type": MetricsText.contentType],
                        body: Array(text.utf8))
                }
            ],
            "status": Self.read { try await backend.status() },
            "status/services": Self.read { try await backend.services() },
            "status/instances": [
                "GET": { request in
                    let service = request.query["service"]
                    return AdminErrors.json(try await backend.instances(service: service))
                }
            ],
            "status/checks": Self.read { try await backend.checks() },
            "status/intentions": Self.read { try await backend.intentions() },
            "status/intentions/check": [
                "GET": { request in
                    let pair = try Self.pair(of: request)
                    return AdminErrors.json(
                        try await backend.checkIntention(
                            source: pair.source, destination: pair.destination))
                }
            ],
            "status/chain/:id": [
                "GET": { request in
                    AdminErrors.json(
                        document: try await backend.chain(
                            service: Self.id(in: request), datacenter: request.query["dc"]))
                }
            ],
            "status/intentions/why": [
                "POST": { AdminErrors.json(try await backend.whyIntention(Self.decoded($0))) }
            ],
            "status/routes": Self.read { try await backend.routes() },
            "status/stats": Self.read { try await backend.stats() },
            "status/certs": Self.read { try await backend.certificates() },
            "status/roots": Self.read { try await backend.roots() },
            "status/ca": Self.read { try await backend.authority() },
            "status/generations": Self.read { try await backend.generations() },
            "status/generations/diff": [
                "GET": { request in
                    let from = try Self.generation("from", in: request)
                    let to = try Self.generation("to", in: request)
                    return AdminErrors.json(try await backend.generationDiff(from: from, to: to))
                }
            ],
            "status/explain": [
                "POST": { request in
                    let asked: ExplainRequest = try Self.decoded(request)
                    return AdminErrors.json(try await backend.explain(asked))
                }
            ],
        ]
    }

    /// Proxies, and what managed ones write.
    private func proxies() -> [String: Methods] {
        let backend = backend
        return [
            "status/proxies": Self.read { try await backend.proxies() },
            "status/proxies/:id/log": [
                "GET": { request in
                    let stream = request.query["stream"] ?? "stderr"
                    guard stream == "stdout" || stream == "stderr" else {
                        throw MeshError(.invalid, "write ?stream=stdout or ?stream=stderr")
                    }
                    let bytes = request.query["bytes"].flatMap { Int($0) } ?? 65536
                    guard (1...(512 << 10)).contains(bytes) else {
                        throw MeshError(.invalid, "write ?bytes= with a number of 1 to 524288")
                    }
                    let from = request.query["from"]
                    guard from == nil || from.flatMap({ UInt64($0) }) != nil else {
                        throw MeshError(.invalid, "from=\(from ?? "") is no place in a log")
                    }
                    return AdminErrors.json(
                        try await backend.proxyLog(
                            id: Self.id(in: request), errors: stream == "stderr",
                            from: from.flatMap { UInt64($0) }, bytes: bytes))
                }
            ],
        ]
    }

    /// A generation in the query; nil: none is named.
    private static func generation(_ name: String, in request: AdminRequest) throws -> UInt64? {
        guard let text = request.query[name] else { return nil }
        guard let number = UInt64(text) else {
            throw MeshError(.invalid, "\(name)=\(text) is not the number of a generation")
        }
        return number
    }

    private static func read<Value: Encodable & Sendable>(
        _ value: @escaping @Sendable () async throws -> Value
    ) -> Methods {
        ["GET": { _ in AdminErrors.json(try await value()) }]
    }

    /// What concerns the node as a whole.
    private func orders() -> [String: Methods] {
        let backend = backend
        return [
            "v1/generations/rollback": [
                "POST": { request in
                    let wanted: RollbackRequest = try Self.decoded(request)
                    return Self.answer(try await backend.rollBack(to: wanted.generation))
                }
            ],
            "v1/generations/resume": [
                "POST": { _ in Self.answer(try await backend.resumeGenerations()) }
            ],
            "v1/ca/rotate": [
                "POST": { _ in Self.answer(try await backend.rotateRoot()) }
            ],
            "v1/dataplane/upgrade": [
                "POST": { request in
                    let wanted: UpgradeRequest = try Self.decoded(request)
                    let report = try await backend.upgradeDataPlane(wanted)
                    return AdminErrors.json(
                        report, status: report.outcome == .done ? 200 : 409)
                }
            ],
        ]
    }

    private func writes() -> [String: Methods] {
        let backend = backend
        return [
            "v1/services": [
                "PUT": { request in
                    let document = request.http.body
                    return Self.answer(try await backend.registerService(document: document))
                },
                "DELETE": { request in
                    let document = request.http.body
                    return Self.answer(try await backend.deregisterService(document: document))
                },
            ],
            "v1/services/:id": [
                "DELETE": { request in
                    let id = Self.id(in: request)
                    return Self.answer(try await backend.deregisterService(id: id))
                }
            ],
            "v1/checks/:id/pass": report("passing"),
            "v1/checks/:id/warn": report("warning"),
            "v1/checks/:id/fail": report("critical"),
            "v1/checks/:id/update": [
                "PUT": { request in
                    let id = Self.id(in: request)
                    let update: CheckUpdate = try Self.decoded(request)
                    return AdminErrors.json(try await backend.reportCheck(id: id, update))
                }
            ],
            "v1/intentions": [
                "POST": { request in
                    let wanted: IntentionRequest = try Self.decoded(request)
                    return Self.answer(try await backend.createIntention(wanted))
                },
                "DELETE": { request in
                    let pair = try Self.pair(of: request)
                    return Self.answer(
                        try await backend.deleteIntention(
                            source: pair.source, destination: pair.destination))
                },
            ],
            "v1/log/reopen": [
                "POST": { _ in
                    try await backend.reopenLogs()
                    return AdminErrors.json(HealthReport(status: "told"))
                }
            ],
        ]
    }

    /// A report of one status; `?note=` says why.
    private func report(_ status: String) -> Methods {
        let backend = backend
        return [
            "PUT": { request in
                let id = Self.id(in: request)
                let note = request.query["note"]
                let update = CheckUpdate(status: status, output: note)
                return AdminErrors.json(try await backend.reportCheck(id: id, update))
            }
        ]
    }

    /// 200 when it is live everywhere, 202 when somebody is late, 409 when the data plane
    /// refused it.
    private static func answer(_ change: ChangeReport) -> ServerResponse {
        switch change.outcome {
        case .live: AdminErrors.json(change)
        case .partial, .stored: AdminErrors.json(change, status: 202)
        case .refused: AdminErrors.json(change, status: 409)
        }
    }

    private static func pair(of request: AdminRequest) throws -> (
        source: String, destination: String
    ) {
        guard let source = request.query["source"], !source.isEmpty,
            let destination = request.query["destination"], !destination.isEmpty
        else {
            throw MeshError(.invalid, "write ?source=NAME&destination=NAME")
        }
        return (source, destination)
    }

    /// What stands at `:id` in the path.
    private static func id(in request: AdminRequest) -> String { request.parameters["id"] ?? "" }

    private static func decoded<Value: Decodable>(_ request: AdminRequest) throws -> Value {
        try APICoding.decoder().decode(Value.self, from: Data(request.http.body))
    }
}
