import Foundation
import HTTPTypes
import Hummingbird
import MeshAdminAPI
import MeshModel
import MeshTelemetry
import NIOCore

/// Paths of the admin API and what each asks of the backend.
struct AdminRoutes: Sendable {
    typealias Handler = @Sendable @concurrent (Request, AdminContext) async throws -> Response
    /// Methods of one path.
    typealias Methods = [HTTPRequest.Method: Handler]

    /// Bytes of a request body.
    static let bodyLimit = 1 << 20

    /// Methods that are answered 405 where a path does not have them; any other is a 404.
    private static let knownMethods: [HTTPRequest.Method] = [
        .get, .head, .post, .put, .patch, .delete, .options,
    ]

    let backend: any AdminBackend
    let guards: AccessGuard

    func router() -> Router<AdminContext> {
        let router = Router(context: AdminContext.self)
        let guards = guards
        router.add(middleware: ErrorMiddleware())
        Self.add(probes(), to: router)
        let readers = router.group().add(
            middleware: GuardMiddleware { request, context in
                try guards.checkRead(by: context.remoteAddress, request)
            })
        Self.add(reads(), to: readers)
        let writers = router.group().add(
            middleware: GuardMiddleware { request, _ in try guards.checkWrite(request) })
        Self.add(writes(), to: writers)
        Self.add(orders(), to: writers)
        return router
    }

    private static func add(
        _ paths: [String: Methods], to router: some RouterMethods<AdminContext>
    ) {
        for (path, methods) in paths {
            for (method, handler) in methods {
                router.on(RouterPath(path), method: method, use: handler)
            }
            if let get = methods[.get] {
                router.on(RouterPath(path), method: .head) { request, context in
                    try await get(request, context).createHeadResponse()
                }
            }
            var allowed = Set(methods.keys)
            if allowed.contains(.get) { allowed.insert(.head) }
            let allow = allowed.map(\.rawValue).sorted().joined(separator: ", ")
            for method in knownMethods where !allowed.contains(method) {
                router.on(RouterPath(path), method: method) { request, _ in
                    var response = AdminErrors.response(
                        status: .methodNotAllowed, code: "method_not_allowed",
                        message: "\(request.uri.path) takes \(allow)")
                    response.headers[.allow] = allow
                    return response
                }
            }
        }
    }

    /// For load balancers and service managers; open to everybody who can connect.
    private func probes() -> [String: Methods] {
        let backend = backend
        return [
            "health": [
                .get: { _, _ in AdminErrors.json(HealthReport(status: "ok")) }
            ],
            "ready": [
                .get: { _, _ in
                    guard let reason = await backend.notReadyReason() else {
                        return AdminErrors.json(HealthReport(status: "ready"))
                    }
                    return AdminErrors.json(
                        HealthReport(status: "not ready", reason: reason),
                        status: .serviceUnavailable)
                }
            ],
        ]
    }

    private func reads() -> [String: Methods] {
        let backend = backend
        return [
            "metrics": [
                .get: { _, _ in
                    let text = MetricsText.render(await backend.metrics())
                    return Response(
                        status: .ok, headers: [.contentType: MetricsText.contentType],
                        body: .init(byteBuffer: ByteBuffer(string: text)))
                }
            ],
            "status": Self.read { try await backend.status() },
            "status/services": Self.read { try await backend.services() },
            "status/instances": [
                .get: { request, _ in
                    let service = request.uri.queryParameters["service"].map(String.init)
                    return AdminErrors.json(try await backend.instances(service: service))
                }
            ],
            "status/checks": Self.read { try await backend.checks() },
            "status/intentions": Self.read { try await backend.intentions() },
            "status/intentions/check": [
                .get: { request, _ in
                    let pair = try Self.pair(of: request)
                    return AdminErrors.json(
                        try await backend.checkIntention(
                            source: pair.source, destination: pair.destination))
                }
            ],
            "status/routes": Self.read { try await backend.routes() },
            "status/stats": Self.read { try await backend.stats() },
            "status/certs": Self.read { try await backend.certificates() },
            "status/roots": Self.read { try await backend.roots() },
            "status/generations": Self.read { try await backend.generations() },
            "status/generations/diff": [
                .get: { request, _ in
                    let from = try Self.generation("from", in: request)
                    let to = try Self.generation("to", in: request)
                    return AdminErrors.json(try await backend.generationDiff(from: from, to: to))
                }
            ],
            "status/explain": [
                .post: { request, _ in
                    let asked: ExplainRequest = try await Self.decoded(request)
                    return AdminErrors.json(try await backend.explain(asked))
                }
            ],
        ]
    }

    /// A generation in the query; nil: none is named.
    private static func generation(_ name: String, in request: Request) throws -> UInt64? {
        guard let text = request.uri.queryParameters[name[...]] else { return nil }
        guard let number = UInt64(text) else {
            throw MeshError(.invalid, "\(name)=\(text) is not the number of a generation")
        }
        return number
    }

    private static func read<Value: Encodable & Sendable>(
        _ value: @escaping @Sendable () async throws -> Value
    ) -> Methods {
        [.get: { _, _ in AdminErrors.json(try await value()) }]
    }

    /// What concerns the node as a whole.
    private func orders() -> [String: Methods] {
        let backend = backend
        return [
            "v1/generations/rollback": [
                .post: { request, _ in
                    let wanted: RollbackRequest = try await Self.decoded(request)
                    return Self.answer(try await backend.rollBack(to: wanted.generation))
                }
            ],
            "v1/generations/resume": [
                .post: { _, _ in Self.answer(try await backend.resumeGenerations()) }
            ],
            "v1/dataplane/upgrade": [
                .post: { request, _ in
                    let wanted: UpgradeRequest = try await Self.decoded(request)
                    let report = try await backend.upgradeDataPlane(wanted)
                    return AdminErrors.json(
                        report, status: report.outcome == .done ? .ok : .conflict)
                }
            ],
        ]
    }

    private func writes() -> [String: Methods] {
        let backend = backend
        return [
            "v1/services": [
                .put: { request, _ in
                    let document = try await Self.body(request)
                    return Self.answer(try await backend.registerService(document: document))
                },
                .delete: { request, _ in
                    let document = try await Self.body(request)
                    return Self.answer(try await backend.deregisterService(document: document))
                },
            ],
            "v1/services/:id": [
                .delete: { _, context in
                    let id = try Self.id(in: context, of: "service")
                    return Self.answer(try await backend.deregisterService(id: id))
                }
            ],
            "v1/checks/:id/pass": report("passing"),
            "v1/checks/:id/warn": report("warning"),
            "v1/checks/:id/fail": report("critical"),
            "v1/checks/:id/update": [
                .put: { request, context in
                    let id = try Self.id(in: context, of: "check")
                    let update: CheckUpdate = try await Self.decoded(request)
                    return AdminErrors.json(try await backend.reportCheck(id: id, update))
                }
            ],
            "v1/intentions": [
                .post: { request, _ in
                    let wanted: IntentionRequest = try await Self.decoded(request)
                    return Self.answer(try await backend.createIntention(wanted))
                },
                .delete: { request, _ in
                    let pair = try Self.pair(of: request)
                    return Self.answer(
                        try await backend.deleteIntention(
                            source: pair.source, destination: pair.destination))
                },
            ],
            "v1/log/reopen": [
                .post: { _, _ in
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
            .put: { request, context in
                let id = try Self.id(in: context, of: "check")
                let note = request.uri.queryParameters["note"].map(String.init)
                let update = CheckUpdate(status: status, output: note)
                return AdminErrors.json(try await backend.reportCheck(id: id, update))
            }
        ]
    }

    /// The id in the path. The router splits the path as it was sent: escapes are still in it.
    private static func id(in context: AdminContext, of what: String) throws -> String {
        let raw = try context.parameters.require("id")
        guard let id = raw.removingPercentEncoding else {
            throw MeshError(.invalid, "the \(what) id \(raw) is not encoded well")
        }
        return id
    }

    /// 200 when it is live everywhere, 202 when somebody is late, 409 when the data plane
    /// refused it.
    private static func answer(_ change: ChangeReport) -> Response {
        switch change.outcome {
        case .live: AdminErrors.json(change)
        case .partial, .stored: AdminErrors.json(change, status: .accepted)
        case .refused: AdminErrors.json(change, status: .conflict)
        }
    }

    private static func pair(of request: Request) throws -> (source: String, destination: String) {
        guard let source = request.uri.queryParameters["source"], !source.isEmpty,
            let destination = request.uri.queryParameters["destination"], !destination.isEmpty
        else {
            throw MeshError(.invalid, "write ?source=NAME&destination=NAME")
        }
        return (String(source), String(destination))
    }

    private static func body(_ request: Request) async throws -> [UInt8] {
        var request = request
        let buffer = try await request.collectBody(upTo: bodyLimit)
        return Array(buffer.readableBytesView)
    }

    private static func decoded<Value: Decodable>(_ request: Request) async throws -> Value {
        try APICoding.decoder().decode(Value.self, from: Data(try await body(request)))
    }
}
