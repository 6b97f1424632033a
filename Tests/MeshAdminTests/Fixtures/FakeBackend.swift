import Foundation
import MeshAdmin
import MeshAdminAPI
import MeshModel
import MeshTelemetry
import Synchronization

/// A control plane that answers from constants and remembers what it was told to change.
final class FakeBackend: AdminBackend {
    /// A change as it arrived.
    enum Call: Equatable {
        case register(String)
        case deregister(id: String)
        case deregisterDocument(String)
        case report(check: String, CheckUpdate)
        case create(IntentionRequest)
        case delete(source: String, destination: String)
        case reopenLogs
        case upgrade(String?)
        case rollBack(UInt64)
        case resume
        case rotateRoot
    }

    private struct State {
        var calls: [Call] = []
        var notReady: String?
        var outcome = ChangeReport.Outcome.live
        var failure: (any Error)?
        var isDenied = false
    }

    private let state = Mutex(State())

    var calls: [Call] { state.withLock { $0.calls } }
    func setNotReady(_ reason: String?) { state.withLock { $0.notReady = reason } }
    func setOutcome(_ outcome: ChangeReport.Outcome) { state.withLock { $0.outcome = outcome } }
    func setDenied() { state.withLock { $0.isDenied = true } }
    /// Every read and change throws this from now on.
    func fail(with error: (any Error)?) { state.withLock { $0.failure = error } }

    private func orFail<Value>(_ value: Value) throws -> Value {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        return value
    }

    private func change(_ call: Call) throws -> ChangeReport {
        try orFail(())
        return state.withLock { state in
            state.calls.append(call)
            return switch state.outcome {
            case .live: ChangeReport(outcome: .live, generation: 8)
            case .partial: ChangeReport(outcome: .partial, generation: 8, laggards: [1])
            case .stored: ChangeReport(outcome: .stored, generation: 0)
            case .refused:
                ChangeReport(
                    outcome: .refused, generation: 8,
                    refusals: [.init(worker: 0, reason: "record 3 points outside")])
            }
        }
    }

    func notReadyReason() async -> String? { state.withLock { $0.notReady } }
    func metrics() async -> [MetricFamily] { Sample.metrics }
    func status() async throws -> StatusReport { try orFail(Sample.status) }
    func services() async throws -> [ServiceReport] { try orFail(Sample.services) }

    func instances(service: String?) async throws -> [InstanceReport] {
        try orFail(Sample.instances.filter { service == nil || $0.service == service })
    }

    func checks() async throws -> [CheckStateReport] { try orFail(Sample.checks) }

    func reportCheck(id: String, _ update: CheckUpdate) async throws -> CheckStateReport {
        _ = try change(.report(check: id, update))
        var report = Sample.checks[0]
        report.id = id
        report.status = update.status
        report.output = update.output ?? ""
        return report
    }

    func intentions() async throws -> [IntentionReport] { try orFail(Sample.intentions) }

    func checkIntention(source: String, destination: String) async throws -> IntentionCheckReport {
        var check = Sample.check
        check.source = source
        check.destination = destination
        check.allowed = !state.withLock { $0.isDenied }
        return try orFail(check)
    }

    func proxies() async throws -> [ProxyReport] { try orFail(Sample.proxies) }
    func proxyLog(
        id: String, errors: Bool, from: UInt64?, bytes: Int
    ) async throws -> ProxyLogReport {
        try orFail(
            ProxyLogReport(
                text: "\(id) \(errors) \(bytes)", next: (from ?? 0) + UInt64(bytes)))
    }
    func chain(service: String, datacenter: String?) async throws -> [UInt8] {
        try orFail(Array(Sample.chain(of: service, in: datacenter ?? "dc1").utf8))
    }
    func routes() async throws -> RoutesReport { try orFail(Sample.routes) }
    func stats() async throws -> StatsReport { try orFail(Sample.stats) }
    func certificates() async throws -> [CertificateReport] { try orFail(Sample.certificates) }
    func roots() async throws -> [RootReport] { try orFail(Sample.roots) }
    func authority() async throws -> AuthorityReport { try orFail(Sample.authority) }

    func explain(_ request: ExplainRequest) async throws -> ExplainReport {
        var report = Sample.explanation
        report.phases[0].detail = "\(request.method) \(request.url)"
        return try orFail(report)
    }

    func whyIntention(_ question: IntentionQuestion) async throws -> ExplainReport {
        var report = Sample.explanation
        report.phases[0].detail = "\(question.source) => \(question.destination)"
        report.outcome = state.withLock { $0.isDenied } ? "deny" : "allow"
        return try orFail(report)
    }

    func registerService(document: [UInt8]) async throws -> ChangeReport {
        try change(.register(String(decoding: document, as: UTF8.self)))
    }

    func deregisterService(id: String) async throws -> ChangeReport {
        try change(.deregister(id: id))
    }

    func deregisterService(document: [UInt8]) async throws -> ChangeReport {
        try change(.deregisterDocument(String(decoding: document, as: UTF8.self)))
    }

    func createIntention(_ request: IntentionRequest) async throws -> ChangeReport {
        try change(.create(request))
    }

    func reopenLogs() async throws { _ = try change(.reopenLogs) }

    func generations() async throws -> GenerationsReport {
        GenerationsReport(live: 7, pin: nil, generations: [])
    }

    func generationDiff(from: UInt64?, to: UInt64?) async throws -> GenerationDiffReport {
        GenerationDiffReport(from: from ?? 6, to: to ?? 7, lines: [])
    }

    func rollBack(to generation: UInt64) async throws -> ChangeReport {
        try change(.rollBack(generation))
    }

    func resumeGenerations() async throws -> ChangeReport { try change(.resume) }

    func rotateRoot() async throws -> ChangeReport { try change(.rotateRoot) }

    func upgradeDataPlane(_ request: UpgradeRequest) async throws -> UpgradeReport {
        let change = try change(.upgrade(request.path))
        let path = request.path ?? "/usr/bin/dataplane"
        return change.outcome == .live
            ? UpgradeReport(outcome: .done, path: path, version: "dataplane 9.9.9", pid: 77)
            : UpgradeReport(outcome: .busy, path: path, pid: 76, reason: "two drain")
    }

    func deleteIntention(source: String, destination: String) async throws -> ChangeReport {
        try change(.delete(source: source, destination: destination))
    }
}
