import Foundation
import HTTPTypes
import Hummingbird
import MeshAdminAPI
import MeshModel
import MeshTelemetry
import NIOCore

/// Paths of the admin API and what each asks of the backend.
struct AdminRoutes: Sendable {
    /// Bytes of a request body.
    static let bodyLimit = 1 << 20

    let backend: any AdminBackend
    let transport: AdminTransport
    let token: String?

    func router() -> Router<BasicRequestContext> {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: ErrorMiddleware())
        addMachineRoutes(router)
        addReads(router.group("status"))
        addWrites(
            router.group("v1").add(middleware: WriteGuard(transport: transport, token: token)))
        return router
    }

    private func addMachineRoutes(_ router: Router<BasicRequestContext>) {
        let backend = backend
        router.get("health") { _, _ in
            AdminErrors.json(HealthReport(status: "ok"))
        }
        router.get("ready") { _, _ in
            guard let reason = await backend.notReadyReason() else {
                return AdminErrors.json(HealthReport(status: "ready"))
            }
            return AdminErrors.json(
                HealthReport(status: "not ready", reason: reason), status: .serviceUnavailable)
        }
        router.get("metrics") { _, _ in
            var headers = HTTPFields()
            headers[.contentType] = MetricsText.contentType
            let text = MetricsText.render(await backend.metrics())
            return Response(
                status: .ok, headers: headers,
                body: .init(byteBuffer: ByteBuffer(string: text)))
        }
    }

    private func addReads(_ group: RouterGroup<BasicRequestContext>) {
        let backend = backend
        group.get { _, _ in AdminErrors.json(try await backend.status()) }
        group.get("services") { _, _ in AdminErrors.json(try await backend.services()) }
        group.get("instances") { request, _ in
            let service = request.uri.queryParameters["service"].map(String.init)
            return AdminErrors.json(try await backend.instances(service: service))
        }
        group.get("intentions") { _, _ in AdminErrors.json(try await backend.intentions()) }
        group.get("intentions/check") { request, _ in
            let pair = try Self.pair(of: request)
            return AdminErrors.json(
                try await backend.checkIntention(
                    source: pair.source, destination: pair.destination))
        }
        group.get("routes") { _, _ in AdminErrors.json(try await backend.routes()) }
        group.get("stats") { _, _ in AdminErrors.json(try await backend.stats()) }
        group.get("certs") { _, _ in AdminErrors.json(try await backend.certificates()) }
        group.get("roots") { _, _ in AdminErrors.json(try await backend.roots()) }
        group.post("explain") { request, _ in
            let asked: ExplainRequest = try await Self.decoded(request)
            return AdminErrors.json(try await backend.explain(asked))
        }
    }

    private func addWrites(_ group: RouterGroup<BasicRequestContext>) {
        let backend = backend
        group.put("services") { request, _ in
            let document = try await Self.body(request)
            return Self.answer(try await backend.registerService(document: document))
        }
        group.delete("services") { request, _ in
            let document = try await Self.body(request)
            return Self.answer(try await backend.deregisterService(document: document))
        }
        group.delete("services/:id") { _, context in
            let raw = try context.parameters.require("id")
            return Self.answer(
                try await backend.deregisterService(id: raw.removingPercentEncoding ?? raw))
        }
        group.post("intentions") { request, _ in
            let wanted: IntentionRequest = try await Self.decoded(request)
            return Self.answer(try await backend.createIntention(wanted))
        }
        group.delete("intentions") { request, _ in
            let pair = try Self.pair(of: request)
            return Self.answer(
                try await backend.deleteIntention(
                    source: pair.source, destination: pair.destination))
        }
    }

    /// 200 when it is live everywhere, 202 when somebody is late, 409 when the data plane refused it.
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
